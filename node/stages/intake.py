"""Intake: a human read, by whichever door it came, into the ledger. When this returns, it is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from node.domain.human_read import HumanRead, ReadSource
from node.domain.read_history import ReadArrival, ReadState, Recorded
from node.stages.tracing import tracing
from node.storage.storage import Storage

Clock = Callable[[], datetime]

_log = structlog.get_logger(__name__)


class Intake:
    """Called by every door from any number of threads at once.

    Parameters
    ----------
    on_recorded
        Called after a read was recorded: there may be something to compare.
    tally
        Called with the door and the state of every read that was recorded.

    """

    def __init__(
        self,
        storage: Storage,
        clock: Clock,
        on_recorded: Callable[[], None],
        tally: Callable[[str, str], None] = lambda _door, _state: None,
    ) -> None:
        self._storage = storage
        self._clock = clock
        self._on_recorded = on_recorded
        self._tally = tally

    def take(self, data: bytes, read: HumanRead, from_whom: str) -> Recorded:
        """Keep one read durably, the original first, the row second; only then may its receipt be acknowledged.

        Parameters
        ----------
        data
            The original, as it was received.
        read
            What was understood of it.
        from_whom
            Who handed it over: an AE title, a user, a host.

        Raises
        ------
        StorageFull, LedgerBusy
            No resources now; nothing may be acknowledged.

        """
        return self.take_all(data, (read,), from_whom)[0]

    def take_all(self, data: bytes, reads: Sequence[HumanRead], from_whom: str) -> tuple[Recorded, ...]:
        """As :meth:`take` for an original that holds several reads, such as a table.

        Each is recorded for itself: what was recorded before an error is SAME when the original comes again.
        """
        known = [self._known(read) for read in reads]
        held = [one for one in known if one is not None]
        if len(held) == len(reads):
            return tuple(held)
        original = self._storage.originals.keep(data)
        # what is known keeps the original it came with first
        recorded = tuple(
            one or self._storage.ledger.record_read(read, original, from_whom, self._clock())
            for read, one in zip(reads, known, strict=True)
        )
        for read, one in zip(reads, recorded, strict=True):
            with tracing(one.study_uid or ""):
                _report(read, one)
            self._tally(str(read.source), str(one.state))
        self._on_recorded()
        return recorded

    def rename(self, source: ReadSource, old: str, new: str) -> None:
        """What was named ``old`` at its source is ``new``: a document came that shows whose versions they are."""
        if self._storage.ledger.rename_reads(source, old, new, self._clock()):
            self._on_recorded()

    def _known(self, read: HumanRead) -> Recorded | None:
        """What became of a read that is here already, and its original too; otherwise None."""
        one = self._storage.ledger.find_same(read)
        if one is None or not self._storage.originals.holds(one.original):
            return None
        return Recorded(
            read_id=one.id,
            arrival=ReadArrival.SAME,
            state=one.state,
            study_uid=one.study_uid,
            reason=one.reason,
        )


def _report(read: HumanRead, recorded: Recorded) -> None:
    """One log line, without anything that could name a patient or a reader."""
    quarantined = recorded.state is ReadState.QUARANTINED
    say = _log.warning if quarantined else _log.info
    say(
        "human read in quarantine" if quarantined else "human read recorded",
        read=recorded.read_id,
        source=str(read.source),
        version=read.version,
        arrival=str(recorded.arrival),
        study=recorded.study_uid or None,
        reason=recorded.reason or None,
    )
