"""Log-in and log-out."""

from __future__ import annotations

import hmac
import secrets
from typing import Annotated, Final

from fastapi import APIRouter, Form, HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from node.web import passwords
from node.web.auth import LOGIN, Viewer, clear_session, known_visitor, set_session
from node.web.forms import NOTICES, go, local
from node.web.house import house_of
from node.web.rendering import render
from node.web.trail import Action, address_of, record

router = APIRouter()
_COOKIE: Final = "login"
_WRONG: Final = (
    "User name or password is wrong, the account is disabled, or it is locked for some minutes after failed log-ins."
)


@router.get(LOGIN)
def form(request: Request, next: str = "/", notice: str = "") -> Response:  # noqa: A002 - the name in the address
    """The form; whoever is logged in already goes on."""
    if known_visitor(request) is not None:
        return RedirectResponse(local(next), 303)
    return _form(request, wanted=next, notice=NOTICES.get(notice, ""))


@router.post(LOGIN)
def log_in(
    request: Request,
    name: Annotated[str, Form(max_length=200)] = "",
    password: Annotated[str, Form(max_length=1000)] = "",
    token: Annotated[str, Form(max_length=200)] = "",
    wanted: Annotated[str, Form(alias="next", max_length=2000)] = "/",
) -> Response:
    """Begin a session. The form's token has to be the one in its cookie: nobody logs a browser in from elsewhere."""
    house = house_of(request)
    expected = request.cookies.get(_COOKIE, "")
    if not expected or not hmac.compare_digest(expected.encode("utf-8"), token.encode("utf-8")):
        return _form(request, wanted=wanted, error="The form had grown old. Please try again.", status=403)
    if not house.tries.spend(address_of(request), house.clock()):
        raise HTTPException(429, "Too many log-ins from this address. Wait some minutes and try again.")
    user = house.accounts.log_in(name, password)
    if user is None:
        known = house.accounts.known(name)  # what else was typed is not kept: it may be a password in the wrong field
        record(request, known.name if known else "unknown user", Action.LOGIN_FAILED)
        return _form(request, wanted=wanted, error=_WRONG, status=401, name=name[:64])
    house.tries.forgive(address_of(request))
    old = known_visitor(request)
    if old is not None:
        house.accounts.close(old)
    answer = go("/password" if passwords.is_initial(user.password_hash) else local(wanted))
    set_session(request, answer, house.accounts.open(user))
    answer.delete_cookie(_COOKIE, path=LOGIN)
    record(request, user.name, Action.LOGGED_IN)
    return answer


@router.post("/logout")
def log_out(request: Request, visitor: Viewer) -> Response:
    """End the session."""
    house_of(request).accounts.close(visitor)
    record(request, visitor.name, Action.LOGGED_OUT)
    answer = go(LOGIN, notice="logged-out")
    clear_session(request, answer)
    return answer


def _form(
    request: Request, *, wanted: str, error: str = "", notice: str = "", status: int = 200, name: str = ""
) -> Response:
    token = secrets.token_urlsafe(24)
    content = {"wanted": local(wanted), "error": error, "notice": notice, "token": token, "name": name}
    page = render(request, "login.html", content, status)
    secure = house_of(request).settings.secure_cookies or request.url.scheme == "https"
    page.set_cookie(_COOKIE, token, httponly=True, samesite="strict", secure=secure, path=LOGIN, max_age=3600)
    return page
