"""The API: who may ask, what is taken, what is refused in words with nothing stored, and that twice is once."""

import json
import random
from datetime import UTC, datetime, timedelta, timezone

import pytest

from node.domain.people import Role
from node.intake.code_map import CodeMap
from node.intake.fhir_reads import FhirSite
from node.stages.intake import Intake
from node.web.accounts import sha256_of
from node.web.api.bodies import MOST_BYTES
from node.web.services import Services
from node.web.site import make_site
from node.web_settings import WebSettings
from tests.web_site import WebSite

STUDY = "1.2.1"
READ = {"study_uid": STUDY, "read_id": "r1", "version": 1, "scores": {"LM": 0, "LAD": 10, "LCX": 0, "RCA": 5}}


class ApiSite(WebSite):
    def __post_init__(self) -> None:
        super().__post_init__()
        self.intake = Intake(self.storage, self.clock, lambda: None)
        codes = CodeMap.of({"urn:ris:codes|17": "LAD"})
        fhir = FhirSite(codes=codes, zone=timezone(timedelta(hours=1)), issuer="urn:hosp")
        services = Services(storage=self.storage, version="9", take_reads=self.intake.take_all, fhir=fhir)
        self.app = make_site(services, WebSettings(), self.clock)

    def token(self, role, of=Role.ADMIN):
        name = f"{of}-{role}-{random.randrange(10**9)}"
        user = self.ledger.add_user(name, of, "", self.clock())
        self.ledger.add_token(user, "machine", sha256_of(name), role, now=self.clock())
        return {"Authorization": f"Bearer {name}"}

    def stored(self):
        return sum(self.ledger.read_counts().values())


@pytest.fixture
def site(tmp_path):
    made = ApiSite(tmp_path)
    yield made
    made.ledger.close()


def post(site, body, *, path="/api/v1/reads", kind="application/json", headers=None):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = headers or site.token(Role.REVIEWER)
    return site.browser().post(path, content=data, headers={"Content-Type": kind, **given})


def told(answer, *words):
    """Whether the answer is a problem that says these words."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    found = answer.json()
    assert found["status"] == answer.status_code
    assert found["title"]
    assert found["reasons"]
    for word in words:
        assert word in found["detail"], found["detail"]
    return True


def api_paths(site):
    found = site.browser().get("/api/openapi.json", headers=site.token(Role.VIEWER)).json()
    for path, place in found["paths"].items():
        for method in place:
            yield method.upper(), path.replace("{number}", "1").replace("{study_uid}", STUDY)
    yield "GET", "/api/openapi.json"
    yield "GET", "/api/docs"


def test_nobody_without_a_token_gets_anything(site):
    paths = list(api_paths(site))
    assert len(paths) > 10
    for method, path in paths:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic YTpi"}):
            answer = site.browser().request(method, path, headers=headers)
            assert answer.status_code == 401, (method, path)
            assert answer.headers["www-authenticate"] == "Bearer"
            assert told(answer)


def test_too_low_a_role_changes_nothing(site):
    viewer = site.token(Role.VIEWER)
    changing = [path for method, path in api_paths(site) if method == "POST"]
    assert len(changing) == 6
    for path in changing:
        assert told(post(site, READ, path=path, headers=viewer), "reviewer")
    assert post(site, READ, headers=viewer).status_code == 403
    assert site.stored() == 0


def test_a_token_opens_no_more_than_its_user_may(site):
    user = site.ledger.add_user("once-admin", Role.ADMIN, "", site.clock())
    site.ledger.add_token(user, "machine", sha256_of("secret"), Role.REVIEWER, now=site.clock())
    site.ledger.change_user("once-admin", site.clock(), role=Role.VIEWER)
    assert post(site, READ, headers={"Authorization": "Bearer secret"}).status_code == 403


def test_a_session_needs_its_token_to_change_anything(site):
    site.user("rene", Role.REVIEWER)
    browser = site.logged_in("rene")
    assert browser.get("/api/v1/cases").status_code == 200
    assert browser.post("/api/v1/reads", json=READ).status_code == 403
    assert site.stored() == 0


def test_a_read_is_taken_once(site):
    site.case(1, {"LAD": 10.0}, {"CAC": 10})
    before = site.stored()
    first, again = post(site, READ), post(site, READ)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["reads"][0]["state"] == "matched"
    assert again.json()["reads"][0] | {"arrival": "new"} == first.json()["reads"][0]
    assert site.stored() == before + 1
    other = post(site, READ | {"scores": {"CAC": 99}})
    assert other.status_code == 409
    assert other.json()["reads"][0]["state"] == "quarantined"
    older = post(site, READ | {"version": 3})
    assert older.status_code == 201
    assert post(site, READ | {"version": 2}).json()["reads"][0]["arrival"] == "older"


def test_a_read_for_an_unknown_study_waits_and_says_so(site):
    answer = post(site, READ)
    assert answer.status_code == 202
    assert "study" in answer.json()["reads"][0]["reason"]


def test_a_read_for_the_wrong_patient_is_kept_apart(site):
    site.case(1, {"LAD": 10.0}, {"CAC": 10})
    answer = post(site, READ | {"patient_id": "P2"})
    assert answer.status_code == 202
    assert "another patient" in answer.json()["reads"][0]["reason"]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({**READ, "scores": {"LAD": -1}}, "LAD"),
        (b'{"study_uid": "1.2", "scores": {"LAD": NaN}}', "NaN"),
        ({**READ, "scores": {"LAD": "12O"}}, "LAD"),
        ({**READ, "scores": {"LAD": 1e300}}, "LAD"),
        ({**READ, "scores": {"LADD": 1}}, "LADD"),
        ({**READ, "scores": {}}, "score"),
        ({**READ, "surprise": 1}, "surprise"),
        ({"scores": {"LAD": 1}}, "study"),
        ([READ, {"scores": {"LAD": "x"}}], "[1]"),
        (b"{", "JSON"),
        (b"\xff\xfe{", "UTF-8"),
        (b"[" * 100_000, "nested"),
        (b"[]", "no read"),
        (b"null", "object"),
    ],
)
def test_bad_input_is_refused_in_words_and_nothing_is_stored(site, body, word):
    answer = post(site, body)
    assert 400 <= answer.status_code < 500
    assert told(answer, word)
    assert site.stored() == 0


def test_totals_that_do_not_add_up_are_taken_with_a_remark(site):
    # They are what a human reported: the comparison says so; see node.domain.human_read.
    assert post(site, READ | {"scores": {"CAC": 100, "LM": 0, "LAD": 10, "LCX": 0, "RCA": 0}}).status_code == 202


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", "application/xml", ""])
def test_only_known_kinds_are_taken(site, kind):
    assert told(post(site, READ, kind=kind), "application/json")
    assert post(site, READ, kind=kind).status_code == 415


def test_too_much_or_nothing_is_refused(site):
    answer = post(site, b" " * (MOST_BYTES + 1))
    assert answer.status_code == 413
    assert told(answer)
    assert post(site, b"").status_code == 400


def test_a_table_from_a_spreadsheet_is_taken(site):
    table = "﻿study_uid;read_id;LM;LAD;LCX;RCA\n1.2.1;x;0;12,5;0;0\n".encode()
    answer = post(site, table, kind="text/csv")
    assert answer.status_code == 202, answer.text
    assert told(post(site, table.replace(b"12,5", b"12O"), kind="text/csv"), "12O")


def test_fhir_that_is_no_report_is_refused_in_words(site):
    answer = post(site, {"resourceType": "Patient"}, path="/api/v1/fhir/DiagnosticReport")
    assert answer.status_code == 422
    assert told(answer, "DiagnosticReport")


def test_cases_are_listed_and_told_whole(site):
    number = site.case(1, {"LAD": 300.0}, {"LM": 0, "LAD": 0, "LCX": 0, "RCA": 0})
    browser, token = site.browser(), site.token(Role.VIEWER, of=Role.VIEWER)
    found = browser.get("/api/v1/cases?tier=priority", headers=token).json()
    assert (found["total"], found["cases"][0]["id"], found["cases"][0]["ours"]) == (1, number, 300)
    assert browser.get("/api/v1/cases?tier=review", headers=token).json()["total"] == 0
    whole = browser.get(f"/api/v1/cases/{number}", headers=token).json()
    assert whole["reasons"]
    assert whole["reader"].startswith("Reader ")
    assert "dr.smith" not in json.dumps(whole)
    assert site.ledger.audit_entries(limit=1)[0].action == "case.view"
    for bad in ("?tier=none", "?limit=0", "?limit=9999", "?order=size", "?study_from=x"):
        assert told(browser.get(f"/api/v1/cases{bad}", headers=token))
    for missing in ("/api/v1/cases/99", "/api/v1/cases/99999999999999999999", "/api/v1/cases/x", "/api/v1/nothing"):
        assert browser.get(missing, headers=token).status_code == 404
        assert told(browser.get(missing, headers=token))


def test_a_decision_is_recorded_in_turn_and_can_be_undone(site):
    number = site.case(1, {"LAD": 300.0}, {"LM": 0, "LAD": 0, "LCX": 0, "RCA": 0})
    path = f"/api/v1/cases/{number}/decisions"
    token = site.token(Role.REVIEWER)
    told(post(site, {"version": 1, "outcome": "node-right"}, path=path, headers=token), "blind")
    assert site.ledger.decisions(number) == ()
    assert post(site, {}, path=f"/api/v1/cases/{number}/reveal", headers=token).json()["reasons"]
    decided = post(site, {"version": 1, "outcome": "node-right", "radpeer": "3b"}, path=path, headers=token)
    assert decided.status_code == 201
    assert decided.json()["decisions"][0]["outcome"] == "node-right"
    assert told(post(site, {"version": 1, "outcome": "human-right"}, path=path, headers=token), "next version is 2")
    assert post(site, {"version": 2, "withdrawn": True}, path=path, headers=token).status_code == 201
    assert site.ledger.case(number).row.state == "open"
    figures = site.browser().get("/api/v1/statistics", headers=token).json()
    assert figures["rates"]["flagged"] == 1
    assert figures["rates"]["settled"] == 0


@pytest.mark.parametrize(
    "body",
    [
        {"version": 1},
        {"version": 0, "outcome": "node-right"},
        {"version": 1, "outcome": "nobody"},
        {"version": 1, "outcome": "node-right", "radpeer": "4"},
        {"version": 1, "outcome": "node-right", "more": 1},
        {"version": 1, "outcome": "node-right", "withdrawn": True},
        {"version": 1, "outcome": "node-right", "comment": "x" * 5000},
        [],
    ],
)
def test_a_decision_that_says_nothing_or_too_much_is_refused(site, body):
    number = site.case(1, {"LAD": 300.0}, {"CAC": 0})
    answer = post(site, body, path=f"/api/v1/cases/{number}/decisions")
    assert answer.status_code == 422
    assert told(answer)
    assert site.ledger.decisions(number) == ()


def test_where_nothing_is_decided_nothing_can_be_withdrawn(site):
    number = site.case(1, {"LAD": 300.0}, {"CAC": 0})
    answer = post(site, {"version": 1, "withdrawn": True}, path=f"/api/v1/cases/{number}/decisions")
    assert answer.status_code == 409
    assert told(answer, "no decision to withdraw")
    assert site.ledger.decisions(number) == ()


def test_studies_and_health(site):
    site.case(1, {"LAD": 10.0}, {"CAC": 10}, station="S")
    browser, token = site.browser(), site.token(Role.VIEWER)
    found = browser.get(f"/api/v1/studies/{STUDY}", headers=token).json()
    assert found["case"] is not None
    assert found["reads"][0]["agatston"] == {"CAC": 10}
    assert "P1" not in json.dumps(found)
    seen = site.ledger.audit_entries(limit=1)[0]
    assert (seen.action, seen.subject) == ("study.view", "study:A000001")
    assert browser.get("/api/v1/studies/9.9", headers=token).status_code == 404
    assert browser.get("/api/v1/studies", headers=token).json() == []
    assert browser.get("/api/v1/health", headers=token).json()["status"] == "good"


def test_the_document_is_whole_and_the_page_shows_it(site):
    browser, token = site.browser(), site.token(Role.VIEWER)
    document = browser.get("/api/openapi.json", headers=token).json()
    assert document["openapi"].startswith("3.1")
    text = json.dumps(document)
    names = {part.partition('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert names <= set(document["components"]["schemas"])
    page = browser.get("/api/docs", headers=token)
    assert page.status_code == 200
    for path in document["paths"]:
        assert path in page.text
    assert "http://" not in page.text.replace("http://testserver", "")


def test_a_token_that_asks_without_end_is_told_to_wait(site):
    browser, token = site.browser(), site.token(Role.VIEWER)
    assert browser.get("/api/v1/health", headers=token).status_code == 200
    key = sha256_of(token["Authorization"])
    while site.app.state.pace.spend(key, site.clock()):
        pass
    answer = browser.get("/api/v1/health", headers=token)
    assert answer.status_code == 429
    assert told(answer)
    assert browser.get("/api/v1/health", headers=site.token(Role.VIEWER)).status_code == 200
    site.clock.advance(seconds=1)
    assert browser.get("/api/v1/health", headers=token).status_code == 200


def test_a_fhir_report_is_taken_once(site):
    site.case(1, {"LAD": 10.0}, {"CAC": 10})
    report = {
        "resourceType": "DiagnosticReport",
        "id": "r1",
        "meta": {"versionId": "1"},
        "identifier": [{"system": "urn:ris", "value": "F1"}],
        "status": "final",
        "imagingStudy": [{"identifier": {"system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}"}}],
        "contained": [
            {
                "resourceType": "Observation",
                "id": "o",
                "status": "final",
                "code": {"coding": [{"system": "http://snomed.info/sct", "code": "450734004"}]},
                "valueQuantity": {"value": 130},
            }
        ],
        "result": [{"reference": "#o"}],
    }
    path = "/api/v1/fhir/DiagnosticReport"
    first, again = (post(site, report, path=path, kind="application/fhir+json") for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200), first.text
    assert first.json()["reads"][0]["state"] == "matched"
    assert [one.read.agatston("CAC") for one in site.ledger.reads_of(STUDY)] == [10, 130]


def test_fhir_is_read_by_the_codes_the_zone_and_the_issuer_of_the_site(site):
    site.case(1, {"LAD": 10.0}, {"CAC": 10})
    observation = {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": {"coding": [{"system": "urn:ris:codes", "code": "17"}]},
        "derivedFrom": [{"identifier": {"system": "urn:dicom:uid", "value": f"urn:oid:{STUDY}"}}],
        "contained": [
            {
                "resourceType": "Patient",
                "id": "p",
                "identifier": [{"system": "urn:other", "value": "X"}, {"system": "urn:hosp", "value": "P1"}],
            }
        ],
        "subject": {"reference": "#p"},
        "issued": "2026-03-02T09:00:00",
        "valueInteger": 12,
    }
    answer = post(site, observation, path="/api/v1/fhir/Observation", kind="application/fhir+json")
    assert answer.status_code == 201, answer.text
    stored = site.ledger.reads_of(STUDY)[-1].read
    assert stored.agatston("LAD") == 12
    assert (stored.study.patient_id, stored.study.issuer) == ("P1", "urn:hosp")
    assert stored.read_at.astimezone(UTC) == datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
    unknown = observation | {"code": {"coding": [{"system": "urn:ris:codes", "code": "18"}]}}
    refused = post(site, unknown, path="/api/v1/fhir/Observation", kind="application/fhir+json")
    assert refused.status_code == 422
    assert told(refused, "no calcium score")
