"""Everything in one process: a thread for the open series, one for the scans, one for each destination."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import structlog

from node.dispatch.worker import Worker

_log = structlog.get_logger(__name__)


class LocalDispatcher:
    """Runs the stages on one machine.

    The ledger alone holds the state: whatever this forgets when the process dies, the next one finds there.
    """

    def __init__(self, assembly: Worker, stages: Sequence[Worker], deliveries: Sequence[Worker]) -> None:
        self._assembly = assembly
        self._workers = (*stages, *deliveries)
        self._leaving: tuple[Worker, ...] = ()
        self._turn = threading.Lock()
        self._over = False

    def start(self) -> None:
        """Start every thread."""
        for worker in (self._assembly, *self._workers):
            worker.start()

    def association_ended(self) -> None:
        """Look at the open series now instead of at the next tick."""
        self._assembly.ring()

    def work_added(self) -> None:
        """Wake everybody who may have something to do."""
        for worker in self._workers:
            worker.ring()

    def exchange(self, leaving: Sequence[Worker], joining: Sequence[Worker]) -> None:
        """Let some finish what is in hand and go, and others begin; not once the end has been told.

        What somebody who goes had not begun is there for whoever takes his place.
        """
        with self._turn:
            if self._over:
                return
            self._leaving = (*(one for one in self._leaving if one.is_alive()), *leaving)
            self._workers = (*(one for one in self._workers if one not in leaving), *joining)
            for worker in leaving:
                worker.end()
            for worker in joining:
                worker.start()

    def end(self) -> None:
        """Tell everybody to finish what is in hand and take no more; returns at once."""
        with self._turn:
            self._over = True
        for worker in (self._assembly, *self._workers):
            worker.end()

    def stop(self, grace_seconds: float) -> bool:
        """Let everybody finish what is in hand; whether all did within ``grace_seconds``."""
        self.end()
        workers = [worker for worker in (self._assembly, *self._workers, *self._leaving) if worker.is_alive()]
        until = time.monotonic() + grace_seconds
        for worker in workers:
            worker.join(max(0.0, until - time.monotonic()))
        late = [worker.name for worker in workers if worker.is_alive()]
        if late:
            _log.warning("stopped in the middle of work, which the next start takes up again", workers=late)
        return not late
