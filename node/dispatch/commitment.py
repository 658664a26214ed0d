"""The thread that tells peers the results of storage commitment."""

from __future__ import annotations

from node.dispatch.settle import Settler
from node.dispatch.worker import Clock, Worker
from node.stages.commit import Commitments
from node.storage.ledger import Ledger


class CommitmentWorker(Worker):
    """Looks at every ring, and at least once a second."""

    def __init__(self, *, ledger: Ledger, settler: Settler, clock: Clock, commitments: Commitments) -> None:
        super().__init__("commitment", ledger, settler, clock)
        self._commitments = commitments
        commitments.on_taken = self.ring

    def step(self) -> bool:
        """Tell what is due; whether there was anything."""
        return bool(self._commitments.tell_due())
