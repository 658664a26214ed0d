import json
import shutil

import pytest

from node.domain.human_read import HumanRead, ReadScore, ReadSource, ReadStatus, StudyKey
from node.domain.people import Role
from node.domain.read_history import ReadState
from node.domain.studies import StudyFacts
from node.stages.human_objects import NotTaken
from tests.case_site import CaseSite
from tests.web_site import field_of

STUDY = "1.2.3"


@pytest.fixture
def site(tmp_path, empty_ledger):
    shutil.copy(empty_ledger, tmp_path / "ledger.sqlite")
    made = CaseSite(tmp_path)
    for name, role in (("rene", Role.REVIEWER), ("vera", Role.VIEWER)):
        made.known_user(name, role)
    made.ledger.record_study(StudyFacts(study_uid=STUDY, accession="A1", patient_id="P1"), made.clock())
    yield made
    made.ledger.close()


@pytest.fixture
def browser(site):
    return site.logged_in("rene")


def send(browser, path, page="/reads", **fields: str):
    csrf = field_of(browser.get(page).text, "csrf")
    return browser.post(path, data={"csrf": csrf, **fields})


def lost(site):
    """A read of a study that is not here."""
    read = HumanRead(
        source=ReadSource.HL7,
        source_id="9",
        study=StudyKey(accession="A1", patient_id="other"),
        reader="dr.smith",
        scores={"CAC": ReadScore(agatston=12)},
    )
    return site.ledger.record_read(read, site.storage.originals.keep(b"x"), "mllp", site.clock()).read_id


def test_reads_are_for_reviewers(site):
    viewer = site.logged_in("vera")
    assert viewer.get("/reads").status_code == 403
    assert viewer.get("/reads/new").status_code == 403


def test_a_read_in_quarantine_is_shown_with_its_reason_and_assigned(site, browser):
    number = lost(site)
    page = browser.get("/reads").text
    assert "no study here matches it yet" in page
    assert "CAC 12" in page
    assert "dr.smith" not in page
    assert send(browser, f"/reads/{number}/assign", study_uid=STUDY).status_code == 303
    assert site.ledger.find_read(number).study_uid == STUDY
    assert "Nothing in quarantine" in browser.get("/reads").text
    assert send(browser, f"/reads/{number}/assign", page="/reads/new?study=1.2.3", study_uid=STUDY).status_code == 422


def test_discarding_needs_a_reason(site, browser):
    number = lost(site)
    assert send(browser, f"/reads/{number}/discard", reason=" ").status_code == 422
    assert send(browser, f"/reads/{number}/discard", reason="a test message").status_code == 303
    assert site.ledger.find_read(number).state is ReadState.DISCARDED


def test_a_read_is_typed_in(site, browser):
    form = f"/reads/new?study={STUDY}"
    typed = {"study_uid": STUDY, "version": "1", "reader": "dr.jones", "status": "final", "LAD": "12,5", "RCA": "0"}
    assert send(browser, "/reads/new", form, **typed).status_code == 303
    (stored,) = site.ledger.reads_of(STUDY)
    assert (stored.read.source, stored.read.status, stored.from_whom) == (ReadSource.PAGE, ReadStatus.FINAL, "rene")
    assert {region: one.agatston for region, one in stored.read.scores.items()} == {"LAD": 12.5, "RCA": 0}
    assert json.loads(site.storage.originals.read(stored.original))["LAD"] == "12,5"
    assert "notice=known" in send(browser, "/reads/new", form, **typed).headers["location"]
    assert len(site.ledger.reads_of(STUDY)) == 1
    (entry, *_) = site.ledger.audit_entries(subject=f"read:{stored.id}")
    assert entry.actor == "rene"


def test_a_correction_is_the_next_version(site, browser):
    form = f"/reads/new?study={STUDY}"
    typed = {"study_uid": STUDY, "reader": "rene", "CAC": "10"}
    send(browser, "/reads/new", form, version="1", **typed)
    version = field_of(browser.get(form).text, "version")
    assert version == "2"
    send(browser, "/reads/new", form, version=version, **(typed | {"CAC": "20", "status": "corrected"}))
    assert site.ledger.effective_read(STUDY).read.agatston("CAC") == 20


def test_every_fault_is_shown_at_its_field_and_nothing_is_lost(site, browser):
    typed = {"study_uid": STUDY, "LAD": "1O", "RCA": "-3", "CAC": "77", "kvp": "9999", "read_at": "soon"}
    answer = send(browser, "/reads/new", f"/reads/new?study={STUDY}", **typed)
    assert answer.status_code == 422
    for field in ("LAD", "RCA", "kvp", "read_at"):
        assert f'id="fault-{field}"' in answer.text, field
        assert f'value="{typed[field]}" ' in answer.text or f'value="{typed[field]}"' in answer.text
    assert 'id="fault-CAC"' not in answer.text
    assert 'value="77"' in answer.text
    assert not site.ledger.reads_of(STUDY)


def test_a_form_without_scores_says_so(site, browser):
    answer = send(browser, "/reads/new", f"/reads/new?study={STUDY}", study_uid=STUDY)
    assert "Type at least one score" in answer.text


def test_a_study_is_found_by_its_accession_number(browser):
    assert f"/reads/new?study={STUDY}" in browser.get("/reads/new?accession=A1").text
    assert "no such study" in browser.get("/reads/new?accession=A2").text
    assert "no such study" in browser.get("/reads/new?study=9.9").text


def upload(browser, name, data):
    csrf = field_of(browser.get("/reads").text, "csrf")
    return browser.post("/reads/upload", data={"csrf": csrf}, files={"file": (name, data)})


def test_a_table_is_uploaded_and_its_faults_are_told_line_by_line(site, browser):
    table = b"accession;patient_id;CAC\nA1;P1;12,5\nA1;P1;many\nA9;P9;3\n"
    answer = upload(browser, "reads.csv", table)
    assert answer.status_code == 200
    assert "2 reads taken, 1 of them matched" in answer.text
    assert "many" in answer.text
    assert site.ledger.reads_of(STUDY)[0].read.agatston("CAC") == 12.5
    assert len(site.ledger.quarantined_reads()) == 1


def test_json_is_uploaded(site, browser):
    document = json.dumps({"study_uid": STUDY, "scores": {"CAC": 4}}).encode()
    assert "1 read taken" in upload(browser, "reads.json", document).text
    assert site.ledger.reads_of(STUDY)[0].read.agatston("CAC") == 4


@pytest.mark.parametrize(("name", "data"), [("x.json", b"{"), ("x.csv", b"\x00\x01"), ("x.csv", b"")])
def test_what_is_no_table_is_refused_in_words(site, browser, name, data):
    answer = upload(browser, name, data)
    assert answer.status_code == 422
    assert "Nothing was taken" in answer.text or "0 reads taken" in answer.text


def test_objects_that_could_not_be_taken_are_listed_with_every_reason(site, browser, monkeypatch):
    told = NotTaken("1.2.9", STUDY, ("another orientation", "LAD: <b>many</b> is no number"))
    monkeypatch.setattr("node.web.pages.reads.not_taken", lambda _ledger: (told,))
    page = browser.get("/reads").text
    assert "Reports and masks that were not taken" in page
    assert "Accession A1" in page
    assert "another orientation" in page
    assert "&lt;b&gt;many" in page


@pytest.mark.parametrize("number", ["0", "-1", "99999999999999999999", "-99999999999999999999"])
def test_a_number_that_no_read_has_is_not_found(browser, number):
    for path, fields in (
        (f"/reads/{number}/assign", {"study_uid": "1.2"}),
        (f"/reads/{number}/discard", {"reason": "x"}),
    ):
        assert send(browser, path, **fields).status_code == 404
