"""Small matters of pages and forms: days that were typed, where to go next, and notices that survive the way there."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Final
from urllib.parse import urlencode, urlsplit

from starlette.responses import RedirectResponse

_FIRST_YEAR: Final = 1900
_LAST_YEAR: Final = 2999
"""Between them a day has neighbours and a midnight in every time zone."""
NOTICES: Final[Mapping[str, str]] = {
    "password-changed": "Your password was changed. Other sessions of yours have ended.",
    "user-changed": "The user was changed; their sessions have ended.",
    "logged-out": "You are logged out.",
}
"""What a page may say after a change, by the code in its address: nothing that stands in an address is shown itself."""


def local(path: str) -> str:
    """``path`` if it leads to a page of this site, else the worklist: log-in must not send people elsewhere."""
    parts = urlsplit(path.replace("\\", "/"))
    fine = path.startswith("/") and not path.startswith("//") and not parts.netloc and not parts.scheme
    return path if fine and "\\" not in path and path.isprintable() else "/"


def day_of(text: str) -> date | None:
    """The day that an address names; None for what is none, or lies where no calendar of ours reaches."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if _FIRST_YEAR <= day.year <= _LAST_YEAR else None


def go(path: str, *, notice: str = "") -> RedirectResponse:
    """To another page after a change, so that reloading does not repeat it."""
    return RedirectResponse(f"{path}?{urlencode({'notice': notice})}" if notice else path, 303)
