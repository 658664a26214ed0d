"""Tokens of the API: which machine may ask, as what, until when. For administrators."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import Response

from node.domain.errors import Refused
from node.domain.people import Role
from node.web.auth import Admin
from node.web.forms import go
from node.web.house import house_of
from node.web.rendering import render
from node.web.tokens import LONGEST_DAYS, LONGEST_NAME, give_out
from node.web.trail import Action, record

router = APIRouter(prefix="/tokens")
_Text = Annotated[str, Form(max_length=200)]


@router.get("")
def everything(request: Request, visitor: Admin, notice: str = "") -> Response:  # noqa: ARG001 - asks for the role
    """The list."""
    return _page(request, notice="The token opens nothing any more." if notice == "revoked" else "")


@router.post("/add")
def add(
    request: Request,
    visitor: Admin,
    user: _Text,
    name: _Text,
    role: Annotated[Role, Form()],
    days: Annotated[int, Form()] = 365,
) -> Response:
    """Give out a token, shown this once."""
    house = house_of(request)
    owner = house.ledger.user(user.strip().lower())
    if owner is None:
        return _page(request, error="There is no such user.", status=422)
    try:
        token, secret = give_out(house.ledger, owner, name, role, now=house.clock(), days=days)
    except Refused as refusal:
        return _page(request, error=f"{refusal}.".capitalize(), status=422)
    record(request, visitor.name, Action.TOKEN_ADDED, f"token:{token.id}", user=owner.name, role=str(role))
    return _page(request, given=(token.name, secret))


@router.post("/revoke")
def revoke(request: Request, visitor: Admin, token: Annotated[int, Form(ge=1, lt=1 << 31)]) -> Response:
    """End a token now."""
    house = house_of(request)
    house.ledger.revoke_token(token, house.clock())
    record(request, visitor.name, Action.TOKEN_REVOKED, f"token:{token}")
    return go("/tokens", notice="revoked")


def _page(
    request: Request, *, notice: str = "", error: str = "", given: tuple[str, str] | None = None, status: int = 200
) -> Response:
    house = house_of(request)
    users = house.ledger.users()
    names = {one.id: one.name for one in users}
    now = house.clock()
    content = {
        "tokens": [(one, names.get(one.user_id, ""), one.valid(now)) for one in house.ledger.tokens()],
        "users": [one.name for one in users if one.active],
        "roles": tuple(Role),
        "longest_name": LONGEST_NAME,
        "longest_days": LONGEST_DAYS,
        "notice": notice,
        "error": error,
        "given": given,
    }
    return render(request, "tokens.html", content, status)
