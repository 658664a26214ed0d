"""Whatever schemathesis draws from the API's document is answered as the document says, whoever asks; a lie is found.

``tests/benchmarks/site_fuzz_benchmark.py`` is the long run of the same.
"""

from __future__ import annotations

import json

import pytest
from fastapi import HTTPException
from starlette.responses import JSONResponse

from node.domain.people import Role, User
from node.intake.json_reads import read_json
from node.web import faults
from node.web.accounts import Visitor
from node.web.api import reads, state
from node.web.api.examples import READ
from node.web.api.problems import PROBLEM_TYPE
from node.web.auth import Viewer
from tests.fuzzed_site import API, PHASES, a_site, asked, operations_of

QUICK = ("examples", "fuzzing")  # boundaries and sequences cost most, and are for one who may do everything


@pytest.fixture
def site(tmp_path):
    made = a_site(tmp_path)
    yield made
    made.ledger.close()


def statuses(told, method: str = "") -> set[int]:
    return {status for name, counts in told.answers.items() if name.startswith(method) for status in counts}


def test_an_administrator_is_answered_as_documented(site):
    told = asked(site, "administrator", 10, phases=PHASES)
    assert not told.faults
    assert set(told.answers) == operations_of(API)
    for name, counts in told.answers.items():
        assert any(status < 300 for status in counts), f"{name} was never done: {counts}"


def test_a_reviewer_is_answered_as_documented(site):
    told = asked(site, "reviewer", 10, phases=QUICK)
    assert not told.faults
    assert set(told.answers) == operations_of(API)
    assert not statuses(told) & {403, 429}


def test_a_viewer_is_answered_as_documented_and_changes_nothing(site):
    before = site.stored()
    told = asked(site, "viewer", 10, phases=QUICK)
    assert not told.faults
    assert set(told.answers) == operations_of(API)
    assert statuses(told, "POST") == {401, 403}
    assert site.stored() == before


def test_nobody_gets_anything_but_401_whatever_is_asked(site):
    before = site.stored()
    told = asked(site, "anonymous", 10, phases=QUICK)
    assert not told.faults
    assert set(told.answers) == operations_of(API)
    assert statuses(told) == {401}
    assert site.stored() == before


def raising(error: Exception):
    def broken(*_: object, **__: object):
        raise error

    return lambda _, patch: patch.setattr(state, "recent_studies", broken)


def answering(content: dict[str, object], kind: str):
    def problem(status: int, *_: object) -> JSONResponse:
        return JSONResponse(content, status, media_type=kind)

    return lambda _, patch: patch.setattr(faults, "problem", problem)


def taking_anything(_, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(reads, "read_json", lambda _, **named: read_json(json.dumps(READ).encode(), **named))


def open_to_all(site, _) -> None:
    site.user("vera", Role.VIEWER)
    user: User = site.ledger.user("vera")
    door = Viewer.__metadata__[0].dependency
    site.app.dependency_overrides[door] = lambda: Visitor(user=user, role=Role.VIEWER, csrf="")


FAULT = {"type": "about:blank", "title": "Not so", "status": 422, "detail": "no", "reasons": ["no"]}


@pytest.mark.parametrize(
    ("put_in", "path", "found"),
    [
        (raising(RuntimeError("a bug")), "/api/v1/studies", "not_a_server_error"),
        (raising(HTTPException(410)), "/api/v1/studies", "status_code_conformance"),
        (answering(FAULT, "application/json"), "/api/v1/studies", "content_type_conformance"),
        (answering(FAULT | {"reasons": []}, PROBLEM_TYPE), "/api/v1/studies", "response_schema_conformance"),
        (taking_anything, "/api/v1/reads", "negative_data_rejection"),
        (open_to_all, "/api/v1/studies", "ignored_auth"),
    ],
)
def test_a_fault_that_is_put_in_is_found(site, monkeypatch, put_in, path: str, found: str):
    put_in(site, monkeypatch)
    told = asked(site, "administrator", 15, phases=("fuzzing",), only=path)
    assert found in {check for _, check, _ in told.faults}


def test_the_same_is_asked_every_time(tmp_path):
    first, again = (
        asked(a_site(tmp_path / name), "viewer", 10, phases=("fuzzing",), only="/api/v1/cases") for name in ("a", "b")
    )
    assert first.answers == again.answers
