"""What a visitor is told when something does not work: in their terms, as a page or, for the API, as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from node.domain.errors import LedgerBusy, Malformed, NodeError, Refused, StorageFull
from node.web.api.problems import Problem, problem
from node.web.auth import API, Elsewhere, known_visitor
from node.web.house import house_of
from node.web.rendering import render

_log = structlog.get_logger(__name__)
_TITLES: Final = {
    400: "That could not be understood",
    401: "Not logged in",
    403: "Not allowed",
    404: "Not found",
    405: "Not possible here",
    409: "Somebody was faster",
    413: "Too large",
    415: "Not a kind of content that is taken",
    422: "Something in the form is not right",
    429: "Too many tries",
    500: "Something went wrong here",
    503: "Not just now",
}
_WORDS: Final = {
    400: "The request could not be understood.",
    404: "There is no page at this address, or what it showed is gone.",
    405: "This address does not take that kind of request.",
    500: "The fault is ours, and it has been logged. Nothing you entered was kept half-way: try again, and tell "
    "whoever runs the node if it stays like this.",
    503: "The ledger is busy or its disk is full. Nothing was changed; try again in a minute.",
}


def add_handlers(site: FastAPI) -> None:
    """Let the site answer foreseen faults in words."""
    site.add_exception_handler(Elsewhere, _elsewhere)
    site.add_exception_handler(HTTPException, _http)
    site.add_exception_handler(RequestValidationError, _invalid)
    site.add_exception_handler(NodeError, _foreseen)


def fault_page(request: Request, status: int, reasons: Sequence[str] = ()) -> Response:
    """A fault in words; without reasons, in those for its status."""
    title = _TITLES.get(status, "That did not work")
    said = list(reasons) or [_WORDS.get(status, "")]
    if request.url.path.startswith(API):
        return problem(status, title, said)
    return render(request, "fault.html", {"title": title, "status": status, "reasons": said}, status)


def bug_page(request: Request) -> Response:
    """For what nobody foresaw: says little, needs neither ledger nor session."""
    if request.url.path.startswith(API):
        return problem(500, _TITLES[500], [_WORDS[500]])
    return _plain(request, 500, _WORDS[500])


def too_large_page(request: Request) -> Response:
    """For more bytes than are taken."""
    if request.url.path.startswith(API):
        return problem(413, _TITLES[413], ["more was sent than is taken"])
    return _plain(request, 413, "More was sent than this page takes.")


def _plain(request: Request, status: int, words: str) -> Response:
    request.state.visitor = None
    templates = house_of(request).templates
    text = templates.get_template("plain_fault.html").render(title=_TITLES[status], status=status, words=words)
    return Response(text, status, media_type="text/html")


def _elsewhere(_request: Request, error: Exception) -> Response:
    return RedirectResponse(str(error), 303)


def _http(request: Request, error: Exception) -> Response:
    status, detail, headers = _parts_of(error)
    generic = not detail or detail in {"Not Found", "Method Not Allowed", "Bad Request"}
    reasons = list(error.reasons) if isinstance(error, Problem) else [] if generic else [detail]
    page = fault_page(request, status, reasons)
    page.headers.update(headers)
    return page


def _parts_of(error: Exception) -> tuple[int, str, dict[str, str]]:
    if not isinstance(error, HTTPException):
        return 500, "", {}
    return error.status_code, str(error.detail), dict(error.headers or {})


def _invalid(request: Request, error: Exception) -> Response:
    """Which fields, and what is wrong with each; never what was typed: it may be a password."""
    found: Sequence[Any] = error.errors() if isinstance(error, RequestValidationError) else ()
    reasons = [f"{_field(one['loc'])}: {one['msg']}" for one in found]
    missing_page = any(one["loc"][:1] == ("path",) for one in found)
    return fault_page(request, 404) if missing_page else fault_page(request, 422, reasons)


def _field(place: Sequence[object]) -> str:
    return ".".join(str(part) for part in place[1:]) or "form"


def _foreseen(request: Request, error: Exception) -> Response:
    if isinstance(error, LedgerBusy | StorageFull):
        _log.warning("a page could not use the ledger", error=str(error))
        if known_or_none(request) is None and not request.url.path.startswith(API):
            return _plain(request, 503, _WORDS[503])
        return fault_page(request, 503)
    status = 422 if isinstance(error, Refused | Malformed) else 500
    return fault_page(request, status, [str(error)])


def known_or_none(request: Request) -> object:
    """The visitor, where the ledger can still say."""
    try:
        return known_visitor(request)
    except NodeError:
        return None
