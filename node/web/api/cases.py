"""Cases and decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Final

from fastapi import APIRouter, Depends, HTTPException, Path, Query
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.config import JsonDict
from starlette.requests import Request

from node.domain.cases import Case, CaseFilter, CaseOrder, CaseRow, CaseState, PageOf
from node.domain.discrepancy import Difference
from node.domain.errors import Refused
from node.domain.review import LONGEST_COMMENT, Decision, Radpeer, ReviewOutcome, proposed_radpeer
from node.domain.tiers import Tier
from node.web.accounts import Visitor
from node.web.api.bodies import as_body, body_of
from node.web.api.examples import DECISION
from node.web.auth import Reviewer, Viewer
from node.web.case_files import case_numbered, person, subject_of
from node.web.house import House, house_of
from node.web.trail import Action, record
from node.web.veil import order_for, veiled, withheld

router = APIRouter(prefix="/cases", tags=["cases"])
_Word = Annotated[str, Query(max_length=200)]
_Number = Annotated[int, Path(ge=1, description="The id of a case")]
_Date = Annotated[str, Query(pattern=r"^([0-9]{8})?$")]
_CONFLICT: Final = (
    "It is not the next version, there is no decision to withdraw, the reads were compared anew, or you are still to "
    "review the case blind"
)
_DECIDES: Final[JsonDict] = {"outcome": {"type": "string"}, "withdrawn": {"const": False}}
_WITHDRAWS: Final[JsonDict] = {"withdrawn": {"const": True}, "outcome": {"type": "null"}, "radpeer": {"type": "null"}}


class DecisionIn(BaseModel):
    """A decision, or the withdrawal of one. ``version`` is the one it would be: one more than there are."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "oneOf": [
                {"required": ["outcome"], "properties": _DECIDES},
                {"required": ["withdrawn"], "properties": _WITHDRAWS},
            ]
        },
    )
    version: int = Field(ge=1, lt=1 << 31)
    outcome: ReviewOutcome | None = None
    radpeer: Radpeer | None = None
    comment: str = Field(default="", max_length=LONGEST_COMMENT)
    withdrawn: bool = False


_REVEAL: Final = "/api/v1/cases/{number}/reveal"
_SCHEMA: Final = {
    # its enums stand among the document's components already, with every answer that holds a decision
    name: part
    for name, part in DecisionIn.model_json_schema(ref_template="#/components/schemas/{model}").items()
    if name != "$defs"
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseList:
    """One page of cases, and how many meet the filter.

    ``withheld`` are the numbers of those that the user is still to review blind: they come without scores.
    """

    withheld: Sequence[int]
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
    """A case with its reasons and its history.

    ``withheld``: the user is still to review it blind, and it comes without all that says whose read is whose.
    """

    case: CaseRow
    latest: bool
    withheld: bool
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
    visitor: Viewer,
    wanted: Annotated[CaseFilter, Depends(_filter)],
    order: CaseOrder = CaseOrder.TIER,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> CaseList:
    """Cases: the latest comparison of each study, the most important first."""
    ledger = house_of(request).ledger
    found = ledger.cases(wanted, PageOf(order=order_for(visitor, order), limit=limit, offset=offset))
    hidden = withheld(ledger, visitor, found.rows)
    rows = [veiled(row) if row.id in hidden else row for row in found.rows]
    return CaseList(total=found.total, limit=limit, offset=offset, cases=rows, withheld=sorted(hidden))


@router.get("/{number}")
def detail(request: Request, visitor: Viewer, number: _Number) -> CaseDetail:
    """One case; without scores where the user is still to review it blind."""
    house = house_of(request)
    case = case_numbered(house, number)
    hidden = bool(withheld(house.ledger, visitor, (case.row,)))
    record(request, visitor.name, Action.CASE_VIEWED, subject_of(number), blind=hidden)
    return _blind_detail(case) if hidden else _detail(house, visitor, case)


@router.post("/{number}/reveal")
def reveal(request: Request, visitor: Reviewer, number: _Number) -> CaseDetail:
    """Say which read is whose, once and for good; what the user decides from then on was not decided blind."""
    house = house_of(request)
    case = case_numbered(house, number)
    record(request, visitor.name, Action.CASE_VIEWED, subject_of(number), blind=False)
    return _detail(house, visitor, case)


@router.post(
    "/{number}/decisions",
    status_code=201,
    openapi_extra=as_body(_SCHEMA | {"examples": [DECISION]}, "application/json"),
    responses={409: {"description": _CONFLICT}},
)
def decide(
    request: Request,
    visitor: Reviewer,
    number: _Number,
    body: Annotated[bytes, Depends(body_of("application/json"))],
) -> CaseDetail:
    """Record the next version of the decision on a case, or of its withdrawal."""
    house = house_of(request)
    case = case_numbered(house, number)
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
    if not sent.withdrawn and withheld(house.ledger, visitor, (case.row,)):
        raise HTTPException(409, f"You are to review this case blind: do so on its page, or POST to {_REVEAL} first.")
    try:
        house.ledger.add_decision(number, decision)
    except Refused as refusal:  # nothing is wrong with what was sent: it does not go with what is decided here
        raise HTTPException(409, f"{refusal}.".capitalize()) from refusal
    return _detail(house, visitor, case_numbered(house, number))


def _parsed(body: bytes) -> DecisionIn:
    try:
        return DecisionIn.model_validate_json(body)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, one['loc'])) or 'body'}: {one['msg']}" for one in error.errors()]
        raise HTTPException(422, "; ".join(faults[:20])) from error


def _detail(house: House, visitor: Visitor, case: Case) -> CaseDetail:
    read = house.ledger.find_read(case.row.read_id)
    content = case.comparison
    return CaseDetail(
        case=case.row,
        latest=case.latest,
        withheld=False,
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


def _blind_detail(case: Case) -> CaseDetail:
    return CaseDetail(
        case=veiled(case.row),
        latest=case.latest,
        withheld=True,
        reasons=(),
        differences=(),
        lesions=(),
        absent=(),
        borderline=(),
        remarks=(),
        model_sha256=case.model_sha256,
        limits_sha256=case.limits_sha256,
        reader="",
        proposed_radpeer={},
        decisions=(),
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
