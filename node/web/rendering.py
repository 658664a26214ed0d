"""Pages from templates: the environment, what every template finds, and the words for times and numbers.

Templates escape what they show and fail at a name that is not there. Every template finds ``visitor`` (None before
log-in), ``csrf``, ``navigation``, ``here`` (the path), ``settings``, ``version``, ``now``, ``static(name)``, and the
filters ``when``, ``age``, ``day``, ``score``, ``signed``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from node.domain.people import Role
from node.web.accounts import Visitor
from node.web.auth import known_visitor
from node.web.house import house_of

FOLDER: Final = Path(__file__).parent
_NEVER: Final = "–"


@dataclass(frozen=True, slots=True)
class Place:
    """An entry of the navigation, shown to those who may go there."""

    label: str
    path: str
    role: Role


NAVIGATION: Final = (
    Place("Worklist", "/", Role.VIEWER),
    Place("Statistics", "/statistics", Role.VIEWER),
    Place("Reads", "/reads", Role.REVIEWER),
    Place("Node", "/node", Role.VIEWER),
    Place("Users", "/users", Role.ADMIN),
    Place("Audit", "/audit", Role.ADMIN),
)


def make_templates() -> Environment:
    """The templates of this package."""
    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["static"] = static_url
    made.filters |= {"when": when, "age": age, "day": day, "score": score, "signed": signed}
    return made


def render(request: Request, template: str, content: Mapping[str, object], status: int = 200) -> HTMLResponse:
    """A page; ``content`` is what its template needs beside what every template finds."""
    house = house_of(request)
    visitor = known_visitor(request)
    everywhere = {
        "visitor": visitor,
        "csrf": visitor.csrf if visitor else "",
        "navigation": _navigation(visitor, house.served),
        "here": request.url.path,
        "settings": house.settings,
        "version": house.services.version,
        "now": house.clock(),
    }
    text = house.templates.get_template(template).render({**everywhere, **content})
    return HTMLResponse(text, status)


def static_url(name: str) -> str:
    """Address of a static file; it changes with the file's content, so that browsers may keep it for ever."""
    return f"/static/{name}?v={_digest(FOLDER / 'static' / name)}"


def when(moment: datetime | None) -> Markup:
    """A time in the server's zone, to the minute; the full one for machines and on hovering."""
    if moment is None:
        return Markup("–")
    local = moment.astimezone()
    full = local.isoformat(timespec="seconds")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(full, full, local.strftime("%Y-%m-%d %H:%M"))


def age(moment: datetime, now: datetime) -> str:
    """How long ago, in one unit."""
    passed = max(now - moment, timedelta())
    for unit, size in (("d", timedelta(days=1)), ("h", timedelta(hours=1)), ("min", timedelta(minutes=1))):
        if passed >= size * (2 if unit == "d" else 1):
            return f"{passed // size} {unit}"
    return "now"


def day(text: str) -> str:
    """A DICOM date for people; what is none stays as it is."""
    try:
        return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC).date().isoformat()
    except ValueError:
        return text or _NEVER


def score(value: float | None) -> str:
    """A score in whole points, as reports have it; one decimal below 10, and where rounding would hide a limit."""
    if value is None:
        return _NEVER
    at_limit = round(value) % 100 == 0
    return f"{value:.1f}".removesuffix(".0") if value < 10 or at_limit else f"{value:.0f}"


def signed(value: float | None) -> str:
    """A difference with its sign; a true minus."""
    if value is None:
        return _NEVER
    text = score(abs(value))
    return text if text == "0" else f"{'+' if value > 0 else '−'}{text}"


def _navigation(visitor: Visitor | None, served: Collection[str]) -> tuple[Place, ...]:
    """What the visitor may see, as far as the site has it; nothing until their password is their own."""
    if visitor is None or visitor.must_change_password:
        return ()
    return tuple(place for place in NAVIGATION if visitor.may(place.role) and place.path in served)


@cache
def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
