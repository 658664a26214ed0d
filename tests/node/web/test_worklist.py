from __future__ import annotations

import re

import pytest

from node.domain.people import Role
from node.domain.review import ReviewOutcome
from tests.web_site import WebSite, decide

ZERO = {"LM": 0.0, "LAD": 0.0, "LCX": 0.0, "RCA": 0.0}


@pytest.fixture
def vera(site: WebSite):
    site.user("vera", Role.VIEWER)
    return site.logged_in("vera")


def shown(page) -> list[str]:
    """Accession numbers in the order of the page."""
    return re.findall(r'class="open" href="/cases/\d+">([^<]+)<', page.text)


def cases(site: WebSite) -> dict[str, int]:
    """One of each tier."""
    site.clock.advance(days=-3)
    made = {
        "priority": site.case(1, {"LCX": 200}, ZERO, study_date="20260201", manufacturer="SIEMENS", model="Force"),
        "review": site.case(2, {"LAD": 180}, ZERO | {"LAD": 100}, study_date="20260210", manufacturer="GE"),
        "minor": site.case(3, {"LAD": 220}, ZERO | {"LAD": 200}, study_date="20260215"),
        "concordant": site.case(4, {"LAD": 50}, ZERO | {"LAD": 50}, study_date="20260220"),
    }
    site.clock.advance(days=3)
    return made


def test_flagged_and_open_cases_come_first_and_alone(site: WebSite, vera):
    made = cases(site)
    page = vera.get("/")
    assert shown(page) == ["A000001", "A000002"]
    assert f'href="/cases/{made["priority"]}"' in page.text
    assert "calcium in one read only" in page.text
    assert "2026-02-01" in page.text
    assert "+200" in page.text
    assert "3 d" in page.text


def test_a_decided_case_leaves_the_list_and_can_be_found(site: WebSite, vera):
    made = cases(site)
    decide(site, made["priority"], ReviewOutcome.NODE_RIGHT)
    assert shown(vera.get("/")) == ["A000002"]
    decided = vera.get("/?state=decided")
    assert shown(decided) == ["A000001"]
    assert "node right" in decided.text


def test_counts_stand_beside_each_tier(site: WebSite, vera):
    made = cases(site)
    decide(site, made["priority"], ReviewOutcome.NODE_RIGHT)
    counts = {
        state: dict(
            re.findall(r'class="tab-([\w-]+)"><span>[^<]+</span> <b>(\d+)</b>', vera.get(f"/?state={state}").text)
        )
        for state in ("open", "decided", "any")
    }
    assert counts["open"]["flagged"] == "1"
    assert counts["decided"] == {**dict.fromkeys(counts["open"], "0"), "priority": "1", "flagged": "1", "all": "1"}
    assert counts["any"]["all"] == "4"


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("show=all", ["A000001", "A000002", "A000003", "A000004"]),
        ("show=minor", ["A000003"]),
        ("show=nonsense", ["A000001", "A000002"]),
        ("q=A000004", ["A000004"]),
        ("q=A0000", ["A000001", "A000002", "A000003", "A000004"]),
        ("q=P3", ["A000003"]),
        ("q=%25", []),
        ("q=A000004&show=flagged", []),
        ("from=2026-02-05", ["A000002"]),
        ("from=&to=2026-02-01", ["A000001"]),
        ("from=nonsense", ["A000001", "A000002"]),
        ("scanner=GE", ["A000002"]),
        ("show=all&sort=accession", ["A000001", "A000002", "A000003", "A000004"]),
        ("show=all&sort=study-date&order=desc", ["A000004", "A000003", "A000002", "A000001"]),
        ("show=all&sort=nonsense&order=x", ["A000001", "A000002", "A000003", "A000004"]),
        ("page=2", []),
    ],
)
def test_the_address_says_what_is_shown(site: WebSite, vera, asked: str, found: list[str]):
    cases(site)
    page = vera.get(f"/?{asked}")
    assert page.status_code == 200
    assert shown(page) == found


def test_a_head_sorts_and_sorts_the_other_way(site: WebSite, vera):
    cases(site)
    page = vera.get("/?show=all&sort=accession&order=asc").text
    assert 'aria-sort="ascending"><a href="/?show=all&amp;sort=accession&amp;order=desc"' in page


def test_an_empty_list_says_why(site: WebSite, vera):
    assert "Nothing waits for review" in vera.get("/").text
    assert "No case for “A9”" in vera.get("/?q=A9").text
    assert "No case meets this filter" in vera.get("/?from=2030-01-01").text
    assert "No cases here" in vera.get("/?show=all").text


def test_long_lists_have_pages(site: WebSite, vera):
    for number in range(60):
        site.case(number, {"LCX": 200}, ZERO, study_date="20260201")
    first, second = vera.get("/"), vera.get("/?page=2")
    assert len(shown(first)) == 50
    assert len(shown(second)) == 10
    assert not set(shown(first)) & set(shown(second))
    assert "60 cases, 51 to 60 shown" in second.text


def test_nothing_in_the_list_names_the_patient_or_the_reader(site: WebSite, vera):
    cases(site)
    page = vera.get("/?show=all&state=any").text
    assert "P1<" not in page
    assert "dr.smith" not in page


def test_what_is_searched_for_is_shown_as_text(site: WebSite, vera):
    page = vera.get("/?q=<script>alert(1)</script>").text
    assert "<script>alert" not in page
