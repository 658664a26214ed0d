"""The stores of a node, handed to the stages together."""

from __future__ import annotations

from dataclasses import dataclass

from node.storage.ledger import Ledger
from node.storage.originals import Originals
from node.storage.spool import Outbox, Spool


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    """What was received, what was made, and the truth about both."""

    ledger: Ledger
    spool: Spool
    outbox: Outbox
    originals: Originals

    def remove(self, relative: str) -> None:
        """Remove a file the ledger has let go, whichever folder it is in. One that is gone already is no error."""
        folders = {"outbox": self.outbox.remove, "reads": self.originals.remove}
        folders.get(relative.partition("/")[0], self.spool.remove)(relative)
