"""All routes, walked: whatever stands in an address, a query or a form is answered, in words and with every header."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext
from pydantic import BaseModel

from node.domain.people import Role
from node.web.auth import OPEN_PATHS
from node.web.guard import HEADERS
from tests.node.web.test_access import routes_of
from tests.web_site import WebSite, field_of

NO_NUMBERS = (
    "0",
    "-1",
    "2147483648",
    "9" * 40,
    "9" * 5000,
    "1e3",
    "0x1",
    "NaN",
    "x" * 3000,
    "\0",
    "' OR 1=1",
    "\r\nA: b",
)
ODD_WORDS = ("9" * 40, "\0", "\ud800".encode("utf-8", "surrogatepass"))
ODD_DAYS = ("9999-12-31", "00010101", "2026-02-30")


@pytest.fixture
def anna(site: WebSite):
    site.user("anna", Role.ADMIN)
    site.case(1, {"LAD": 300.0}, {"LM": 0, "LAD": 0, "LCX": 0, "RCA": 0}, study_date="20260301")
    browser = site.logged_in("anna")
    browser.headers["X-CSRF-Token"] = field_of(browser.get("/password").text, "csrf")
    return browser


def answered(browser, method: str, address: str, **sent: object) -> int:
    """The status of an answer that is no fault of ours and has every header."""
    answer = browser.request(method, address, **sent)
    assert answer.status_code < 500, f"{method} {address[:100]} {sent}"
    assert {name: answer.headers[name] for name in HEADERS} == dict(HEADERS), f"{method} {address[:100]}"
    assert answer.headers["cache-control"], f"{method} {address[:100]}"
    return answer.status_code


def filled(path: str, value: str, *, but: str = "") -> str:
    """The path with a value in every brace, 1 in the brace ``but``."""
    parts = path.split("{")
    rest = [part.partition("}") for part in parts[1:]]
    return parts[0] + "".join(("1" if name == but else quote(value, safe="")) + after for name, _, after in rest)


def parameters(dependant: Dependant, kind: str) -> Iterator[str]:
    """Names of what a route takes in its query or its form."""
    for field in getattr(dependant, f"{kind}_params"):
        model = field.field_info.annotation
        if isinstance(model, type) and issubclass(model, BaseModel):
            yield from model.model_fields
        else:
            yield field.alias
    for inner in dependant.dependencies:
        yield from parameters(inner, kind)


def methods_of(route: RouteContext, *wanted: str) -> list[str]:
    return sorted(set(route.methods or ()) & set(wanted))


def test_a_number_that_is_none_of_ours_is_not_found_whatever_it_is(site: WebSite, anna):
    walked = [route for route in routes_of(site) if "{" in route.path]
    assert len(walked) >= 10
    for route in walked:
        for method in methods_of(route, "GET", "POST"):
            for value in NO_NUMBERS:
                status = answered(anna, method, filled(route.path, value))
                assert status in {400, 404, 415, 422}, f"{method} {route.path} {value[:40]!r} {status}"
                if "{index}" in route.path:
                    assert answered(anna, method, filled(route.path, value, but="number")) in {404, 409}


def test_no_word_in_a_query_breaks_a_page(site: WebSite, anna):
    asked = 0
    for route in routes_of(site):
        for name in parameters(route.dependant, "query") if methods_of(route, "GET") else ():
            for value in ODD_DAYS if name in {"from", "to"} else ODD_WORDS:
                answered(anna, "GET", f"{filled(route.path, '1')}?{quote(name)}={quote(value, safe='')}")
                asked += 1
    assert asked > 100


def test_no_field_of_a_form_breaks_a_page(site: WebSite, anna):
    sent = 0
    for route in routes_of(site):
        if route.path in OPEN_PATHS or route.path.startswith("/api/"):
            continue
        for name in parameters(route.dependant, "body") if methods_of(route, "POST") else ():
            for value in ("9" * 40, "\0"):
                answered(anna, "POST", filled(route.path, "1"), data={name: value})
                sent += 1
    assert sent > 40
    assert site.ledger.user("anna").active


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/static/nothing", 404),
        ("DELETE", "/users", 405),
        ("GET", "/audit?page=0", 422),
        ("POST", "/users/add", 422),
        ("GET", "/", 200),
        ("HEAD", "/", 405),
        ("GET", "/api/v1/nothing", 404),
        ("OPTIONS", "/api/v1/cases", 405),
        ("GET", "/readyz", 404),
    ],
)
def test_every_kind_of_answer_has_the_headers(site: WebSite, anna, method: str, path: str, status: int):
    answer = anna.request(method, path)
    assert answer.status_code == status
    assert {name: answer.headers[name] for name in HEADERS} == dict(HEADERS)
