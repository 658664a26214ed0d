"""The OpenAPI document says what the API does: every answer is in it, its examples are taken, nothing breaks."""

from __future__ import annotations

import json
import re
from functools import cache
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.domain.people import Role
from node.web.api.problems import PROBLEM_TYPE
from node.web.api.v1 import specification
from tests.node.web.test_api import STUDY, ApiSite

DOCUMENT = specification("9")
OPERATIONS = {
    f"{method.upper()} {path}": (method, path, operation)
    for path, place in DOCUMENT["paths"].items()
    for method, operation in place.items()
}
FUZZED = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    made = ApiSite(tmp_path_factory.mktemp("api"))
    made.case(1, {"LAD": 300.0}, {"LM": 0, "LAD": 0, "LCX": 0, "RCA": 0})
    yield SimpleNamespace(made=made, browser=made.browser(), token=made.token(Role.REVIEWER))
    made.ledger.close()


def ask(site, method, path, *, query="", body=None, kind="application/json"):
    site.made.clock.advance(seconds=1)  # so that nobody is told to wait
    headers = site.token | ({} if body is None else {"Content-Type": kind})
    return site.browser.request(method, f"{path}{query}", content=body, headers=headers)


@cache
def bodies_of(name: str) -> dict[str, bytes]:
    """The example of each type of body."""
    content = OPERATIONS[name][2].get("requestBody", {}).get("content", {})
    found = {}
    for kind, one in content.items():
        example = one.get("example") or one["schema"]["examples"][0]
        found[kind] = example.encode() if isinstance(example, str) else json.dumps(example).encode()
    return found


@pytest.mark.parametrize("name", list(OPERATIONS))
def test_every_operation_names_its_faults_with_an_example(name):
    _, path, operation = OPERATIONS[name]
    answers = operation["responses"]
    expected = {"401", "403", "422", "429", "500", "503"}
    expected |= {"404"} if "{" in path else set()
    expected |= {"400", "413", "415"} if "requestBody" in operation else set()
    assert expected <= set(answers)
    assert all(answer["description"] for answer in answers.values())
    for status, answer in answers.items():
        assert answer.get("content"), (status, "says not what it looks like")
        if PROBLEM_TYPE in answer["content"]:
            assert answer["content"][PROBLEM_TYPE]["example"]["reasons"]
    if "requestBody" in operation:
        assert bodies_of(name)


def test_what_the_document_refers_to_stands_in_it():
    found = set(re.findall(r'"\$ref": "([^"]*)"', json.dumps(DOCUMENT)))
    assert len(found) > 20
    for one in found:
        place = DOCUMENT
        for part in one.removeprefix("#/").split("/"):
            assert part in place, one
            place = place[part]


@pytest.mark.parametrize("name", [name for name, (_, _, operation) in OPERATIONS.items() if "requestBody" in operation])
def test_the_examples_are_taken(site, name):
    method, path, _ = OPERATIONS[name]
    for kind, body in bodies_of(name).items():
        answer = ask(site, method, path.replace("{number}", "1"), body=body, kind=kind)
        assert answer.status_code in (200, 201, 202, 409), answer.text


@pytest.mark.parametrize("path", list(DOCUMENT["paths"]))
def test_what_is_not_documented_is_not_done(site, path):
    address = path.replace("{number}", "1").replace("{study_uid}", STUDY)
    for method in {"get", "post", "put", "patch", "delete", "options", "trace"} - set(DOCUMENT["paths"][path]):
        answer = ask(site, method.upper(), address, body=b"{}")
        assert answer.status_code == 405, method
        assert answer.headers["content-type"] == PROBLEM_TYPE


@pytest.mark.parametrize("name", [name for name in OPERATIONS if bodies_of(name)])
@FUZZED
@given(st.data())
def test_whatever_bytes_are_sent_are_answered_as_documented(site, name, data):
    # What schemathesis sends (test_api_fuzz.py) is always JSON or a table, in UTF-8 and of the type it says.
    method, path, operation = OPERATIONS[name]
    kind, body = data.draw(st.sampled_from(sorted(bodies_of(name).items())))
    at, junk = data.draw(st.integers(0, len(body))), data.draw(st.binary(max_size=8))
    body = body[:at] + junk + body[at + data.draw(st.integers(0, 8)) :]
    kind = data.draw(st.sampled_from([kind, kind, kind, "text/plain", "", f"{kind}; charset=utf-16"]))
    answer = ask(site, method, path.replace("{number}", "1"), body=body, kind=kind)
    assert answer.status_code < 500, answer.text
    assert str(answer.status_code) in operation["responses"], (answer.status_code, answer.text)
    if answer.status_code >= 400 and answer.status_code != 409:
        assert answer.headers["content-type"] == PROBLEM_TYPE
        assert answer.json()["reasons"]
