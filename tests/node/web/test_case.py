import gzip
import shutil

import numpy as np
import pytest

from model.lesions import Vessel
from node.domain.human_read import Confidence
from node.domain.people import Role
from node.domain.review import Radpeer, ReviewOutcome
from tests.case_site import CaseSite
from tests.heart_scan import BEAD, heart_scan
from tests.web_site import field_of

FAR = (20, 70, 50)


def labels_of(volume, vessels=(Vessel.LAD, Vessel.RCA)):
    labels = np.zeros(volume.grid.shape, np.uint8)
    for vessel, (k, row, column) in zip(vessels, (BEAD, FAR), strict=True):
        labels[k : k + 2, row : row + 4, column : column + 4] = vessel.label
    return labels


@pytest.fixture
def site(tmp_path, empty_ledger):
    shutil.copy(empty_ledger, tmp_path / "ledger.sqlite")
    made = CaseSite(tmp_path)
    for name, role in (("anna", Role.ADMIN), ("rene", Role.REVIEWER), ("rita", Role.REVIEWER), ("vera", Role.VIEWER)):
        made.known_user(name, role)
    yield made
    made.ledger.close()


@pytest.fixture
def case(site):
    """The human overlooked the RCA."""
    volume = heart_scan(beads=(BEAD, FAR))
    return site.scanned("one", volume, labels_of(volume), {"LM": 0, "LAD": 131, "LCX": 0, "RCA": 0})


def decide(browser, case, **typed: str):
    page = browser.get(f"/cases/{case}")
    fields = {"csrf": field_of(page.text, "csrf"), "version": field_of(page.text, "version"), "outcome": "first"}
    return browser.post(f"/cases/{case}/decide", data=fields | typed)


def test_a_reviewer_is_not_told_whose_read_is_whose(site, case):
    page = site.logged_in("rene").get(f"/cases/{case}").text
    assert "Blind." in page
    told = page.partition('class="case-columns"')[2]
    for word in ("dr.smith", "test reader", "by the human", "Human higher", "Node higher", " here,", "RADPEER of"):
        assert word not in told
    assert ">A</th>" in told
    assert ">B</th>" in told


def test_the_order_of_the_reads_is_stable_and_differs_between_people_and_cases(site):
    cases = [site.case(n, {"RCA": 200.0}, {"RCA": 0, "LAD": 0, "LCX": 0, "LM": 0}) for n in range(1, 9)]
    browser = site.logged_in("rene")

    def first_column(case):
        page = browser.get(f"/cases/{case}").text
        return page.partition('<abbr title="Coronary total">')[2].partition("number")[2][2:5]

    orders = [first_column(case) for case in cases]
    assert orders == [first_column(case) for case in cases]
    assert len(set(orders)) == 2


def test_a_viewer_sees_names_and_cannot_decide(site, case):
    browser = site.logged_in("vera")
    page = browser.get(f"/cases/{case}").text
    assert "by the human" in page
    assert "Node higher, beyond normal variation" in page
    assert "dr.smith" not in page
    assert "Reader " in page
    assert "Your decision" not in page
    typed = {"csrf": field_of(page, "csrf"), "version": "1", "outcome": "first"}
    answer = browser.post(f"/cases/{case}/decide", data=typed)
    assert answer.status_code == 403
    assert not site.ledger.decisions(case)


def test_only_administrators_read_the_readers_name(site, case):
    browser = site.logged_in("anna")
    page = browser.get(f"/cases/{case}").text
    browser.post(f"/cases/{case}/reveal", data={"csrf": field_of(page, "csrf")})
    assert "dr.smith" in browser.get(f"/cases/{case}").text


@pytest.mark.parametrize("name", ["rene", "rita"])
def test_a_blind_decision_means_the_read_it_was_given_for(site, case, name):
    browser = site.logged_in(name)
    page = browser.get(f"/cases/{case}").text
    row = page.partition('<abbr title="Right coronary artery">')[2].partition("</tr>")[0]
    scores = [cell.partition("<")[0] for cell in row.split('class="number">')[1:3]]
    node = "first" if scores[0] == "128" else "second"
    assert sorted(scores) == ["0", "128"]
    assert decide(browser, case, outcome=node, radpeer="3b", comment="  RCA seen ").status_code == 303
    (decision,) = site.ledger.decisions(case)
    assert (decision.outcome, decision.radpeer, decision.blind) == (ReviewOutcome.NODE_RIGHT, None, True)
    assert decision.comment == "RCA seen"
    assert "The node is right" in browser.get(f"/cases/{case}").text


def test_a_grade_given_after_a_blind_decision_leaves_it_blind(site, case):
    browser = site.logged_in("rene")
    decide(browser, case, outcome="both-wrong")
    page = browser.get(f"/cases/{case}").text
    assert 'data-proposed="2b"' in page or 'data-proposed="2a"' in page
    answer = decide(browser, case, outcome="both-wrong", radpeer="2a")
    assert answer.status_code == 303
    last = site.ledger.decisions(case)[-1]
    assert (last.version, last.radpeer, last.blind) == (2, Radpeer.UNDERSTANDABLE, True)
    decide(browser, case, outcome="equivalent")
    assert not site.ledger.decisions(case)[-1].blind


def test_whoever_has_seen_the_names_decides_openly_for_good(site, case):
    browser = site.logged_in("rene")
    page = browser.get(f"/cases/{case}").text
    browser.post(f"/cases/{case}/reveal", data={"csrf": field_of(page, "csrf")})
    assert "Blind." not in site.logged_in("rene").get(f"/cases/{case}").text
    assert "Blind." in site.logged_in("rita").get(f"/cases/{case}").text
    decide(browser, case, outcome="node-right", radpeer="3b")
    (decision,) = site.ledger.decisions(case)
    assert (decision.radpeer, decision.blind) == (Radpeer.MISS_SIGNIFICANT, False)


def test_the_second_of_two_is_refused_and_shown_what_the_first_decided(site, case):
    rene, rita = site.logged_in("rene"), site.logged_in("rita")
    stale = rita.get(f"/cases/{case}").text
    decide(rene, case, outcome="equivalent", comment="the same to me")
    typed = {"csrf": field_of(stale, "csrf"), "version": "1", "outcome": "first", "comment": "mine"}
    answer = rita.post(f"/cases/{case}/decide", data=typed)
    assert answer.status_code == 409
    assert "Nothing of yours was recorded" in answer.text
    assert "the same to me" in answer.text
    assert ">mine</textarea>" in answer.text
    assert len(site.ledger.decisions(case)) == 1


def test_withdrawing_needs_a_confirmation_and_keeps_the_history(site, case):
    browser = site.logged_in("rene")
    decide(browser, case, outcome="equivalent", comment="kept for ever")
    page = browser.get(f"/cases/{case}").text
    fields = {"csrf": field_of(page, "csrf"), "version": "2"}
    assert browser.post(f"/cases/{case}/withdraw", data=fields).status_code == 422
    assert browser.post(f"/cases/{case}/withdraw", data=fields | {"sure": "true"}).status_code == 303
    page = browser.get(f"/cases/{case}").text
    assert "Your decision" in page
    assert "kept for ever" in page
    assert "Withdrawn" in page
    assert [one.withdrawn for one in site.ledger.decisions(case)] == [False, True]


@pytest.mark.parametrize(
    ("typed", "words"), [({"outcome": ""}, "Choose who is right"), ({"comment": "x" * 4001}, "4001 characters")]
)
def test_a_form_that_says_too_little_or_too_much_comes_back_with_what_was_typed(site, case, typed, words):
    answer = decide(site.logged_in("rene"), case, **({"comment": "typed"} | typed))
    assert answer.status_code == 422
    assert words in answer.text
    assert (typed.get("comment") or "typed") in answer.text


def test_every_view_and_change_is_on_record(site, case):
    browser = site.logged_in("rene")
    decide(browser, case, outcome="equivalent")
    trail = site.ledger.audit_entries(subject=f"case:{case}")
    assert [one.action for one in trail] == ["case.decide", "case.view"]
    assert trail[1].detail["blind"] is True


def test_what_is_told_of_reads_and_scan_is_escaped_and_whole(site):
    volume = heart_scan()
    labels = np.zeros(volume.grid.shape, np.uint8)
    case = site.scanned(
        "odd",
        volume,
        labels,
        {"CAC": 200, "LAD": 20, "RCA": 10, "LM": 0, "LCX": 0},
        confidence=Confidence.GUESSED,
        remarks=("<script>alert(1)</script>",),
    )
    page = site.logged_in("vera").get(f"/cases/{case}").text
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "found in free text" in page
    assert "its parts add up to 30" in page
    assert "noise of 18 HU" in page
    assert "not reported by the human" in page
    assert "No mark of ours points to it" in page
    assert "https://pacs.example/view?study=2.25." in page


def test_a_case_that_is_not_there(site):
    assert site.logged_in("vera").get("/cases/99").status_code == 404


def test_flagged_cases_follow_each_other(site):
    first = site.case(1, {"RCA": 200.0}, {"RCA": 0, "LAD": 0, "LCX": 0, "LM": 0})
    site.clock.advance(minutes=1)
    second = site.case(2, {"RCA": 300.0}, {"RCA": 0, "LAD": 0, "LCX": 0, "LM": 0})
    browser = site.logged_in("vera")
    assert f'rel="next" href="/cases/{first}"' in browser.get(f"/cases/{second}").text
    assert f'rel="prev" href="/cases/{second}"' in browser.get(f"/cases/{first}").text


def test_the_viewer_gets_every_voxel_as_it_was_received(site, case):
    browser = site.logged_in("vera")
    facts = browser.get(f"/cases/{case}/viewer.json").json()
    assert site.ledger.audit_entries(limit=1)[0].action == "scan.view"
    volume = heart_scan(beads=(BEAD, FAR))
    assert (facts["slices"], facts["rows"], facts["columns"]) == volume.grid.shape
    answer = browser.get(f"/cases/{case}/slices/{BEAD[0]}.bin?v={facts['version']}")
    assert "immutable" in answer.headers["cache-control"]
    assert "private" in answer.headers["cache-control"]
    assert np.array_equal(np.frombuffer(answer.content, "<i2").reshape(volume.grid.shape[1:]), volume.hu[BEAD[0]])
    (layer,) = facts["layers"]
    assert layer["runs"][str(BEAD[0])][:3] == [BEAD[1] * 128 + BEAD[2], 4, Vessel.LAD.label]
    lesion = facts["lesions"][0]
    assert (lesion["vessel"], lesion["causal"], lesion["row"]) == ("RCA", True, FAR[1] + 1.5)


def test_marks_of_both_reads_are_named_a_and_b_while_blind(site, case):
    site.human_marks = lambda _read, ct: labels_of(ct.volume, (Vessel.LCX, Vessel.LM))
    blind = site.logged_in("rene").get(f"/cases/{case}/viewer.json").json()
    assert [layer["name"] for layer in blind["layers"]] == ["A", "B"]
    told = site.logged_in("vera").get(f"/cases/{case}/viewer.json").json()
    assert [layer["name"] for layer in told["layers"]] == ["Node", "Human"]


def test_images_that_are_gone_are_said_to_be_gone(site, case):
    row = site.ledger.case(case).row
    for member in site.ledger.members(row.series_uid, 1):
        site.storage.spool.path(member.path).unlink()
    browser = site.logged_in("vera")
    answer = browser.get(f"/cases/{case}/viewer.json")
    assert answer.status_code == 409
    assert "no longer kept here" in answer.json()["detail"]
    assert browser.get(f"/cases/{case}").status_code == 200


@pytest.mark.parametrize("path", ["viewer.json", "slices/0.bin", ""])
def test_nobody_sees_anything_without_logging_in(site, case, path):
    assert site.browser().get(f"/cases/{case}/{path}".rstrip("/")).status_code == 303


@pytest.mark.parametrize(("path", "status"), [("slices/30.bin", 404), ("slices/-1.bin", 404), ("slices/x.bin", 404)])
def test_slices_that_are_not_there(site, case, path, status):
    assert site.logged_in("vera").get(f"/cases/{case}/{path}").status_code == status


def test_slices_travel_packed(site, case):
    with site.logged_in("vera").stream("GET", f"/cases/{case}/slices/0.bin") as answer:
        packed = b"".join(answer.iter_raw())
    assert answer.headers["content-encoding"] == "gzip"
    assert len(gzip.decompress(packed)) == 128 * 128 * 2


@pytest.mark.parametrize("name", ["rene", "rita", "anna"])
def test_a_and_b_keep_their_meaning_when_another_window_shows_the_names(site, case, name):
    browser = site.logged_in(name)
    blind = browser.get(f"/cases/{case}").text
    row = blind.partition('<abbr title="Right coronary artery">')[2].partition("</tr>")[0]
    node = "first" if row.split('class="number">')[1].startswith("128") else "second"
    csrf = field_of(blind, "csrf")
    browser.post(f"/cases/{case}/reveal", data={"csrf": csrf})
    browser.post(f"/cases/{case}/decide", data={"csrf": csrf, "version": "1", "outcome": node})
    (decision,) = site.ledger.decisions(case)
    assert (decision.outcome, decision.blind) == (ReviewOutcome.NODE_RIGHT, False)
