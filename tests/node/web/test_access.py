"""Who gets where: every route asks for a role, and for the session's token where it changes something."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext, iter_route_contexts

from node.domain.people import Role
from node.web.auth import OPEN_PATHS, Requires
from node.web.guard import HEADERS
from tests.web_site import WebSite, field_of, log_in, send

OPEN = OPEN_PATHS


def routes_of(site: WebSite) -> list[RouteContext]:
    """Every route of the site; one of a kind that no dependency can guard has to be an open one."""
    found = []
    for route in iter_route_contexts(site.app.routes):
        if getattr(route, "dependant", None) is not None:
            found.append(route)
        else:
            assert route.path in OPEN, f"{route.path} has no dependency that guards it"
    assert len(found) > 10
    return found


def guards(dependant: Dependant) -> Iterator[Requires]:
    for inner in dependant.dependencies:
        if isinstance(inner.call, Requires):
            yield inner.call
        yield from guards(inner)


def path_of(route: RouteContext) -> str:
    return "".join(
        "1" if part.startswith("{") else part for part in route.path.replace("{", "\0{").replace("}", "\0").split("\0")
    )


def test_every_route_but_the_open_ones_asks_for_a_role(site: WebSite):
    for route in routes_of(site):
        if route.path not in OPEN:
            assert list(guards(route.dependant)), f"{route.methods} {route.path} is open to anybody"


def test_without_a_session_there_is_nothing_but_the_log_in(site: WebSite):
    browser = site.browser()
    for route in routes_of(site):
        for method in route.methods or ():
            answer = browser.request(method, path_of(route))
            if route.path in OPEN:
                continue
            if route.path.startswith("/api/"):
                assert answer.status_code == 401, route.path
            else:
                assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/login"), route.path


@pytest.mark.parametrize("role", [Role.VIEWER, Role.REVIEWER])
def test_a_lesser_role_is_refused_everything_above_it(site: WebSite, role: Role):
    site.user("lesser", role)
    browser = site.logged_in("lesser")
    token = field_of(browser.get("/password").text, "csrf")
    tried = 0
    for route in routes_of(site):
        needed = max((guard.role for guard in guards(route.dependant)), key=tuple(Role).index, default=Role.VIEWER)
        if role.allows(needed):
            continue
        for method in route.methods or ():
            answer = browser.request(method, path_of(route), headers={"X-CSRF-Token": token})
            assert answer.status_code == 403, f"{method} {route.path}"
            tried += 1
    assert tried


def test_nothing_changes_without_the_token_of_the_session(site: WebSite):
    site.user("anna", Role.ADMIN)
    browser = site.logged_in("anna")
    changing = [route for route in routes_of(site) if "GET" not in (route.methods or ()) and route.path not in OPEN]
    for route in changing:
        for method in route.methods or ():
            for token in ("", "x", "ä"):
                answer = browser.request(method, path_of(route), data={"csrf": token, "name": "anna"})
                assert answer.status_code == 403, f"{method} {route.path}"
    assert changing
    assert site.ledger.user("anna").active


def test_another_sessions_token_is_not_taken(site: WebSite):
    site.user("anna", Role.ADMIN)
    one, other = site.logged_in("anna"), site.logged_in("anna")
    token = field_of(other.get("/users").text, "csrf")
    assert one.post("/users/add", data={"csrf": token, "name": "x", "role": "viewer"}).status_code == 403


def test_every_answer_carries_the_security_headers(site: WebSite):
    site.user("vera", Role.VIEWER)
    browser = site.logged_in("vera")
    for path in ("/", "/login", "/nothing", "/users", "/static/site.css", "/healthz"):
        answer = browser.get(path)
        assert {name: answer.headers[name] for name in HEADERS} == dict(HEADERS), path
        assert ("no-store" in answer.headers["cache-control"]) == (not path.startswith("/static")), path
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


def test_no_page_has_script_or_style_in_it(site: WebSite):
    site.user("anna", Role.ADMIN)
    site.case(1, {"LCX": 200.0}, {"LM": 0, "LAD": 0, "LCX": 0, "RCA": 0}, study_date="20260301")
    browser = site.logged_in("anna")
    for path in ("/", "/users", "/audit", "/password", "/nothing"):
        text = browser.get(path).text
        assert not [mark for mark in (" style=", "<style", " onclick=", "<script>") if mark in text], path


def test_static_files_may_be_kept_and_pages_may_not(site: WebSite):
    browser = site.browser()
    page = browser.get("/login").text
    address = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
    kept = browser.get(address)
    assert kept.status_code == 200
    assert "immutable" in kept.headers["cache-control"]
    assert browser.get("/static/../site.py").status_code == 404


def test_the_navigation_shows_what_the_role_may_see(site: WebSite):
    for name, role in (("vera", Role.VIEWER), ("anna", Role.ADMIN)):
        site.user(name, role)
    vera, anna = (site.logged_in(name).get("/").text for name in ("vera", "anna"))
    assert 'href="/users"' not in vera
    assert 'href="/users"' in anna


def test_a_page_that_is_not_there_says_so(site: WebSite):
    site.user("vera", Role.VIEWER)
    answer = site.logged_in("vera").get("/nothing")
    assert answer.status_code == 404
    assert "There is no page at this address" in answer.text


def test_a_bad_choice_in_a_form_is_told_without_what_was_typed(site: WebSite):
    site.user("anna", Role.ADMIN)
    browser = site.logged_in("anna")
    answer = send(browser, "/users/add", name="new", role="emperor-secret")
    assert answer.status_code == 422
    assert "role" in answer.text
    assert "emperor-secret" not in answer.text


@pytest.mark.parametrize(
    ("path", "size"), [("/login", (1 << 20) + 1), ("/reads/upload", (32 << 20) + 1), ("/api/v1/reads", 1 << 40)]
)
def test_more_than_is_taken_is_refused_before_it_is_read(site: WebSite, path: str, size: int):
    answer = site.browser().post(path, content=b"x", headers={"Content-Length": str(size)})
    assert answer.status_code == 413


def test_more_than_is_taken_is_refused_where_nobody_said_how_much_it_is(site: WebSite):
    pieces = (b"x" * (1 << 16) for _ in range(40))
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert site.browser().post("/login", content=pieces, headers=kind).status_code == 413


def test_a_fault_of_ours_is_a_page_that_says_little(site: WebSite, monkeypatch: pytest.MonkeyPatch):
    site.user("vera", Role.VIEWER)
    browser = site.logged_in("vera")

    def broken(*_: object) -> None:
        raise RuntimeError("patient Smith")

    monkeypatch.setattr(site.ledger, "cases", broken)
    answer = browser.get("/")
    assert answer.status_code == 500
    assert "it has been logged" in answer.text
    assert "Smith" not in answer.text
    assert answer.headers["content-security-policy"]


def test_a_busy_ledger_is_no_fault_of_the_page(site: WebSite, monkeypatch: pytest.MonkeyPatch):
    from node.domain.errors import LedgerBusy  # noqa: PLC0415

    site.user("vera", Role.VIEWER)
    browser = site.logged_in("vera")

    def busy(*_: object) -> None:
        raise LedgerBusy("locked")

    monkeypatch.setattr(site.ledger, "session_user", busy)
    answer = browser.get("/")
    assert answer.status_code == 503
    assert "try again" in answer.text


def test_log_in_leads_on_to_where_one_wanted_to_go_and_nowhere_else(site: WebSite):
    site.user("vera", Role.VIEWER)
    browser = site.browser()
    asked = browser.get("/statistics?period=30")
    if asked.status_code == 303:
        assert asked.headers["location"] == "/login?next=%2Fstatistics%3Fperiod%3D30"
    assert log_in(browser, "vera", to="/?show=all").headers["location"] == "/?show=all"
    for trick in ("https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\nb"):
        assert log_in(site.browser(), "vera", to=trick).headers["location"] == "/", trick
