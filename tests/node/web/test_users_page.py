from __future__ import annotations

import re

import pytest

from node.domain.people import Role
from node.web import passwords
from tests.web_site import PASSWORD, WebSite, log_in, send


@pytest.fixture
def anna(site: WebSite):
    site.user("anna", Role.ADMIN)
    return site.logged_in("anna")


def test_a_new_user_gets_a_password_shown_once_and_has_to_change_it(site: WebSite, anna):
    page = send(anna, "/users/add", name=" Rene ", role="reviewer")
    assert page.status_code == 200
    password = re.search(r"<code>([^<]+)</code>", page.text).group(1)
    assert password not in anna.get("/users").text
    browser = site.browser()
    assert log_in(browser, "rene", password).headers["location"] == "/password"
    entry = site.ledger.audit_entries()[1]
    assert (entry.actor, entry.action, entry.subject) == ("anna", "user.add", "user:rene")
    assert password not in str([one.detail for one in site.ledger.audit_entries()])


@pytest.mark.parametrize("name", ["", "has space", "../x", "<b>", "x" * 65, "anna", "ANNA"])
def test_a_name_that_cannot_be_is_told(site: WebSite, anna, name: str):
    page = send(anna, "/users/add", name=name, role="viewer")
    assert page.status_code == 422
    assert "<b>" not in page.text.partition("<main")[2].replace("<b>viewer</b>", "").replace(
        "<b>reviewer</b>", ""
    ).replace("<b>admin</b>", "")
    assert len(site.ledger.users()) == 1


def test_a_reset_ends_the_sessions_and_unlocks(site: WebSite, anna):
    site.user("vera", Role.VIEWER)
    vera = site.logged_in("vera")
    page = send(anna, "/users/password", name="vera")
    password = re.search(r"<code>([^<]+)</code>", page.text).group(1)
    assert vera.get("/").status_code == 303
    assert log_in(site.browser(), "vera").status_code == 401
    assert log_in(site.browser(), "vera", password).status_code == 303


def test_roles_and_states_change_and_are_audited(site: WebSite, anna):
    site.user("vera", Role.VIEWER)
    assert send(anna, "/users/role", name="vera", role="reviewer").headers["location"] == "/users?notice=user-changed"
    assert site.ledger.user("vera").role is Role.REVIEWER
    send(anna, "/users/active", name="vera", active="false")
    assert log_in(site.browser(), "vera").status_code == 401
    send(anna, "/users/active", name="vera", active="true")
    assert log_in(site.browser(), "vera").status_code == 303
    actions = [entry.action for entry in site.ledger.audit_entries(subject="user:vera")]
    assert actions == ["user.enable", "user.disable", "user.role"]


@pytest.mark.parametrize(("path", "change"), [("role", {"role": "viewer"}), ("active", {"active": "false"})])
def test_the_last_administrator_stays(site: WebSite, anna, path: str, change: dict[str, str]):
    answer = send(anna, f"/users/{path}", name="anna", **change)
    assert answer.status_code == 422
    assert "only administrator" in answer.text
    site.user("other", Role.ADMIN)
    assert send(anna, f"/users/{path}", name="anna", **change).status_code == 303


def test_an_unknown_user_is_told(site: WebSite, anna):
    assert send(anna, "/users/role", name="nobody", role="viewer").status_code == 422


def test_the_list_says_who_is_locked_and_who_has_an_initial_password(site: WebSite, anna):
    site.user("vera", Role.VIEWER)
    site.user("new", Role.VIEWER, initial=True)
    for _ in range(5):
        log_in(site.browser(), "vera", "wrong")
    page = anna.get("/users").text
    assert "locked until" in page
    assert "initial password" in page
    assert PASSWORD not in page
    assert passwords.hashed("x" * 12)[:9] not in page
