"""Users: who may log in, as what. For administrators."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form
from starlette.requests import Request
from starlette.responses import Response

from node.domain.errors import Refused
from node.domain.people import Role, User
from node.web import passwords
from node.web.auth import Admin
from node.web.forms import NOTICES, go
from node.web.house import house_of
from node.web.rendering import render
from node.web.trail import Action, record

router = APIRouter(prefix="/users")
_Name = Annotated[str, Form(max_length=200)]


@router.get("")
def everybody(request: Request, visitor: Admin, notice: str = "") -> Response:  # noqa: ARG001 - asks for the role
    """The list."""
    return _page(request, notice=NOTICES.get(notice, ""))


@router.post("/add")
def add(request: Request, visitor: Admin, name: _Name, role: Annotated[Role, Form()]) -> Response:
    """Add a user with a random password, shown this once; its owner has to change it."""
    password = passwords.random_password()
    try:
        user = house_of(request).accounts.add(name, role, password, initial=True)
    except Refused as error:
        return _page(request, error=str(error), typed=name, status=422)
    record(request, visitor.name, Action.USER_ADDED, f"user:{user.name}", role=str(role))
    return _page(request, given=(user.name, password))


@router.post("/password")
def reset(request: Request, visitor: Admin, name: _Name) -> Response:
    """Give a user a new random password, shown this once."""
    password = passwords.random_password()
    user = house_of(request).accounts.set_password(name, password, initial=True)
    record(request, visitor.name, Action.USER_PASSWORD, f"user:{user.name}")
    return _page(request, given=(user.name, password))


@router.post("/role")
def change_role(request: Request, visitor: Admin, name: _Name, role: Annotated[Role, Form()]) -> Response:
    """Change what a user may do."""
    house_of(request).accounts.change(name, role=role)
    record(request, visitor.name, Action.USER_ROLE, f"user:{name}", role=str(role))
    return go("/users", notice="user-changed")


@router.post("/active")
def change_state(request: Request, visitor: Admin, name: _Name, active: Annotated[bool, Form()]) -> Response:
    """Disable a user, or let them in again. Users are never deleted: their deeds carry their names."""
    house_of(request).accounts.change(name, active=active)
    record(request, visitor.name, Action.USER_ENABLED if active else Action.USER_DISABLED, f"user:{name}")
    return go("/users", notice="user-changed")


def _page(
    request: Request,
    *,
    notice: str = "",
    error: str = "",
    typed: str = "",
    given: tuple[str, str] | None = None,
    status: int = 200,
) -> Response:
    users: tuple[User, ...] = house_of(request).ledger.users()
    content = {
        "users": users,
        "initial": {one.name for one in users if passwords.is_initial(one.password_hash)},
        "roles": tuple(Role),
        "notice": notice,
        "error": error,
        "typed": typed,
        "given": given,
    }
    return render(request, "users.html", content, status)
