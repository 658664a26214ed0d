"""All that belongs to a case, gathered for a visitor: what they may be told, and what is still there to be shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from fastapi import HTTPException
from starlette.requests import Request

from node.domain.cases import Case, CaseFilter, CaseOrder, CaseState, PageOf
from node.domain.errors import Permanent
from node.domain.findings import Findings
from node.domain.people import Role
from node.domain.read_history import StoredRead
from node.domain.reading_json import loads
from node.domain.studies import StudyFacts
from node.domain.tiers import Tier
from node.stages.scans import ScanKey
from node.web.accounts import Visitor
from node.web.blindness import Names, names_for
from node.web.house import House, house_of
from node.web.veil import withheld

_MOST_NEIGHBOURS: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFile:
    """A case, opened by a visitor."""

    case: Case
    names: Names
    study: StudyFacts | None
    read: StoredRead | None
    findings: Findings | None


def scan_of(case: Case) -> ScanKey:
    """The scan of a case."""
    row = case.row
    return ScanKey(series_uid=row.series_uid, generation=row.generation, read_id=row.read_id)


def subject_of(number: int) -> str:
    """How the audit trail names a case."""
    return f"case:{number}"


def case_numbered(house: House, number: int) -> Case:
    """The case of a number that somebody typed, however long. Raises HTTPException 404 if there is none."""
    case = house.ledger.case(number) if 0 < number < 1 << 31 else None
    if case is None:
        raise HTTPException(404, "There is no case of this number.")
    return case


def open_case(request: Request, visitor: Visitor, number: int) -> CaseFile:
    """The case of this number, for a visitor. Raises HTTPException 404 if there is none."""
    house = house_of(request)
    case = case_numbered(house, number)
    blind = bool(withheld(house.ledger, visitor, (case.row,)))
    return CaseFile(
        case=case,
        names=names_for(case, visitor.name, blind=blind),
        study=house.ledger.study(case.row.study_uid),
        read=house.ledger.find_read(case.row.read_id),
        findings=_findings(house, case),
    )


def neighbours(house: House, number: int) -> tuple[int | None, int | None]:
    """The flagged open cases before and after this one in the order of the worklist.

    A case that is not among them (any more) is followed by the first.
    """
    wanted = CaseFilter(tiers=frozenset(tier for tier in Tier if tier.flagged), state=CaseState.OPEN)
    rows = house.ledger.cases(wanted, PageOf(order=CaseOrder.TIER, limit=_MOST_NEIGHBOURS)).rows
    numbers = [row.id for row in rows]
    if number not in numbers:
        return None, next(iter(numbers), None)
    at = numbers.index(number)
    return (numbers[at - 1] if at else None), (numbers[at + 1] if at + 1 < len(numbers) else None)


def person(house: House, visitor: Visitor, name: str) -> str:
    """What a reader or reviewer is called to this visitor: by name to administrators and themselves, else not."""
    if not name:
        return ""
    return name if visitor.may(Role.ADMIN) or name == visitor.name else house.ledger.pseudonym(name)


def _findings(house: House, case: Case) -> Findings | None:
    reading = house.ledger.reading(case.row.series_uid, case.row.generation)
    if reading is None:
        return None
    try:
        found = loads(house.services.storage.outbox.read(reading.findings))
    except (Permanent, OSError):
        return None
    return found if isinstance(found, Findings) else None
