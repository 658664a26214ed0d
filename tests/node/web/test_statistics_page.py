"""The statistics page over fabricated cases: figures, charts that are safe and readable, filters, export."""

import csv
import io
from xml.etree import ElementTree as ET

import pytest

from node.domain.people import Role
from node.domain.review import ReviewOutcome
from tests.web_site import WebSite, decide, fabricate


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    made = WebSite(tmp_path_factory.mktemp("statistics"))
    fabricate(made, 40)
    return made


@pytest.fixture(scope="module")
def viewer(site):
    return site.logged_in("vera")


def key_line(text):
    return text.partition('id="key">')[2].partition("</p>")[0]


def test_the_key_line_says_flagged_and_upheld(site, viewer):
    rows = site.ledger.statistics()
    flagged = [one for one in rows if one.tier.flagged]
    settled = [one for one in flagged if one.outcome]
    upheld = sum(one.outcome.upheld for one in settled)
    page = viewer.get("/statistics?span=all")
    assert page.status_code == 200
    share = f"{100 * len(flagged) / len(rows):.1f} %"
    expected = f"Flagged {len(flagged)} of {len(rows)} ({share}), upheld {upheld} of settled {len(settled)}."
    assert key_line(page.text) == expected


def test_a_decision_shows_at_once(tmp_path):
    site = WebSite(tmp_path)
    site.user("vera", Role.VIEWER)
    number = site.case(1, {"LAD": 300.0}, {"LM": 0, "LAD": 0, "LCX": 0, "RCA": 0})
    browser = site.logged_in("vera")
    assert "upheld 0 of settled 0" in browser.get("/statistics").text
    decide(site, number, ReviewOutcome.NODE_RIGHT)
    assert "upheld 1 of settled 1" in browser.get("/statistics").text


def test_charts_are_well_formed_named_and_without_style_or_script(viewer):
    page = viewer.get("/statistics?span=all").text
    pictures = [f"<svg{part.partition('</svg>')[0]}</svg>" for part in page.split("<svg")[1:] if "role=" in part[:200]]
    assert len(pictures) == 6
    for picture in pictures:
        root = ET.fromstring(picture)  # noqa: S314 - made by this site
        assert root[0].tag == "title"
        assert root[1].tag == "desc"
        assert len(root[1].text) > 20
        assert root.get("aria-labelledby") == f"{root[0].get('id')} {root[1].get('id')}"
        assert not [one for one in root.iter() if "style" in one.attrib or one.tag == "script"]
    assert page.count("The same as a table") >= 5


def test_filters_narrow_and_unknown_ones_do_no_harm(site, viewer):
    everything, one = (key_line(viewer.get(f"/statistics?span=all{more}").text) for more in ("", "&scanner=nobody"))
    assert everything
    assert not one
    scanner = site.ledger.choices()[0][0]
    narrowed = viewer.get("/statistics", params={"span": "all", "scanner": scanner}).text
    assert 0 < int(key_line(narrowed).split(" of ")[1].split()[0]) < 40
    assert viewer.get("/statistics?span=never&from=yesterday&by=hour&to=").status_code == 200


def test_dates_hold_both_ends(site, viewer):
    day = site.ledger.statistics()[-1].made_at.astimezone().date()
    text = key_line(viewer.get(f"/statistics?from={day}&to={day}").text)
    expected = sum(one.made_at.astimezone().date() == day for one in site.ledger.statistics())
    assert f" of {expected} (" in text


def test_a_scanners_name_is_escaped(tmp_path):
    site = WebSite(tmp_path)
    site.user("vera", Role.VIEWER)
    site.case(1, {"LAD": 30.0}, {"CAC": 30}, manufacturer="=<script>alert(1)</script>")
    browser = site.logged_in("vera")
    assert "<script>alert" not in browser.get("/statistics").text
    assert "'=<script>" in browser.get("/statistics/pairs.csv").text


def test_the_export_has_pairs_and_no_patient(site, viewer):
    answer = viewer.get("/statistics/pairs.csv?span=all")
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 40
    assert {"case", "tier", "outcome", "ours_cac", "human_cac", "ours_ac"} <= set(rows[0])
    for secret in ("A000001", "P1,", "1.2.1", "dr.smith"):
        assert secret not in answer.text
    assert site.ledger.audit_entries(limit=1)[0].action == "cases.export"


def test_input_drift_without_readings(viewer):
    page = viewer.get("/statistics/input")
    assert page.status_code == 200
    assert "No cases in this period" in page.text


def test_nobody_else_sees_them(site):
    assert site.browser().get("/statistics").status_code == 303
    assert site.browser().get("/statistics/pairs.csv").status_code == 303
