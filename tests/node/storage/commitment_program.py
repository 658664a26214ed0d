"""Asks for commitment to one instance, and says when that is recorded; a fault may end it before."""

from __future__ import annotations

from pathlib import Path

from node.domain.commitment import CommitmentRequest, Reference
from node.storage.ledger import Ledger
from tests.node.storage.builders import NOW

ASKED = CommitmentRequest(
    transaction_uid="9", ae_title="CT01", host="10.1.0.5", references=(Reference("1.2", "3.4"), Reference("1.2", "3.5"))
)


def main(root: Path) -> None:
    with Ledger(f"sqlite:///{root}/ledger.sqlite") as ledger:
        ledger.add_commitment(ASKED, NOW)
    print("recorded", flush=True)  # noqa: T201 - whoever started this listens
