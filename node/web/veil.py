"""What is withheld from a person who is still to review a case blind, on every page and by the API alike.

The rule: whoever may review (the user's own role, not that of a token) is shown neither score, reason nor mark of a
flagged case that nobody has decided, until they have had shown to them whose read is whose. That happens on the case
(``/cases/N/reveal``, by page or API), is on record in the audit trail, and holds for the study: what was seen of an
earlier comparison of it cannot be forgotten. On the case itself both reads are shown, as A and B.

Figures over many cases leave the scores of every flagged case without a decision out for the same people, whatever
they have seen of it: narrow enough a filter, and a figure is a score (``node.web.figures.veiled``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from node.domain.cases import CaseOrder, CaseRow, CaseState
from node.domain.people import Role
from node.storage.ledger import Ledger
from node.web.accounts import Visitor

TELLING: Final = frozenset({CaseOrder.DIFFERENCE})
"""Orders of the worklist that would say which read is the higher."""


def reads_blind(visitor: Visitor) -> bool:
    """Whether anything can be withheld from a visitor: a person who may review, however they come."""
    return visitor.user.role.allows(Role.REVIEWER)


def waits(row: CaseRow) -> bool:
    """Whether a case is one to be reviewed blind."""
    return row.state is CaseState.OPEN and row.tier.flagged


def withheld(ledger: Ledger, visitor: Visitor, rows: Sequence[CaseRow]) -> frozenset[int]:
    """Numbers of those cases whose scores the visitor is not to see yet."""
    if not reads_blind(visitor):
        return frozenset()
    waiting = frozenset(row.id for row in rows if waits(row))
    return waiting - ledger.names_known(visitor.name, waiting) if waiting else waiting


def study_withheld(ledger: Ledger, visitor: Visitor, study_uid: str) -> bool:
    """Whether the human reads of a study are withheld: its case is, or it has none yet and may become one."""
    if not reads_blind(visitor):
        return False
    case = ledger.case_of_study(study_uid)
    return case is None or bool(withheld(ledger, visitor, (case,)))


def order_for(visitor: Visitor, order: CaseOrder) -> CaseOrder:
    """The order a visitor may have the cases in."""
    return CaseOrder.TIER if order in TELLING and reads_blind(visitor) else order


def veiled(row: CaseRow) -> CaseRow:
    """A case without its scores."""
    return replace(row, ours=None, human=None, difference=None)
