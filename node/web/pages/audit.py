"""The audit trail: who did what, when, to what. For administrators."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from node.domain.people import AuditEntry
from node.web.auth import Admin
from node.web.house import house_of
from node.web.paging import Paging
from node.web.rendering import render
from node.web.trail import Action, record
from node.web.trail_csv import table_of

router = APIRouter(prefix="/audit")
_ROWS: Final = 100
_Words = Annotated[str, Query(max_length=200)]


@router.get("")
def trail(
    request: Request,
    visitor: Admin,  # noqa: ARG001 - asks for the role
    actor: _Words = "",
    subject: _Words = "",
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
    verify: bool = False,  # noqa: FBT001, FBT002 - a name in the address
) -> Response:
    """Entries, newest first. ``verify`` walks the whole chain, which takes a moment."""
    ledger = house_of(request).ledger
    actor, subject = actor.strip(), subject.strip()
    found = ledger.audit_entries(actor=actor, subject=subject, limit=_ROWS + 1, offset=(page - 1) * _ROWS)
    content = {
        "entries": [(entry, _words(entry)) for entry in found[:_ROWS]],
        "actor": actor,
        "subject": subject,
        "paging": Paging(request, page=page, more=len(found) > _ROWS),
        "verified": verify,
        "chain_faults": ledger.verify_audit() if verify else (),
        "head": ledger.audit_head(),
    }
    return render(request, "audit.html", content)


@router.get("/export.csv")
def export(request: Request, visitor: Admin, actor: _Words = "", subject: _Words = "") -> Response:
    """All of it, or what the filter leaves, with the hashes: whoever has it can check the chain."""
    record(request, visitor.name, Action.AUDIT_EXPORTED, of_whom=actor or None, of_what=subject or None)
    rows = table_of(house_of(request).ledger, actor=actor.strip(), subject=subject.strip())
    headers = {"Content-Disposition": 'attachment; filename="audit.csv"'}
    return StreamingResponse(rows, media_type="text/csv; charset=utf-8", headers=headers)


def _words(entry: AuditEntry) -> str:
    """The detail of an entry in a line, without the address, which has its own column."""
    told = {True: "yes", False: "no"}
    return ", ".join(
        f"{name} {told[value] if isinstance(value, bool) else value}"
        for name, value in entry.detail.items()
        if name != "address" and value != ""
    )
