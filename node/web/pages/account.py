"""A user's own password."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException
from starlette.requests import Request
from starlette.responses import Response

from node.domain.errors import Refused
from node.web import passwords
from node.web.accounts import Visitor
from node.web.auth import Viewer, set_session
from node.web.forms import go
from node.web.house import house_of
from node.web.rendering import render
from node.web.trail import Action, address_of, record

router = APIRouter()
_Typed = Annotated[str, Form(max_length=1000)]


@router.get("/password")
def form(request: Request, visitor: Viewer) -> Response:
    """The form."""
    return _form(request, visitor)


@router.post("/password")
def change(request: Request, visitor: Viewer, present: _Typed = "", new: _Typed = "", again: _Typed = "") -> Response:
    """Change it. Every session of the user ends but this one, which goes on under a new secret."""
    house = house_of(request)
    if not house.tries.spend(address_of(request), house.clock()):
        raise HTTPException(429, "Too many tries from this address. Wait some minutes and try again.")
    if house.accounts.log_in(visitor.name, present) is None:
        record(request, visitor.name, Action.LOGIN_FAILED, reason="present password")
        return _form(request, visitor, "The present password is not right.")
    if new != again:
        return _form(request, visitor, "The two new passwords are not the same.")
    if new == present:
        return _form(request, visitor, "The new password is the present one.")
    try:
        user = house.accounts.set_password(visitor.name, new, initial=False)
    except Refused as error:
        return _form(request, visitor, f"{error}.".capitalize())
    record(request, visitor.name, Action.PASSWORD_CHANGED)
    answer = go("/", notice="password-changed")
    set_session(request, answer, house.accounts.open(user))
    return answer


def _form(request: Request, visitor: Visitor, error: str = "") -> Response:
    content = {"error": error, "forced": visitor.must_change_password, "shortest": passwords.SHORTEST}
    return render(request, "password.html", content, 422 if error else 200)
