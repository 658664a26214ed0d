"""All of version 1, its OpenAPI document and a page that shows it without any outside script."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Depends
from fastapi.openapi.utils import get_openapi
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from node.web.api import cases, reads, state
from node.web.api.bodies import paced
from node.web.api.examples import FAULT
from node.web.api.problems import PROBLEM_TYPE, SCHEMA
from node.web.auth import Viewer
from node.web.house import house_of
from node.web.rendering import render

router = APIRouter(prefix="/api", dependencies=[Depends(paced)])
_V1: Final = APIRouter(prefix="/v1")
for _part in (cases.router, reads.router, state.router):
    _V1.include_router(_part)
router.include_router(_V1)
_SECURITY: Final = {
    "token": {"type": "http", "scheme": "bearer", "description": "A token that an administrator gave out."},
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "session",
        "description": "A log-in on the page; requests that change something need the header X-CSRF-Token as well.",
    },
}
_FAULTS: Final[Mapping[str, str]] = {
    "400": "The body is empty, or the request could not be understood",
    "401": "No token, or none that is known and still good",
    "403": "The role is too low, or a log-in on the page came without its X-CSRF-Token",
    "404": "There is no such thing here",
    "413": "More was sent than is taken",
    "415": "The body is of a type that is not taken",
    "422": "A parameter or the body is wrong: every fault is named, and nothing is stored",
    "429": "This token asks more often than ten times a second; Retry-After says how long to wait",
    "500": "A fault in this software; it is logged",
    "503": "The ledger is busy or its disk is full: try again",
}
_OF_BODIES: Final = frozenset(("400", "413", "415"))
_METHODS: Final = ("get", "post", "put", "patch", "delete")


@router.get("/openapi.json", include_in_schema=False)
def document(request: Request, visitor: Viewer) -> JSONResponse:  # noqa: ARG001 - asks for the role
    """The OpenAPI document."""
    return JSONResponse(specification(house_of(request).services.version))


@router.get("/docs", include_in_schema=False)
def page(request: Request, visitor: Viewer) -> Response:  # noqa: ARG001 - asks for the role
    """The same for people."""
    found = specification(house_of(request).services.version)
    return render(request, "api.html", {"document": found, "operations": _operations(found)})


def specification(version: str) -> dict[str, Any]:
    """What the API is, as OpenAPI 3.1."""
    found = get_openapi(
        title="Calcium second reader",
        version=version or "0",
        description="Cases, decisions, human reads, studies and figures. Research use only.",
        routes=router.routes,
    )
    parts = found.setdefault("components", {})
    parts["securitySchemes"] = _SECURITY
    schemas = {name: one for name, one in parts.get("schemas", {}).items() if "ValidationError" not in name}
    parts["schemas"] = schemas | {"Problem": SCHEMA}
    found["security"] = [{"token": []}, {"session": []}]
    for place in found["paths"].values():
        for method in _METHODS:
            if method in place:
                _answer_faults(place[method])
    return found


def _answer_faults(operation: dict[str, Any]) -> None:
    """Every fault is told in one way; the framework's own description of 422 is not ours."""
    answers = operation["responses"]
    if "HTTPValidationError" in str(answers.get("422", "")):
        del answers["422"]
    content = {PROBLEM_TYPE: {"schema": _ref(), "example": FAULT}}
    named = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
    for status, words in _FAULTS.items():
        if (status in _OF_BODIES and "requestBody" not in operation) or (status == "404" and not named):
            continue
        answers.setdefault(status, {"description": words})
    for status, answer in answers.items():
        if not status.startswith("2"):
            answer.setdefault("content", content)
    operation["responses"] = dict(sorted(answers.items()))


def _ref() -> dict[str, str]:
    return {"$ref": "#/components/schemas/Problem"}


def _operations(found: Mapping[str, Any]) -> list[tuple[str, str, Mapping[str, Any]]]:
    """(method, path, operation) in the order of the routes."""
    return [
        (method.upper(), path, place[method])
        for path, place in found["paths"].items()
        for method in _METHODS
        if method in place
    ]
