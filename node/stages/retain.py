"""Retain: lets go of what has had its time, or of images where room is needed. Marked first, then removed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import structlog

from node.domain.faults import fault
from node.domain.retention import Goods, Judged, RetentionRule, judge
from node.storage.retention_book import RUN
from node.storage.storage import Storage

_log = structlog.get_logger(__name__)
_AT_ONCE: Final = 200  # files whose marks are cleared together


@dataclass(frozen=True, slots=True, kw_only=True)
class LetGo:
    """What a run has let go: how many images' series, answers' series and originals, and files removed."""

    images: int = 0
    answers: int = 0
    reads: int = 0
    files: int = 0

    @property
    def anything(self) -> bool:
        """Whether the run has changed anything."""
        return bool(self.images or self.answers or self.reads or self.files)


class Retainer:
    """Applies the rule of a site. Two at the same time do no harm: each deletion is decided on in one transaction.

    Parameters
    ----------
    free
        Bytes that are free under the storage root.

    """

    def __init__(self, storage: Storage, rule: RetentionRule, free: Callable[[], int]) -> None:
        self._storage = storage
        self._rule = rule
        self._free = free

    def plan(self, now: datetime, *, by_age: bool = True) -> tuple[Judged, ...]:
        """What would go, and why the rest stays; changes nothing. ``by_age`` False: only what makes room goes."""
        return judge(self._storage.ledger.candidates(), self._rule_by(by_age), now=now, free_bytes=self._free())

    @property
    def keeps_everything(self) -> bool:
        """Whether the rule never lets go of anything."""
        return not self._rule.free_bytes and all(self._rule.longest(goods) is None for goods in Goods)

    @property
    def wants_room(self) -> bool:
        """Whether less is free than the site wants."""
        return self._free() < self._rule.free_bytes

    def run(
        self,
        now: datetime,
        *,
        by_clock: bool = True,
        by_age: bool = True,
        proceed: Callable[[], bool] = lambda: True,
    ) -> LetGo:
        """Let go of what is due. A run by the clock goes into the audit trail even if nothing went.

        ``by_age`` is as for :meth:`plan`. ``proceed`` is asked between deletions; False ends the run early, and the
        next one goes on.

        Raises
        ------
        LedgerBusy, StorageFull
            The ledger does not take it now; what was marked is taken up by the next run.

        """
        files, gone, rule = self.take_up(), Counter[Goods](), self._rule_by(by_age)
        for one in self.plan(now, by_age=by_age):
            if not proceed():
                break
            what = one.candidate
            if one.goes and self._storage.ledger.let_go(what, now, rule.ignored(what.since, now)):
                gone[what.goods] += 1
                files += self.take_up()
        done = LetGo(images=gone[Goods.IMAGES], answers=gone[Goods.ANSWERS], reads=gone[Goods.READS], files=files)
        if by_clock or done.anything:
            said = {"images": done.images, "answers": done.answers, "reads": done.reads, "files": done.files}
            _log.info("retention", **said)
            self._storage.ledger.add_audit("retention", RUN, "storage", now, said)
        return done

    def _rule_by(self, by_age: bool) -> RetentionRule:  # noqa: FBT001 - as in plan and run
        if by_age:
            return self._rule
        return replace(self._rule, images=None, answers=None, reads=None, read_wait=None)

    def take_up(self) -> int:
        """Remove the files that are marked, also by a run that was killed; how many marks there were."""
        count = 0
        while paths := self._storage.ledger.marked(_AT_ONCE):
            removed = [path for path in paths if self._removed(path)]
            fault("retention.files-removed")
            self._storage.ledger.clear_marks(removed)
            count += len(removed)
            if len(removed) < len(paths):  # tried again by the next run
                break
        return count

    def _removed(self, path: str) -> bool:
        try:
            self._storage.remove(path)
        except OSError as error:
            _log.error("a file that is let go cannot be removed", file=path, reason=error.strerror)
            return False
        fault("retention.file-removed")
        return True
