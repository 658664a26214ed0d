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
