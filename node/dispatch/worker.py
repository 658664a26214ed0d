"""Threads that take due work from the ledger until told to stop."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar

import structlog

from node.dispatch.clock_watch import ClockWatch
from node.dispatch.settle import Settler
from node.domain.errors import NodeError
from node.domain.records import Outcome
from node.domain.work import Backoff, Stage, Work
from node.stages.assemble import Assembler
from node.stages.tracing import tracing_work
from node.storage.ledger import Ledger

Clock = Callable[[], datetime]
Handler = Callable[[Work], Outcome]
Result = Outcome | Exception
Carrier = Callable[[Sequence[Work]], Sequence[Result]]

_log = structlog.get_logger(__name__)
_LEASE = timedelta(minutes=10)
_LOOK_SECONDS = 1.0
_SULK_SECONDS = 2.0  # after the ledger did not answer
_PATIENT = Backoff(attempts=None)  # what a stage waits for is a disk or a database: it never gives up on those
_CLEARLY_AHEAD = timedelta(minutes=1)  # others write to the ledger while this looks at the clock
_MOST_AT_ONCE = 16  # objects that go over one association


class Worker(ABC, threading.Thread):
    """Takes work as it becomes due. :meth:`ring` saves it the wait for its next look."""

    def __init__(self, name: str, ledger: Ledger, settler: Settler, clock: Clock) -> None:
        super().__init__(name=name, daemon=True)
        self._ledger = ledger
        self._settler = settler
        self._clock = clock
        self._bell = threading.Event()
        self._ending = threading.Event()

    def ring(self) -> None:
        """There may be work."""
        self._bell.set()

    def end(self) -> None:
        """Finish what is in hand and stop."""
        self._ending.set()
        self._bell.set()

    def run(self) -> None:
        """Until :meth:`end`."""
        while not self._ending.is_set():
            self._bell.clear()
            try:
                worked = self.step()
            except NodeError as error:
                _log.warning("the ledger does not answer", worker=self.name, error=str(error))
                self._ending.wait(_SULK_SECONDS)
            except Exception:  # noqa: BLE001 - a thread that dies would stop the node without a word
                _log.exception("a fault of this program; the worker goes on", worker=self.name)
                self._ending.wait(_SULK_SECONDS)
            else:
                if not worked:
                    self._bell.wait(_LOOK_SECONDS)

    @abstractmethod
    def step(self) -> bool:
        """Do what is due; whether there was anything."""


class AssembleWorker(Worker):
    """Looks at the open series at every ring, and at least once a second: quiet time rings no bell.

    Parameters
    ----------
    also
        Does what else is due by time alone, and says how much that was.

    Attributes
    ----------
    watch
        Notices when the clock is set.

    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        settler: Settler,
        clock: Clock,
        assembler: Assembler,
        on_done: Callable[[], None],
        also: Callable[[datetime], int] = lambda _now: 0,
    ) -> None:
        super().__init__("assemble", ledger, settler, clock)
        self.watch = ClockWatch()
        self._looked = False
        self._jumped = timedelta(0)  # and not yet told the ledger, which may be away
        self._assembler = assembler
        self._also = also
        self._on_done = on_done

    def step(self) -> bool:
        """One look; there is nothing to repeat at once."""
        now = self._clock()
        self._keep_up(now)
        if self._assembler.run(now) + self._also(now):
            self._on_done()
        return False

    def _keep_up(self, now: datetime) -> None:
        """Where the clock was set, what waits goes on waiting for as long as it would have."""
        if not self._looked:  # was it set back while no node ran?
            latest = self._ledger.last_change()
            if latest is not None and latest > now + _CLEARLY_AHEAD:
                self._jumped = now - latest
            self._looked = True
        self._jumped += self.watch.jump(now)
        if self._jumped:
            _log.warning("the clock was set, or the machine slept", seconds=round(self._jumped.total_seconds(), 1))
            self._assembler.deaf_before(now)
            self._ledger.shift_waits(self._jumped, now)
            self._jumped = timedelta(0)


class StageWorker(Worker):
    """One piece of work at a time, of the stages it has handlers for; whoever follows is rung."""

    def __init__(
        self,
        name: str,
        *,
        ledger: Ledger,
        settler: Settler,
        clock: Clock,
        handlers: Mapping[Stage, Handler],
        on_done: Callable[[], None],
    ) -> None:
        super().__init__(name, ledger, settler, clock)
        self._handlers = handlers
        self._on_done = on_done
        self._next: tuple[Mapping[Stage, Handler], Callable[[], None]] | None = None

    def hand_over(self, handlers: Mapping[Stage, Handler], before: Callable[[], None]) -> None:
        """Work with other handlers from the next piece on; ``before`` is called between the two.

        What ``before`` looks at is then complete: nothing follows from the former handlers any more.
        """
        self._next = (handlers, before)
        self.ring()

    def step(self) -> bool:
        """One piece of work."""
        coming = self._next
        if coming is not None:
            self._handlers = coming[0]
            coming[1]()  # tried again if the ledger is away
            if self._next is coming:
                self._next = None
        work = self._ledger.claim(self._clock(), _LEASE, tuple(self._handlers))
        if work is None:
            return False
        with tracing_work(self._ledger, work):
            try:
                outcome = self._handlers[work.stage](work)
            except Exception as error:  # noqa: BLE001 - the settler tells errors from faults
                self._settler.failed(work, error, _PATIENT)
                return True
            self._settler.done(work, outcome)
        self._on_done()
        return True


class DeliveryWorker(Worker):
    """Takes objects to one destination; a dead destination holds up no other."""

    stage: ClassVar[Stage] = Stage.DELIVER
    most_at_once: ClassVar[int] = _MOST_AT_ONCE

    def __init__(
        self,
        destination: str,
        *,
        ledger: Ledger,
        settler: Settler,
        clock: Clock,
        carry: Carrier,
        backoff: Backoff,
    ) -> None:
        super().__init__(f"{self.stage}-{destination}", ledger, settler, clock)
        self._destination = destination
        self._carry = carry
        self._backoff = backoff

    def step(self) -> bool:
        """As many objects as are due, over one association."""
        works = list(self._due())
        if not works:
            return False
        try:
            results: Sequence[Result] = self._carry(works)
        except Exception as error:  # noqa: BLE001 - the settler tells errors from faults
            results = [error] * len(works)
        for work, result in zip(works, results, strict=True):
            with tracing_work(self._ledger, work):
                if isinstance(result, Outcome):
                    self._settler.done(work, result)
                else:
                    self._settler.failed(work, result, self._backoff)
        return True

    def _due(self) -> Collection[Work]:
        works: list[Work] = []
        while len(works) < self.most_at_once:
            try:
                work = self._ledger.claim(self._clock(), _LEASE, (self.stage,), self._destination)
            except NodeError:
                if not works:
                    raise
                break  # what is claimed already goes out now, not when its lease has ended
            if work is None:
                break
            works.append(work)
        return works


class NoticeWorker(DeliveryWorker):
    """Takes notices to one channel, each by itself: several over a slow channel could outlast their leases."""

    stage = Stage.NOTIFY
    most_at_once = 1
