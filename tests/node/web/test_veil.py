"""Nothing tells a person who is still to review a case blind what either read scored, by whatever way they come."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from model.lesions import Vessel
from node.domain.people import Role
from node.domain.read_history import ReadState
from node.domain.review import Decision, ReviewOutcome
from node.web.accounts import sha256_of
from tests.case_site import CaseSite
from tests.heart_scan import BEAD, heart_scan
from tests.node.web.test_access import path_of, routes_of
from tests.web_site import WebSite, decide, field_of

SECRETS = ("3771", "1337", "2434", "dr.smith")  # ours, the human's, what they differ by
ZERO = {"LM": 0.0, "LAD": 0.0, "LCX": 0.0, "RCA": 0.0}
STUDY = "1.2.1"


@pytest.fixture
def case(site: WebSite) -> int:
    for name, role in (("anna", Role.ADMIN), ("rene", Role.REVIEWER), ("rita", Role.REVIEWER), ("vera", Role.VIEWER)):
        site.user(name, role)
    return site.case(1, {"LCX": 3771.0}, ZERO | {"LAD": 1337.0}, study_date="20260301", station="CT01")


def token(site: WebSite, name: str, role: Role) -> dict[str, str]:
    site.ledger.add_token(site.ledger.user(name), "machine", sha256_of(f"{name}-{role}"), role, now=site.clock())
    return {"Authorization": f"Bearer {name}-{role}"}


def addresses(site: WebSite) -> list[str]:
    """Every address that can be asked for, with the choices that narrow figures down to the one case."""
    got = (path_of(route) for route in routes_of(site) if "GET" in (route.methods or ()))
    found = [path.replace("/studies/1", f"/studies/{STUDY}") for path in got]
    found += ["/?q=A000001&show=all&state=any", "/?sort=difference", "/?show=all&state=any&sort=difference&order=asc"]
    found += [f"/statistics?from=2026-03-02&to=2026-03-02&scanner={one}" for one in ("", "CT01")]
    found += ["/statistics?span=all&by=day", "/statistics/pairs.csv?span=all", "/api/v1/statistics?span=all"]
    found += ["/api/v1/cases?tier=priority&order=difference", "/api/v1/cases?q=A000001"]
    return found


def telling(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text.replace(",", "").replace("&#39;", "'")]


@pytest.mark.parametrize("name", ["rene", "anna"])
def test_no_address_gives_a_score_away_before_the_case_is_read(site: WebSite, case: int, name: str):
    """Only the case itself shows both reads, as A and B. An administrator reviews too."""
    ways = [site.logged_in(name).get, *(_by_token(site, name, role) for role in (Role.VIEWER, Role.REVIEWER))]
    asked = 0
    for path in addresses(site):
        if path in (f"/cases/{case}", "/audit/export.csv"):
            continue
        for get in ways:
            answer = get(path)
            asked += answer.status_code == 200
            assert not telling(answer.text), path
    assert asked > 30
    page = ways[0](f"/cases/{case}").text
    assert "Blind." in page
    assert "dr.smith" not in page
    assert not telling(ways[0]("/").text), "reading it blind is no reason to show it"


def _by_token(site: WebSite, name: str, role: Role):
    headers = token(site, name, role)
    return lambda path: site.browser().get(path, headers=headers if path.startswith("/api/") else {})


def test_who_reviews_nothing_is_shown_everything(site: WebSite, case: int):
    """Else the test above could not fail."""
    get = site.logged_in("vera").get
    for path in ("/", "/statistics/pairs.csv", f"/cases/{case}", f"/api/v1/cases/{case}", f"/api/v1/studies/{STUDY}"):
        assert {"3771", "1337"} & set(telling(get(path).text)), path
    assert '"ours":3771.0' in get("/api/v1/cases").text
    assert get("/api/v1/statistics?span=all").json()["agreement"]["count"] == 1
    assert site.logged_in("rene").get("/api/v1/statistics?span=all").json()["agreement"]["count"] == 0
    assert "sort=difference" in get("/").text


@pytest.mark.parametrize("way", ["page", "api"])
def test_what_was_revealed_is_shown_to_that_person_everywhere(site: WebSite, case: int, way: str):
    browser = site.logged_in("rene")
    if way == "page":
        csrf = field_of(browser.get(f"/cases/{case}").text, "csrf")
        browser.post(f"/cases/{case}/reveal", data={"csrf": csrf})
    else:
        site.browser().post(f"/api/v1/cases/{case}/reveal", headers=token(site, "rene", Role.REVIEWER))
    assert "3771" in browser.get("/").text
    assert browser.get("/api/v1/cases").json()["withheld"] == []
    assert browser.get(f"/api/v1/cases/{case}").json()["withheld"] is False
    assert browser.get(f"/api/v1/studies/{STUDY}").json()["reads"][0]["agatston"]["LAD"] == 1337
    assert not telling(browser.get("/statistics/pairs.csv").text), "figures leave out every case without a decision"
    assert not telling(site.logged_in("rita").get("/").text)


def test_a_decision_lifts_the_veil_for_all(site: WebSite, case: int):
    rita = site.logged_in("rita")
    decide(site, case, ReviewOutcome.NODE_RIGHT)
    assert "3771" in rita.get("/?state=decided").text
    assert "3771" in rita.get("/statistics/pairs.csv").text
    withdrawal = Decision(
        version=2, outcome=None, radpeer=None, comment="", reviewer="rene", decided_at=site.clock(), blind=False,
        withdrawn=True,
    )  # fmt: skip
    site.ledger.add_decision(case, withdrawal)
    assert "3771" in rita.get("/").text, "the history names the reads"


def test_what_was_seen_of_a_study_is_not_forgotten_when_it_is_compared_anew(site: WebSite, case: int):
    rene = site.logged_in("rene")
    csrf = field_of(rene.get(f"/cases/{case}").text, "csrf")
    rene.post(f"/cases/{case}/reveal", data={"csrf": csrf})
    again = site.case(1, {"LCX": 3772.0}, ZERO | {"LAD": 1337.0}, study_date="20260301")
    assert again == case  # the same pair: recorded once
    assert site.ledger.names_known("rene", [case]) == {case}
    assert site.ledger.names_known("rita", [case]) == frozenset()
    assert site.ledger.names_known("rene", []) == frozenset()


def test_cases_that_are_not_flagged_hide_nothing(site: WebSite):
    site.user("rene", Role.REVIEWER)
    site.case(2, {"LAD": 3771.0}, ZERO | {"LAD": 3770.0}, study_date="20260301")
    browser = site.logged_in("rene")
    assert "3771" in browser.get("/?show=concordant").text
    assert browser.get("/api/v1/cases").json()["cases"][0]["ours"] == 3771


def test_the_list_says_that_scores_are_kept_back(site: WebSite, case: int):
    site.case(2, {"LAD": 50.0}, ZERO | {"LAD": 50.0}, study_date="20260301")
    page = site.logged_in("rene").get("/?show=all&state=any").text
    assert "to be read blind" in page
    assert ">50<" in page
    alone = site.logged_in("rene").get("/").text
    assert "still to read blind are not shown" in alone
    assert "Difference" not in alone
    assert "Scores of 1 flagged case" in site.logged_in("rene").get("/statistics").text


def test_a_read_in_quarantine_that_may_be_of_a_blind_case_keeps_its_scores_to_itself(site: WebSite, case: int):
    (known,) = site.ledger.reads_of(STUDY)
    site.ledger.discard_read(known.id, "x", "anna", site.clock())  # no case any more
    assert site.ledger.reads_of(STUDY)[0].state is ReadState.DISCARDED
    assert not telling(site.logged_in("rene").get(f"/api/v1/studies/{STUDY}").text)


@pytest.fixture
def scan(tmp_path, empty_ledger):
    """A site with images, in which the human overlooked a lesion."""
    shutil.copy(empty_ledger, tmp_path / "ledger.sqlite")
    made = CaseSite(tmp_path)
    for name, role in (("rene", Role.REVIEWER), ("vera", Role.VIEWER)):
        made.known_user(name, role)
    yield made
    made.ledger.close()


def test_no_mark_and_no_lesion_of_one_read_alone_is_sent_to_a_blind_reviewer(scan: CaseSite):
    volume = heart_scan(beads=(BEAD,))
    labels = np.zeros(volume.grid.shape, np.uint8)
    labels[BEAD[0] : BEAD[0] + 2, BEAD[1] : BEAD[1] + 4, BEAD[2] : BEAD[2] + 4] = Vessel.LCX.label
    case = scan.scanned("one", volume, labels, ZERO)
    blind, told = (scan.logged_in(name).get(f"/cases/{case}/viewer.json").json() for name in ("rene", "vera"))
    assert told["layers"]
    assert told["lesions"]
    assert (blind["layers"], blind["lesions"]) == ([], [])
    assert {name: blind[name] for name in ("slices", "rows", "version")} == {
        name: told[name] for name in ("slices", "rows", "version")
    }
    page = scan.logged_in("rene").get(f"/cases/{case}").text
    assert "data-lesion" not in page
    assert "RCA" in json.dumps(blind["vessels"])
