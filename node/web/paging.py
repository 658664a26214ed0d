"""From page to page of a long list: addresses that keep every other choice."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request

from node.web.forms import NOTICES


def address(request: Request, **changed: str | None) -> str:
    """The present address with some of its choices changed; None takes one away. A notice is not repeated."""
    kept = [(name, value) for name, value in request.query_params.multi_items() if name not in {*changed, "notice"}]
    kept += [(name, value) for name, value in changed.items() if value is not None]
    return f"{request.url.path}?{urlencode(kept)}" if kept else request.url.path


def notice_of(request: Request) -> str:
    """What the page is to say after a change."""
    return NOTICES.get(request.query_params.get("notice", ""), "")


@dataclass(frozen=True, slots=True)
class Paging:
    """The way on and back; ``more``: there is another page."""

    request: Request
    page: int
    more: bool

    @property
    def back(self) -> str | None:
        """Address of the page before."""
        return address(self.request, page=str(self.page - 1)) if self.page > 1 else None

    @property
    def on(self) -> str | None:
        """Address of the next page."""
        return address(self.request, page=str(self.page + 1)) if self.more else None
