"""Assemble: which open series go on now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from node.domain.completeness import Completeness, Decision, judge_completeness
from node.domain.policy import SeriesPolicy
from node.domain.series import Instance, SeriesRecord
from node.stages.tracing import tracing
from node.storage.ledger import Ledger

_log = structlog.get_logger(__name__)
_UNDER_WAY: Final = timedelta(seconds=30)  # a slice may come in between the clock's reading and the ledger's


@dataclass(frozen=True, slots=True)
class _Waiting:
    """What was known of a series when it was last found incomplete, and until when that answer holds."""

    record: SeriesRecord
    until: datetime | None


class Assembler:
    """Looks at every open series. What it remembers between looks only saves it from looking twice.

    Parameters
    ----------
    since
        When this node began to listen. Silence before that says nothing: nobody could be heard.

    What was received later than now was received before the clock was set back: its silence counts from ``since``.
    """

    def __init__(self, ledger: Ledger, policy: SeriesPolicy, since: datetime | None = None) -> None:
        self._ledger = ledger
        self._policy = policy
        self._since = since
        self._waiting: dict[str, _Waiting] = {}

    def deaf_before(self, moment: datetime) -> None:
        """Silence counts from here on: the clock was set, or the machine slept."""
        self._since = moment

    def run(self, now: datetime) -> int:
        """Close every series that is complete by evidence or by quiet; how many were closed."""
        records = [self._heard(record, now) for record in self._ledger.open_series()]
        open_uids = {record.series_uid for record in records}
        self._waiting = {uid: seen for uid, seen in self._waiting.items() if uid in open_uids}
        return sum(self._look(record, now) for record in records)

    def _heard(self, record: SeriesRecord, now: datetime) -> SeriesRecord:
        if self._since is None or self._since <= record.last_received <= now + _UNDER_WAY:
            return record
        return replace(record, last_received=self._since)

    def _look(self, record: SeriesRecord, now: datetime) -> bool:
        seen = self._waiting.get(record.series_uid)
        if seen is not None and seen.record == record and seen.until is not None and now < seen.until:
            return False
        instances = [stored.instance for stored in self._ledger.instances(record.series_uid)]
        verdict = self._judge(instances, record, now)
        if not verdict.complete:
            self._waiting[record.series_uid] = _Waiting(record, verdict.wait_until)
            return False
        generation = self._ledger.close_series(record.series_uid, now, verdict.evidence)
        with tracing(record.study_uid):
            _log.info(
                "series complete",
                series=record.series_uid,
                generation=generation,
                instances=len(instances),
                evidence=verdict.evidence,
                first_image=record.first_received.isoformat(timespec="milliseconds"),
                last_image=record.last_received.isoformat(timespec="milliseconds"),
            )
        return True

    def _judge(self, instances: Sequence[Instance], record: SeriesRecord, now: datetime) -> Completeness:
        """The domain's answer; a fault in it must not hold up the other series, and leaves this one to quiet."""
        try:
            return judge_completeness(instances, record, now, self._policy)
        except Exception:  # noqa: BLE001 - the settler parks such faults, but here nothing is claimed yet
            _log.exception("a fault of this program: the series goes on by quiet alone", series=record.series_uid)
        quiet = record.last_received + max(self._policy.quiet, self._policy.association_hold)
        return Completeness(
            decision=Decision.COMPLETE_BY_QUIET if now >= quiet else Decision.WAIT,
            evidence="nothing arrived for a while, and its slices could not be judged",
            wait_until=quiet,
        )
