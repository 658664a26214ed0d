"""The page where one case is settled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import APIRouter, Form
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from node.domain.errors import Refused
from node.domain.review import LONGEST_COMMENT, Decision, Radpeer
from node.web.accounts import Visitor
from node.web.auth import Reviewer, Viewer
from node.web.blindness import stays_blind
from node.web.case_files import CaseFile, open_case, subject_of
from node.web.case_page import case_content
from node.web.forms import go
from node.web.house import house_of
from node.web.rendering import render
from node.web.trail import Action, record

router = APIRouter(prefix="/cases")

_STALE: Final = (
    "Somebody has decided on this case since you opened it. Nothing of yours was recorded: what they decided stands "
    "below, and what you typed is still in the form."
)
_NOTICES: Final[Mapping[str, str]] = {
    "decided": "The decision was recorded.",
    "withdrawn": "The decision was withdrawn; the case is open again.",
}


class DecisionForm(BaseModel):
    """What the form for a decision sends. ``version`` is the one that this decision would be."""

    version: int = Field(ge=1, lt=1 << 31)
    outcome: str = Field(default="", max_length=40)
    radpeer: str = Field(default="", max_length=4)
    comment: str = Field(default="", max_length=4 * LONGEST_COMMENT)


class WithdrawalForm(BaseModel):
    """What the form for undoing a decision sends."""

    version: int = Field(ge=1, lt=1 << 31)
    comment: str = Field(default="", max_length=4 * LONGEST_COMMENT)
    sure: bool = False


@router.get("/{number}")
def show(request: Request, visitor: Viewer, number: int, notice: str = "") -> Response:
    """The case, to anybody who may see it."""
    file = open_case(request, visitor, number)
    record(request, visitor.name, Action.CASE_VIEWED, subject_of(number), blind=file.names.blind)
    return _page(request, visitor, file, notice=_NOTICES.get(notice, ""))


@router.post("/{number}/reveal")
def reveal(request: Request, visitor: Reviewer, number: int) -> Response:
    """Say which read is whose, once and for good; what is decided from then on was not decided blind."""
    open_case(request, visitor, number)
    record(request, visitor.name, Action.CASE_VIEWED, subject_of(number), blind=False)
    return go(f"/cases/{number}")


@router.post("/{number}/decide")
def decide(request: Request, visitor: Reviewer, number: int, typed: Annotated[DecisionForm, Form()]) -> Response:
    """Record the next version of the decision."""
    file = open_case(request, visitor, number)
    try:
        outcome = file.names.outcome(typed.outcome)
        grade = Radpeer(typed.radpeer) if typed.radpeer and not file.names.blind else None
    except ValueError:
        return _page(request, visitor, file, error="Choose who is right.", typed=typed)
    blind = file.names.blind or stays_blind(file.case, visitor.name, outcome)
    try:
        decision = Decision(
            version=typed.version,
            outcome=outcome,
            radpeer=grade,
            comment=typed.comment.replace("\r\n", "\n").strip(),
            reviewer=visitor.name,
            decided_at=house_of(request).clock(),
            blind=blind,
        )
        house_of(request).ledger.add_decision(number, decision)
    except Refused as refusal:
        return _refused(request, visitor, number, typed, refusal)
    return go(f"/cases/{number}", notice="decided")


@router.post("/{number}/withdraw")
def withdraw(request: Request, visitor: Reviewer, number: int, typed: Annotated[WithdrawalForm, Form()]) -> Response:
    """Undo the decision by a new version; the history keeps both."""
    file = open_case(request, visitor, number)
    if not typed.sure:
        return _page(request, visitor, file, error="Tick the box to confirm that the decision is to be withdrawn.")
    try:
        decision = Decision(
            version=typed.version,
            outcome=None,
            radpeer=None,
            comment=typed.comment.replace("\r\n", "\n").strip(),
            reviewer=visitor.name,
            decided_at=house_of(request).clock(),
            blind=False,
            withdrawn=True,
        )
        house_of(request).ledger.add_decision(number, decision)
    except Refused as refusal:
        return _refused(request, visitor, number, DecisionForm(version=typed.version), refusal)
    return go(f"/cases/{number}", notice="withdrawn")


def _refused(request: Request, visitor: Visitor, number: int, typed: DecisionForm, refusal: Refused) -> Response:
    """The page as it is now, with what was typed: of two people the first is recorded, the second told."""
    file = open_case(request, visitor, number)
    stale = typed.version != len(file.case.decisions) + 1
    words = _STALE if stale else f"{str(refusal)[:1].upper()}{str(refusal)[1:]}."
    return _page(request, visitor, file, error=words, typed=typed)


def _page(
    request: Request,
    visitor: Visitor,
    file: CaseFile,
    *,
    notice: str = "",
    error: str = "",
    typed: DecisionForm | None = None,
) -> Response:
    house = house_of(request)
    kept = typed or DecisionForm(version=1)
    content = {**case_content(house, visitor, file), "notice": notice, "error": error, "typed": kept}
    stale = typed is not None and typed.version != len(file.case.decisions) + 1
    return render(request, "case.html", content, (409 if stale else 422) if error else 200)
