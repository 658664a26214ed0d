from __future__ import annotations

import csv
import io

import pytest

from node.domain.people import GENESIS, Role
from tests.web_site import WebSite, log_in


@pytest.fixture
def anna(site: WebSite):
    site.user("anna", Role.ADMIN)
    return site.logged_in("anna")


def test_every_log_in_is_there_with_its_address(site: WebSite, anna):
    site.user("vera", Role.VIEWER)
    log_in(site.browser(), "Vera", "x")
    log_in(site.browser(), "my secret passphrase", "x")
    page = anna.get("/audit").text
    assert page.count("login.failed") == 2
    assert page.count("testclient") == 3
    assert "<td>vera</td>" in page
    assert "unknown user" in page
    assert "my secret" not in page


def test_what_stands_in_an_entry_is_shown_as_text(site: WebSite, anna):
    site.ledger.add_audit("<script>alert(1)</script>", "x", "y", site.clock(), {"<script>alert(1)": "z"})
    page = anna.get("/audit").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_the_filter_leaves_what_it_names(site: WebSite, anna):
    site.ledger.add_audit("rene", "case.view", "case:7", site.clock())
    assert "case:7" in anna.get("/audit?subject=case:7").text
    assert "case:7" not in anna.get("/audit?actor=anna").text
    assert "No entries" in anna.get("/audit?actor=nobody").text


def test_long_trails_have_pages_that_keep_the_filter(site: WebSite, anna):
    for number in range(150):
        site.ledger.add_audit("rene", "case.view", f"case:{number}", site.clock())
    first = anna.get("/audit?actor=rene").text
    assert "case:149" in first
    assert "case:49<" not in first
    assert "/audit?actor=rene&amp;page=2" in first
    second = anna.get("/audit?actor=rene&page=2").text
    assert "case:49<" in second
    assert 'rel="next"' not in second


def test_the_chain_is_verified_when_asked(site: WebSite, anna):
    assert "chain verified" not in anna.get("/audit").text
    assert "chain verified" in anna.get("/audit?verify=true").text
    with site.ledger._database.writing() as connection:
        connection.exec_driver_sql("UPDATE audit SET actor = 'nobody' WHERE number = 1")
    page = anna.get("/audit?verify=true").text
    assert "entry 1 was changed" in page
    assert "chain verified" not in page


def test_the_export_holds_everything_with_its_hashes_and_no_formula(site: WebSite, anna):
    site.ledger.add_audit("=cmd|x", "case.view", "", site.clock())
    for number in range(1100):
        site.ledger.add_audit("rene", "case.view", f"case:{number}", site.clock())
    answer = anna.get("/audit/export.csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert answer.headers["content-disposition"] == 'attachment; filename="audit.csv"'
    assert [int(row["number"]) for row in rows] == list(range(len(rows), 0, -1))
    assert rows[-1]["previous"] == GENESIS
    assert rows[0]["action"] == "audit.export"
    assert "'=cmd|x" in {row["actor"] for row in rows}
    assert anna.get("/audit?page=0").status_code == 422
