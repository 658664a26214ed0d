"""What surrounds every request: security headers, a limit on what is sent, and no fault that leaves without words.

Plain ASGI: it costs next to nothing, and sees what the framework itself answers.
"""

from __future__ import annotations

from typing import Final

import structlog
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from node.web.faults import bug_page, too_large_page

_log = structlog.get_logger(__name__)
MOST_BYTES: Final = 32 << 20
"""Of what is uploaded; who may upload is known only after it was read."""
MOST_FORM_BYTES: Final = 1 << 20
_UPLOADS: Final = ("/api/", "/reads/upload")
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
TLS_HEADER: Final = ("Strict-Transport-Security", "max-age=31536000")
"""Over TLS only: a browser that has seen it comes without TLS no more."""
_KEEP: Final = "public, max-age=31536000, immutable"


class Guard:
    """The outermost layer of the site."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(scope, send)
        most = MOST_BYTES if str(scope["path"]).startswith(_UPLOADS) else MOST_FORM_BYTES
        if _stated(scope) > most:
            await too_large_page(Request(scope, receive))(scope, receive, answer)
            return
        try:
            await self._app(scope, _limited(receive, most), answer)
        except Exception:  # noqa: BLE001 - logged whole; the visitor gets a page all the same
            _log.exception("a page failed", route=getattr(scope.get("route"), "path", "unknown"))
            if answer.begun:  # too late for another page: the connection ends in the middle, and the browser says so
                raise ConnectionAbortedError("a response could not be finished") from None
            await bug_page(Request(scope, receive))(scope, receive, answer)


class _Answer:
    """A response on its way out, with its headers added."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._send = send
        self._static = str(scope["path"]).startswith("/static/")
        self._tls = scope["scheme"] == "https"
        self._versioned = b"v=" in scope.get("query_string", b"")
        self.begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers[name] = value
            if self._tls:
                headers[TLS_HEADER[0]] = TLS_HEADER[1]
            if self._static and message["status"] in (200, 304):
                headers["Cache-Control"] = _KEEP if self._versioned else "no-cache"
            elif "Cache-Control" not in headers:
                headers["Cache-Control"] = "no-store"
        await self._send(message)


def _stated(scope: Scope) -> int:
    text = dict(scope["headers"]).get(b"content-length", b"0")
    return int(text) if text.isdigit() else 0


def _limited(receive: Receive, most: int) -> Receive:
    """For bodies that do not say how long they are."""
    received = 0

    async def limited() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > most:
            raise HTTPException(413, "More was sent than this page takes.")
        return message

    return limited
