"""Cases and decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from node.domain.cases import Case, CaseFilter, CaseOrder, CaseRow, CaseState, PageOf
from node.domain.discrepancy import Difference
from node.domain.errors import Refused
from node.domain.review import LONGEST_COMMENT, Decision, Radpeer, ReviewOutcome, proposed_radpeer
from node.domain.tiers import Tier
from node.web.accounts import Visitor
from node.web.api.bodies import as_body, body_of
from node.web.auth import Reviewer, Viewer
from node.web.case_files import person, subject_of
from node.web.house import House, house_of
from node.web.trail import Action, record

router = APIRouter(prefix="/cases", tags=["cases"])
_Word = Annotated[str, Query(max_length=200)]
_Date = Annotated[str, Query(pattern=r"^([0-9]{8})?$")]


class DecisionIn(BaseModel):
    """A decision, or the withdrawal of one. ``version`` is the one it would be: one more than there are."""

    model_config = ConfigDict(extra="forbid")
    version: int = Field(ge=1)
    outcome: ReviewOutcome | None = None
    radpeer: Radpeer | None = None
    comment: str = Field(default="", max_length=LONGEST_COMMENT)
    withdrawn: bool = False


_SCHEMA: Final = DecisionIn.model_json_schema()


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseList:
    """One page of cases, and how many meet the filter."""

    total: int
    limit: int
    offset: int
    cases: Sequence[CaseRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionOut:
    """A version of the decision; the reviewer by pseudonym, by name to administrators and themselves."""

    version: int
    outcome: ReviewOutcome | None
    radpeer: Radpeer | None
    comment: str
    reviewer: str
    decided_at: datetime
    blind: bool
    withdrawn: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseDetail:
    """A case with its reasons and its history."""

    case: CaseRow
    latest: bool
    reasons: Sequence[str]
    differences: Sequence[Difference]
    lesions: Sequence[int]
    absent: Sequence[str]
    borderline: Sequence[str]
    remarks: Sequence[str]
    model_sha256: str
    limits_sha256: str
    reader: str
    proposed_radpeer: dict[str, Radpeer]
    decisions: Sequence[DecisionOut]


def _filter(
    tier: Annotated[list[Tier], Query()] = [],  # noqa: B006 - FastAPI copies it
    state: CaseState | None = None,
    q: _Word = "",
    study_from: _Date = "",
    study_to: _Date = "",
    scanner: _Word = "",
) -> CaseFilter:
    return CaseFilter(
        tiers=frozenset(tier), state=state, words=q, study_from=study_from, study_to=study_to, scanner=scanner
    )


@router.get("")
def listed(
    request: Request,
    visitor: Viewer,  # noqa: ARG001 - asks for the role
    wanted: Annotated[CaseFilter, Depends(_filter)],
    order: CaseOrder = CaseOrder.TIER,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> CaseList:
    """Cases: the latest comparison of each study, the most important first."""
    found = house_of(request).ledger.cases(wanted, PageOf(order=order, limit=limit, offset=offset))
    return CaseList(total=found.total, limit=limit, offset=offset, cases=found.rows)


@router.get("/{number}")
def detail(request: Request, visitor: Viewer, number: int) -> CaseDetail:
    """One case. It says which read is whose, so a later decision on the page is no blind one."""
    case = _case(house_of(request), number)
    record(request, visitor.name, Action.CASE_VIEWED, subject_of(number), blind=False)
    return _detail(house_of(request), visitor, case)


@router.post(
    "/{number}/decisions",
    status_code=201,
    openapi_extra=as_body(_SCHEMA, "application/json"),
    responses={409: {"description": "Somebody else has decided in the meantime"}},
)
def decide(
    request: Request, visitor: Reviewer, number: int, body: Annotated[bytes, Depends(body_of("application/json"))]
) -> CaseDetail:
    """Record the next version of the decision on a case, or of its withdrawal."""
    house = house_of(request)
    case = _case(house, number)
    sent = _parsed(body)
    if not case.latest:
        raise HTTPException(409, "The reads of this study were compared anew in the meantime: decide on that.")
    if sent.version != len(case.decisions) + 1:
        raise HTTPException(409, f"The next version is {len(case.decisions) + 1}, not {sent.version}.")
    decision = Decision(
        version=sent.version,
        outcome=sent.outcome,
        radpeer=sent.radpeer,
        comment=sent.comment.strip(),
        reviewer=visitor.name,
        decided_at=house.clock(),
        blind=False,
        withdrawn=sent.withdrawn,
    )
    try:
        house.ledger.add_decision(number, decision)
    except Refused as refusal:
        raced = len(house.ledger.decisions(number)) >= sent.version
        raise HTTPException(409 if raced else 422, f"{refusal}.".capitalize()) from refusal
    return _detail(house, visitor, _case(house, number))


def _parsed(body: bytes) -> DecisionIn:
    try:
        return DecisionIn.model_validate_json(body)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}" for one in error.errors()]
        raise HTTPException(422, "; ".join(faults[:20])) from error


def _case(house: House, number: int) -> Case:
    found = house.ledger.case(number) if number < 1 << 31 else None
    if found is None:
        raise HTTPException(404, "There is no case of this number.")
    return found


def _detail(house: House, visitor: Visitor, case: Case) -> CaseDetail:
    read = house.ledger.find_read(case.row.read_id)
    content = case.comparison
    return CaseDetail(
        case=case.row,
        latest=case.latest,
        reasons=content.reasons,
        differences=content.differences,
        lesions=content.lesions,
        absent=content.absent,
        borderline=content.borderline,
        remarks=content.remarks,
        model_sha256=case.model_sha256,
        limits_sha256=case.limits_sha256,
        reader=person(house, visitor, read.read.reader if read else ""),
        proposed_radpeer={str(outcome): proposed_radpeer(content, outcome) for outcome in ReviewOutcome},
        decisions=[_decision(house, visitor, one) for one in case.decisions],
    )


def _decision(house: House, visitor: Visitor, one: Decision) -> DecisionOut:
    return DecisionOut(
        version=one.version,
        outcome=one.outcome,
        radpeer=one.radpeer,
        comment=one.comment,
        reviewer=person(house, visitor, one.reviewer),
        decided_at=one.decided_at,
        blind=one.blind,
        withdrawn=one.withdrawn,
    )
