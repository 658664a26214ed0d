"""Tokens: shown once, kept as a hash, of no more than their user's role, ended by time and by hand."""

import pytest
from typer.testing import CliRunner

from node.commands.user import user
from node.domain.people import Role
from tests.web_site import send


@pytest.fixture
def admin(site):
    site.user("anna", Role.ADMIN)
    site.user("rene", Role.REVIEWER)
    return site.logged_in("anna")


def given(answer):
    return answer.text.partition("<code>")[2].partition("</code>")[0]


def asks(site, token):
    return site.browser().get("/api/v1/cases", headers={"Authorization": f"Bearer {token}"}).status_code


def test_a_token_is_shown_once_and_opens_the_api(site, admin):
    answer = send(admin, "/tokens/add", user="rene", name="RIS", role="reviewer", days="30")
    token = given(answer)
    assert token.startswith("c2r_")
    assert len(token) > 40
    assert asks(site, token) == 200
    assert token not in admin.get("/tokens").text
    assert site.ledger.audit_entries(limit=1)[0].action == "token.add"


def test_it_ends_by_time_and_by_hand(site, admin):
    short = given(send(admin, "/tokens/add", user="rene", name="RIS", role="viewer", days="1"))
    long = given(send(admin, "/tokens/add", user="rene", name="PACS", role="viewer", days="9"))
    site.clock.advance(days=2)
    assert (asks(site, short), asks(site, long)) == (401, 200)
    admin = site.logged_in("anna")
    number = site.ledger.tokens()[0].id
    assert send(admin, "/tokens/revoke", work="", token=str(number)).status_code == 303
    assert asks(site, long) == 401
    assert site.ledger.audit_entries(limit=1)[0].subject == f"token:{number}"


@pytest.mark.parametrize(
    "fields",
    [
        {"user": "rene", "name": "RIS", "role": "admin", "days": "1"},
        {"user": "nobody", "name": "RIS", "role": "viewer", "days": "1"},
        {"user": "rene", "name": " ", "role": "viewer", "days": "1"},
        {"user": "rene", "name": "RIS", "role": "viewer", "days": "0"},
        {"user": "rene", "name": "RIS", "role": "viewer", "days": "99999"},
    ],
)
def test_bad_wishes_are_refused(site, admin, fields):
    assert send(admin, "/tokens/add", **fields).status_code == 422
    assert site.ledger.tokens() == ()


def test_only_administrators_give_them_out(site, admin):
    browser = site.logged_in("rene")
    assert browser.get("/tokens").status_code == 403
    assert send(browser, "/tokens/add", user="rene", name="x", role="viewer").status_code == 403


def test_the_command_line_gives_them_out_too(site, admin, tmp_path):
    config = tmp_path / "node.toml"
    config.write_text(f'[storage]\nroot = "{site.root}"\n')
    found = CliRunner().invoke(user, ["token", "rene", "RIS", "--config", str(config)])
    assert found.exit_code == 0, found.output
    assert site.ledger.tokens()[0].name == "RIS"
    assert site.ledger.audit_entries(limit=1)[0].action == "token.add"
    assert CliRunner().invoke(user, ["token", "rene", "RIS", "--role", "admin", "--config", str(config)]).exit_code != 0
    assert CliRunner().invoke(user, ["token", "nobody", "RIS", "--config", str(config)]).exit_code != 0
    assert len(site.ledger.tokens()) == 1
