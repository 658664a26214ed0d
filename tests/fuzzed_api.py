"""The API, asked by schemathesis: every operation of its document, over the real application, by one caller.

What is asked is drawn from the document, half of it in keeping with it and half against it; so are sequences in which
one answer's values go into the next request. What is held against the document: the status, type, headers and content
of every answer, that nothing against it is taken, that nobody is let in without a token, and that other methods are
refused.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import schemathesis
from schemathesis import engine
from schemathesis.engine import events
from schemathesis.engine.recorder import ScenarioRecorder
from sqlalchemy import event
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from node.domain.people import Role
from node.web.api.v1 import specification
from tests.node.web.test_api import ApiSite
from tests.web_site import field_of

DOCUMENT: Final = specification("9")
OPERATIONS: Final = frozenset(f"{method.upper()} {path}" for path, on in DOCUMENT["paths"].items() for method in on)
PHASES: Final = ("examples", "coverage", "fuzzing", "stateful")
"""Examples of the document; every boundary of every value; values by chance; sequences."""
_SAYS_MORE: Final = "^POST /api/v1/(reads|fhir.*)$"
"""Whose bodies may be refused although the document takes them: it cannot say what stands in a table, what a time is
or which signs can be printed, and leaves FHIR R4 to FHIR. ``test_the_examples_are_taken`` says what must be taken."""


@dataclass(slots=True)
class Told:
    """What was answered: how often each status by operation, the slowest answer, and what was wrong, once each."""

    answers: defaultdict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    slowest: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    faults: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def add(self, scenario: ScenarioRecorder) -> None:
        """Take in what came of some requests."""
        for case_id, exchange in scenario.interactions.items():
            name = scenario.cases[case_id].value.operation.label
            if exchange.response is not None:
                self.answers[name][exchange.response.status_code] += 1
                self.slowest[name] = max(self.slowest[name], exchange.response.elapsed)
        for case_id, checks in scenario.checks.items():
            for check in checks:
                if check.failure_info is not None:
                    failure = check.failure_info.failure
                    key = (scenario.cases[case_id].value.operation.label, check.name, failure.title)
                    self.faults.setdefault(key, f"{failure.message}\n{check.failure_info.code_sample}")


def token_of(role: Role) -> Callable[[ApiSite], dict[str, Any]]:
    """What a machine with a token of this role shows."""
    return lambda site: {"auth": {"openapi": {"token": {"bearer": site.token(role)["Authorization"].split()[1]}}}}


def logged_in(site: ApiSite) -> dict[str, Any]:
    """What the browser of an administrator shows who has logged in on the page."""
    site.user("anna", Role.ADMIN)
    browser = site.logged_in("anna")
    session, token = browser.cookies["session"], field_of(browser.get("/password").text, "csrf")
    return {"auth": {"openapi": {"session": {"api_key": session}}}, "headers": {"X-CSRF-Token": token}}


CALLERS: Final[Mapping[str, Callable[[ApiSite], dict[str, Any]]]] = {
    "anonymous": lambda _: {},
    "viewer": token_of(Role.VIEWER),
    "reviewer": token_of(Role.REVIEWER),
    "administrator": logged_in,
}


def a_site(folder: Path) -> ApiSite:
    """A site with a case that is to be reviewed blind and one that agrees, whose ledger waits for no disk."""
    site = ApiSite(folder)
    database = site.ledger._database.engine
    event.listen(database, "connect", lambda connection, _: connection.execute("PRAGMA synchronous = OFF"))
    database.dispose()
    site.case(1, {"LAD": 300.0}, {"LM": 0, "LAD": 0, "LCX": 0, "RCA": 0})
    site.case(2, {"LAD": 10.0}, {"CAC": 10}, station="S")
    return site


def asked(
    site: ApiSite,
    caller: str,
    examples: int,
    *,
    seed: int | None = None,
    phases: tuple[str, ...] = PHASES,
    only: str = "",
) -> Told:
    """Ask every operation, or the one path ``only``, so many times by chance; without a seed the same every time."""
    config = schemathesis.Config.from_dict(_config(CALLERS[caller](site), examples, seed, phases))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        site.clock.advance(milliseconds=100)  # so that nobody is told to wait
        await site.app(scope, receive, send)

    paths = {path: on for path, on in DOCUMENT["paths"].items() if only in ("", path)}
    schema = schemathesis.openapi.from_dict(DOCUMENT | {"paths": paths}, config=config)
    schema.app = app
    schema.config.update(base_url="http://testserver")
    told = Told()
    with capture_logs():  # a fault in the node would be drawn for every request that meets it, which takes minutes
        for happened in engine.from_schema(schema).execute():
            if isinstance(happened, events.ScenarioFinished):
                told.add(happened.recorder)
            elif isinstance(happened, events.NonFatalError):
                told.faults[happened.label, "error", ""] = str(happened.value)
            elif isinstance(happened, events.FatalError):
                raise happened.exception
    return told


def _config(shown: dict[str, Any], examples: int, seed: int | None, phases: tuple[str, ...]) -> dict[str, Any]:
    drawn = {"max-examples": examples, "deterministic": seed is None, "database": "none"}
    return {
        **shown,
        "continue-on-failure": True,
        "generation": drawn,
        "phases": {name: {"enabled": name in phases} for name in PHASES},
        "operations": [{"include-name-regex": _SAYS_MORE, "checks": {"positive_data_acceptance": {"enabled": False}}}],
        **({} if seed is None else {"seed": seed}),
    }
