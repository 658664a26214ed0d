"""Everything in one process: a thread for the open series, one for the scans, one for each destination."""

from __future__ import annotations

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

    def end(self) -> None:
        """Tell everybody to finish what is in hand and take no more; returns at once."""
        for worker in (self._assembly, *self._workers):
            worker.end()

    def stop(self, grace_seconds: float) -> bool:
        """Let everybody finish what is in hand; whether all did within ``grace_seconds``."""
        self.end()
        workers = [worker for worker in (self._assembly, *self._workers) if worker.is_alive()]
        until = time.monotonic() + grace_seconds
        for worker in workers:
            worker.join(max(0.0, until - time.monotonic()))
        late = [worker.name for worker in workers if worker.is_alive()]
        if late:
            _log.warning("stopped in the middle of work, which the next start takes up again", workers=late)
        return not late
