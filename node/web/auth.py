"""Who may do what: one dependency on every route, which also checks the forms' token.

A route without it is a fault that a test finds. Pages ask for a visitor by the least role::

    @router.get("/cases/{number}")
    def case(request: Request, visitor: Viewer, number: int) -> Response: ...

Requests that change something (POST and the like) must carry the session's token, as the field ``csrf`` or the header
``X-CSRF-Token``. Under ``/api/`` a bearer token is taken as well; no cookie, no token.
"""

from __future__ import annotations

import hmac
from typing import Annotated, Final
from urllib.parse import urlencode

from fastapi import Depends, HTTPException
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from node.domain.people import Role
from node.web.accounts import Visitor
from node.web.house import house_of
from node.web_settings import WebSettings

API: Final = "/api/"
CSRF_FIELD: Final = "csrf"
CSRF_HEADER: Final = "X-CSRF-Token"
LOGIN: Final = "/login"
OPEN_PATHS: Final = frozenset({LOGIN, "/static", "/healthz", "/readyz", "/metrics"})
"""What may be asked for without a log-in; the last three by some addresses only (``node.web.monitor``)."""
WITHOUT_ROLE: Final = frozenset({"/password", "/logout"})
"""What is open to those who have to change their password first."""
_CHANGES_NOTHING: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Elsewhere(Exception):
    """The visitor has to go to another page first."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class Requires:
    """The dependency that finds out who asks and lets pass whoever has the role."""

    def __init__(self, role: Role) -> None:
        self.role = role

    async def __call__(self, request: Request) -> Visitor:
        """The visitor. Raises HTTPException 401 or 403, or :class:`Elsewhere` towards the log-in."""
        visitor = await run_in_threadpool(_identified, request)
        if visitor is None:
            raise _unknown(request)
        request.state.visitor = visitor
        if visitor.must_change_password and request.url.path not in WITHOUT_ROLE:
            raise Elsewhere("/password")
        if request.method not in _CHANGES_NOTHING and visitor.session:
            await _check_form(request, visitor)
        if not visitor.may(self.role):
            raise HTTPException(403, f"This needs the role {self.role}; you have the role {visitor.role}.")
        return visitor


Viewer = Annotated[Visitor, Depends(Requires(Role.VIEWER))]
Reviewer = Annotated[Visitor, Depends(Requires(Role.REVIEWER))]
Admin = Annotated[Visitor, Depends(Requires(Role.ADMIN))]


def known_visitor(request: Request) -> Visitor | None:
    """Who asks, where a page may be seen by anybody or went wrong; None if nobody is logged in."""
    found = getattr(request.state, "visitor", None)
    return found if isinstance(found, Visitor) else _identified(request)


def cookie_name(request: Request) -> str:
    """Name of the session's cookie: over TLS one that no other host or path can have set."""
    return "__Host-session" if _secure(request, house_of(request).settings) else "session"


def set_session(request: Request, response: Response, secret: str) -> None:
    """Give the browser a session; it forgets it when it is closed."""
    secure = _secure(request, house_of(request).settings)
    response.set_cookie(cookie_name(request), secret, httponly=True, samesite="lax", secure=secure, path="/")


def clear_session(request: Request, response: Response) -> None:
    """Take it away again."""
    secure = _secure(request, house_of(request).settings)
    response.delete_cookie(cookie_name(request), httponly=True, samesite="lax", secure=secure, path="/")


def _secure(request: Request, settings: WebSettings) -> bool:
    return settings.secure_cookies or request.url.scheme == "https"


def _identified(request: Request) -> Visitor | None:
    accounts = house_of(request).accounts
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if request.url.path.startswith(API) and scheme.lower() == "bearer":
        return accounts.bearer(token.strip())
    secret = request.cookies.get(cookie_name(request), "")
    return accounts.visitor(secret) if secret else None


def _unknown(request: Request) -> Exception:
    if request.url.path.startswith(API):
        return HTTPException(401, "Log in, or send a token: Authorization: Bearer ...", {"WWW-Authenticate": "Bearer"})
    if request.method != "GET" or request.url.path == "/":
        return Elsewhere(LOGIN)
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return Elsewhere(f"{LOGIN}?{urlencode({'next': wanted})}")


async def _check_form(request: Request, visitor: Visitor) -> None:
    given = request.headers.get(CSRF_HEADER, "")
    if not given:
        typed = (await request.form()).get(CSRF_FIELD, "")
        given = typed if isinstance(typed, str) else ""
    if not hmac.compare_digest(given.encode("utf-8"), visitor.csrf.encode("ascii")):
        raise HTTPException(403, "This form is no longer valid. Go back, load the page again and send it once more.")
