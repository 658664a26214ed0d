"""Looks at ledger and disk every few seconds, so that whoever asks for metrics or readiness waits for neither."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

import structlog

from node.domain.commitment import CommitmentState
from node.domain.errors import NodeError
from node.domain.tiers import Tier
from node.domain.work import Stage, WorkState
from node.monitor.meters import Meters
from node.monitor.readiness import Readiness, Seen, readiness_of
from node.storage.gauges import QueueDepth
from node.storage.ledger import Ledger

_log = structlog.get_logger(__name__)
_LAST_SECONDS: Final = 1.0
_WAITING: Final = (WorkState.PENDING, WorkState.CLAIMED)
_UNFINISHED: Final = (*_WAITING, WorkState.HELD, WorkState.PARKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of the rest of the node. Nothing of it may wait long but ``free``, which asks the disk.

    Attributes
    ----------
    listening, model
        Whether the DICOM port is served, and whether a model is loaded.
    free, reserve
        Free bytes of the disk; how many are held in reserve.
    associations
        How many are open.
    space
        What is to be known of the room in days to come; "" where there is nothing.

    """

    listening: Callable[[], bool]
    model: Callable[[], bool]
    free: Callable[[], int]
    reserve: int
    associations: Callable[[], int]
    space: Callable[[], str] = lambda: ""


class Sampler:
    """``with Sampler(...) as sampler:`` looks every ``seconds`` until the block ends."""

    def __init__(
        self,
        ledger: Ledger,
        meters: Meters,
        node: Asked,
        clock: Callable[[], datetime],
    ) -> None:
        self._ledger, self._node, self._clock = ledger, node, clock
        self._gauges = _Gauges(meters, node)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)
        self._written_at: float | None = None
        self._free: int | None = None
        self.seconds = 5.0

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End; a look that waits for the ledger is left to itself."""
        self._ending.set()
        self._thread.join(_LAST_SECONDS)

    def readiness(self) -> Readiness:
        """Whether the node is ready, at once, by what was last seen."""
        written = self._written_at
        return readiness_of(
            Seen(
                listening=self._node.listening(),
                ledger_age=None if written is None else time.monotonic() - written,
                free=self._free,
                reserve=self._node.reserve,
                model=self._node.model(),
                space=self._node.space(),
            )
        )

    def look(self) -> None:
        """One look. Raises NodeError if the ledger does not answer; what is known of the rest is up to date then."""
        try:
            self._free = self._node.free()
        except OSError:
            self._free = None
        self._gauges.disk(self._free)
        self._ledger.try_to_write()
        self._written_at = time.monotonic()
        self._gauges.queue(self._ledger.queue_depths(), self._clock())
        self._gauges.cases(self._ledger.open_cases())
        self._gauges.commitments(self._ledger.commitment_counts())

    def _run(self) -> None:
        while True:
            try:
                self.look()
            except NodeError as error:
                _log.warning("the ledger could not be looked at", error=str(error))
            except Exception:  # noqa: BLE001 - without this thread nobody would know how the node is
                _log.exception("a fault of this program; looking goes on")
            if self._ending.wait(self.seconds):
                return


class _Gauges:
    """The gauges that a look sets."""

    def __init__(self, meters: Meters, node: Asked) -> None:
        gauge = meters.gauge
        self._changing = meters.changing
        self._depth = gauge("queue_depth", "Unfinished work, by stage and state.", ["stage", "state"])
        self._age = gauge("queue_oldest_seconds", "How long the oldest work of a stage has waited.", ["stage"])
        self._attempts = gauge("queue_most_attempts", "The most attempts that waiting work has had.", ["stage"])
        self._pending = gauge("deliveries_waiting", "Objects that wait to be delivered.", ["destination"])
        self._letters = gauge("dead_letters", "Parked work that waits for a person.", ["stage"])
        self._cases = gauge("open_cases", "Cases that nobody has decided.", ["tier"])
        self._commitments = gauge("commitments", "Requests for storage commitment, of the last month.", ["state"])
        self._free = gauge("disk_free_bytes", "Free space of the storage's disk.")
        gauge("disk_reserve_bytes", "Space that is never filled: below it, instances are refused.").set(node.reserve)
        gauge("associations_open", "Associations that are open now.").set_function(node.associations)
        gauge("model_loaded", "Whether a model is loaded.").set_function(node.model)

    def queue(self, depths: Sequence[QueueDepth], now: datetime) -> None:
        """Unfinished work; every stage has a value, so that an alarm can tell 0 from a node that does not answer."""
        with self._changing:
            for gauge in (self._depth, self._pending):
                gauge.clear()
            for stage in Stage:
                found = [one for one in depths if one.stage == stage]
                waiting = [one for one in found if one.state in _WAITING]
                age = max(((now - one.since).total_seconds() for one in waiting), default=0.0)
                self._age.labels(stage).set(max(0.0, age))
                self._attempts.labels(stage).set(max((one.attempts for one in waiting), default=0))
                self._letters.labels(stage).set(sum(one.count for one in found if one.state == WorkState.PARKED))
                for state in _UNFINISHED:
                    self._depth.labels(stage, state).set(sum(one.count for one in found if one.state == state))
            for one in depths:
                if one.stage == Stage.DELIVER and one.state in _WAITING:
                    self._pending.labels(one.destination).inc(one.count)

    def cases(self, by_tier: Mapping[str, int]) -> None:
        """Cases that nobody has decided."""
        for tier in Tier:
            self._cases.labels(tier).set(by_tier.get(tier, 0))

    def commitments(self, by_state: Mapping[CommitmentState, int]) -> None:
        """Requests for storage commitment: those that are given up have left a peer without an answer."""
        for state in CommitmentState:
            self._commitments.labels(state.replace(" ", "-")).set(by_state.get(state, 0))

    def disk(self, free: int | None) -> None:
        """Free bytes; the last known where the disk does not answer."""
        if free is not None:
            self._free.set(free)
