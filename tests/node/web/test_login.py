"""Sessions: how they begin, what they survive and what ends them."""

from __future__ import annotations

import pytest

from node.domain.people import Role
from node.web.accounts import sha256_of
from node.web_settings import WebSettings
from tests.web_site import PASSWORD, WebSite, field_of, log_in, send

NEW = "a quite different sentence"


def is_in(browser) -> bool:
    return browser.get("/").status_code == 200


@pytest.fixture
def vera(site: WebSite):
    site.user("vera", Role.VIEWER)
    return site.logged_in("vera")


def test_the_cookie_is_no_business_of_scripts_and_the_ledger_has_only_its_hash(site: WebSite, vera):
    secret = vera.cookies["session"]
    answer = log_in(site.browser(), "VERA ")
    said = answer.headers["set-cookie"]
    assert all(one in said for one in ("HttpOnly", "SameSite=lax", "Path=/"))
    assert "Secure" not in said
    assert site.ledger.session_user(sha256_of(secret), site.clock()).name == "vera"
    assert secret.encode() not in (site.root / "ledger.sqlite").read_bytes()


def test_over_tls_the_cookie_stays_there(site: WebSite):
    site.user("vera", Role.VIEWER)
    browser = site.browser(url="https://testserver")
    said = log_in(browser, "vera").headers["set-cookie"]
    assert "__Host-session=" in said
    assert "Secure" in said
    assert is_in(browser)


def test_a_site_behind_tls_can_insist(tmp_path):
    site = WebSite(tmp_path / "node", settings=WebSettings(secure_cookies=True))
    site.user("vera", Role.VIEWER)
    assert "Secure" in site.browser().get("/login").headers["set-cookie"]
    site.ledger.close()


@pytest.mark.parametrize(
    ("name", "password"),
    [("vera", "wrong"), ("nobody", PASSWORD), ("", ""), ("vera", ""), ("x" * 199, PASSWORD), ("ä'--", "x")],
)
def test_a_wrong_log_in_says_always_the_same_and_is_audited(site: WebSite, name: str, password: str):
    site.user("vera", Role.VIEWER)
    browser = site.browser()
    answer = log_in(browser, name, password)
    assert answer.status_code == 401
    assert "User name or password is wrong, the account is disabled, or it is locked" in answer.text
    assert not is_in(browser)
    entry = site.ledger.audit_entries()[0]
    assert entry.action == "login.failed"
    assert password not in str(entry.detail) or not password


def test_a_log_in_needs_the_token_of_its_own_form(site: WebSite):
    site.user("vera", Role.VIEWER)
    right = {"name": "vera", "password": PASSWORD}
    assert site.browser().post("/login", data={**right, "token": ""}).status_code == 403
    one, other = site.browser(), site.browser()
    other.get("/login")
    token = field_of(one.get("/login").text, "token")
    assert other.post("/login", data={**right, "token": token}).status_code == 403
    assert not is_in(other)


def test_a_session_given_by_somebody_else_is_not_taken_on(site: WebSite):
    """Session fixation: a log-in makes a secret of its own, whatever the cookie said before."""
    site.user("vera", Role.VIEWER)
    given = f"{int(site.clock.now.timestamp())}.fixed"
    token = field_of(site.browser().get("/login").text, "token")
    cookies = {"Cookie": f"session={given}; login={token}"}
    answer = site.browser().post("/login", data={"name": "vera", "password": PASSWORD, "token": token}, headers=cookies)
    assert answer.status_code == 303
    assert "session=" in answer.headers["set-cookie"]
    assert given not in answer.headers["set-cookie"]
    assert site.ledger.session_user(sha256_of(given), site.clock()) is None


def test_a_second_log_in_ends_the_first_session_of_the_browser(site: WebSite, vera):
    old = vera.cookies["session"]
    site.user("rene", Role.REVIEWER)
    token = field_of(site.browser().get("/login").text, "token")
    answer = vera.post(
        "/login",
        data={"name": "rene", "password": PASSWORD, "token": token},
        headers={"Cookie": f"session={old}; login={token}"},
    )
    assert answer.status_code == 303
    assert site.ledger.session_user(sha256_of(old), site.clock()) is None


def test_log_out_ends_the_session_at_the_server(site: WebSite, vera):
    secret = vera.cookies["session"]
    assert send(vera, "/logout").headers["location"] == "/login?notice=logged-out"
    assert "session" not in vera.cookies
    other = site.browser()
    other.cookies.set("session", secret)
    assert not is_in(other)


def test_a_session_ends_when_unused(site: WebSite, vera):
    for _ in range(5):
        site.clock.advance(minutes=29)
        assert is_in(vera)
    site.clock.advance(minutes=31)
    assert not is_in(vera)


def test_a_session_ends_by_age_however_busy(site: WebSite, vera):
    for _ in range(29):
        site.clock.advance(minutes=20)
        assert is_in(vera)
    site.clock.advance(minutes=20)
    assert not is_in(vera)


def test_a_secret_with_another_age_is_another_secret(site: WebSite, vera):
    made, _, rest = vera.cookies["session"].partition(".")
    for forged in (f"{int(made) + 1}.{rest}", rest, f"{'9' * 11}.{rest}", f"{'9' * 40}.{rest}", ".", "²." + rest):
        browser = site.browser()
        answer = browser.get("/", headers={b"cookie": f"session={forged}".encode()})
        assert answer.status_code == 303, forged


def test_an_account_is_locked_after_some_failures_and_opens_again(site: WebSite):
    site.user("vera", Role.VIEWER)
    for _ in range(5):
        assert log_in(site.browser(), "vera", "wrong").status_code == 401
    assert log_in(site.browser(), "vera").status_code == 401
    site.clock.advance(minutes=1)
    assert log_in(site.browser(), "vera", "wrong").status_code == 401
    site.clock.advance(minutes=1)
    assert log_in(site.browser(), "vera").status_code == 401, "the second lock is longer"
    site.clock.advance(minutes=2)
    assert log_in(site.browser(), "vera").status_code == 303
    assert site.ledger.user("vera").failed_logins == 0


def test_an_address_that_tries_many_names_is_slowed_down(site: WebSite):
    browser = site.browser()
    answers = [log_in(browser, f"user{number}", "wrong").status_code for number in range(25)]
    assert answers == [401] * 20 + [429] * 5
    site.clock.advance(minutes=6)
    assert log_in(browser, "user1", "wrong").status_code == 401


def test_a_disabled_user_is_out_at_once(site: WebSite, vera):
    site.ledger.change_user("vera", site.clock(), active=False)
    assert not is_in(vera)
    assert log_in(site.browser(), "vera").status_code == 401


def test_a_change_of_role_needs_a_new_log_in(site: WebSite, vera):
    site.ledger.change_user("vera", site.clock(), role=Role.ADMIN)
    assert not is_in(vera)
    assert site.logged_in("vera").get("/users").status_code == 200


def test_an_initial_password_opens_nothing_but_its_own_change(site: WebSite):
    site.user("vera", Role.ADMIN, initial=True)
    browser = site.browser()
    assert log_in(browser, "vera", to="/users").headers["location"] == "/password"
    for path in ("/", "/users", "/audit"):
        assert browser.get(path).headers["location"] == "/password"
    page = browser.get("/password")
    assert "Choose your password" in page.text
    assert 'href="/users"' not in page.text
    assert send(browser, "/password", present=PASSWORD, new=NEW, again=NEW).status_code == 303
    assert browser.get("/users").status_code == 200


def test_a_changed_password_ends_the_other_sessions_and_goes_on_here(site: WebSite, vera):
    elsewhere = site.logged_in("vera")
    old = vera.cookies["session"]
    assert (
        send(vera, "/password", present=PASSWORD, new=NEW, again=NEW).headers["location"] == "/?notice=password-changed"
    )
    assert "Your password was changed" in vera.get("/?notice=password-changed").text
    assert vera.cookies["session"] != old
    assert not is_in(elsewhere)
    assert log_in(site.browser(), "vera").status_code == 401
    assert log_in(site.browser(), "vera", NEW).status_code == 303
    assert site.ledger.audit_entries(actor="vera")[2].action == "password.change"


@pytest.mark.parametrize(
    ("present", "new", "again", "why"),
    [
        ("wrong", NEW, NEW, "present password is not right"),
        (PASSWORD, NEW, "other", "not the same"),
        (PASSWORD, PASSWORD, PASSWORD, "is the present one"),
        (PASSWORD, "short", "short", "at least 12"),
    ],
)
def test_a_password_that_cannot_be_changed_stays(site: WebSite, vera, present: str, new: str, again: str, why: str):
    answer = send(vera, "/password", present=present, new=new, again=again)
    assert answer.status_code == 422
    assert why in answer.text
    assert log_in(site.browser(), "vera").status_code == 303
