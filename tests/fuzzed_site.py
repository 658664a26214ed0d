"""The site, asked by schemathesis: every operation of a document, over the real application, by one caller.

What is asked is drawn from the document, half of it in keeping with it and half against it; so are sequences in which
one answer's values go into the next request. What is held against the document of the API: the status, type, headers
and content of every answer, that nothing against it is taken, that nobody is let in without a token, and that other
methods are refused. The pages have a document here only: it says what can be asked for and promises no answer, so what
is looked for is a fault of the node.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import schemathesis
from fastapi.openapi.utils import get_openapi
from schemathesis import engine
from schemathesis.engine import events
from schemathesis.engine.recorder import ScenarioRecorder
from sqlalchemy import event
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from node.domain.people import Role
from node.web.api import v1
from node.web.api.v1 import specification
from node.web.site import ROUTERS
from tests.node.web.test_api import ApiSite
from tests.web_site import field_of

API: Final = specification("9")
_END_THE_LOG_IN: Final = frozenset({"/logout", "/password"})


def _pages() -> dict[str, Any]:
    """What the routes of the pages say of their queries and forms; not those after which the caller is nobody."""
    routes = [route for router in ROUTERS if router is not v1.router for route in router.routes]
    found = get_openapi(title="Pages", version="9", routes=routes)
    found["paths"] = {path: on for path, on in found["paths"].items() if path not in _END_THE_LOG_IN}
    found["components"]["securitySchemes"] = API["components"]["securitySchemes"]
    return found | {"security": API["security"]}


PAGES: Final = _pages()
PHASES: Final = ("examples", "coverage", "fuzzing", "stateful")
"""Examples of the document; every boundary of every value; values by chance; sequences."""
_SAYS_MORE: Final = "^POST /api/v1/(reads|fhir.*)$"
"""Whose bodies may be refused although the document takes them: it cannot say what stands in a table, what a time is
or which signs can be printed, and leaves FHIR R4 to FHIR. ``test_the_examples_are_taken`` says what must be taken."""


def operations_of(document: Mapping[str, Any]) -> frozenset[str]:
    """Every operation as ``GET /path``."""
    return frozenset(f"{method.upper()} {path}" for path, on in document["paths"].items() for method in on)


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
    document: Mapping[str, Any] = API,
    only: str = "",
) -> Told:
    """Ask every operation, or the one path ``only``, so many times by chance; without a seed the same every time."""
    config = schemathesis.Config.from_dict(_config(examples, seed, phases) | _held(document) | CALLERS[caller](site))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        site.clock.advance(milliseconds=100)  # so that nobody is told to wait
        await site.app(scope, receive, send)

    paths = {path: on for path, on in document["paths"].items() if only in ("", path)}
    schema = schemathesis.openapi.from_dict({**document, "paths": paths}, config=config)
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


def _config(examples: int, seed: int | None, phases: tuple[str, ...]) -> dict[str, Any]:
    return {
        "continue-on-failure": True,
        "generation": {"max-examples": examples, "deterministic": seed is None, "database": "none"},
        "phases": {name: {"enabled": name in phases} for name in PHASES},
        **({} if seed is None else {"seed": seed}),
    }


def _held(document: Mapping[str, Any]) -> dict[str, Any]:
    if document is PAGES:
        return {"checks": {"enabled": False, "not_a_server_error": {"enabled": True}}}
    lenient = {"positive_data_acceptance": {"enabled": False}}
    return {"operations": [{"include-name-regex": _SAYS_MORE, "checks": lenient}]}
