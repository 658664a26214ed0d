"""Human reads in: JSON of our schema, CSV, FHIR. All of a body is taken, or nothing of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from node.domain.human_read import ReadSource
from node.domain.read_history import ReadArrival, ReadState
from node.intake.csv_reads import MOST_LINES, read_csv
from node.intake.fhir_reads import RESOURCE_TYPES, read_fhir
from node.intake.json_reads import SCHEMA, read_json
from node.intake.parsed import Parsed
from node.web.accounts import Visitor
from node.web.api.bodies import as_body, body_of
from node.web.api.examples import READ, REPORT, TABLE
from node.web.api.problems import Problem
from node.web.auth import Reviewer
from node.web.house import house_of
from node.web.trail import Action, record

router = APIRouter(tags=["reads"])
_FHIR_TYPES: Final = ("application/fhir+json", "application/json")
_READS: Final = {"type": "array", "items": SCHEMA, "minItems": 1, "maxItems": MOST_LINES}
_READ_BODY: Final = as_body(
    {
        "oneOf": [
            SCHEMA,
            _READS,
            {"type": "object", "required": ["reads"], "properties": {"reads": _READS}, "additionalProperties": False},
        ]
    },
    "application/json",
)
_READ_BODY["requestBody"]["content"]["application/json"]["example"] = READ
_READ_BODY["requestBody"]["content"]["text/csv"] = {"schema": {"type": "string"}, "example": TABLE}
_FHIR_BODY: Final = as_body(
    {"type": "object", "required": ["resourceType"], "properties": {"resourceType": {"enum": RESOURCE_TYPES}}},
    *_FHIR_TYPES,
)
for _content in _FHIR_BODY["requestBody"]["content"].values():
    _content["example"] = REPORT


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of one read. ``reason`` says why it is in quarantine."""

    read_id: int
    arrival: ReadArrival
    state: ReadState
    study_uid: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenReads:
    """What became of every read in the body, in its order; ``notes`` say what was put up with."""

    reads: Sequence[Taken]
    notes: Sequence[str]


_ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"model": TakenReads, "description": "Every read was here already, with the same content: nothing changed"},
    202: {"model": TakenReads, "description": "Kept, but at least one read is in quarantine: see its reason"},
    409: {
        "model": TakenReads,
        "description": "A version that was here already came with other content; it is kept in quarantine",
    },
}


@router.post("/reads", status_code=201, openapi_extra=_READ_BODY, responses=_ANSWERS)
def post_reads(
    request: Request,
    visitor: Reviewer,
    response: Response,
    body: Annotated[bytes, Depends(body_of("application/json", "text/csv"))],
) -> TakenReads:
    """Take reads in. The same ``read_id`` and ``version`` with the same content again changes nothing."""
    as_table = request.headers["Content-Type"].lower().startswith("text/csv")

    def parse(data: bytes) -> Parsed:
        read = read_csv if as_table else read_json
        return read(data, source=ReadSource.API, zone=house_of(request).services.zone)

    return _take(request, visitor, response, body, parse)


@router.post("/fhir/DiagnosticReport", status_code=201, openapi_extra=_FHIR_BODY, responses=_ANSWERS)
@router.post("/fhir/Observation", status_code=201, openapi_extra=_FHIR_BODY, responses=_ANSWERS)
@router.post("/fhir", status_code=201, openapi_extra=_FHIR_BODY, responses=_ANSWERS)
def post_fhir(
    request: Request,
    visitor: Reviewer,
    response: Response,
    body: Annotated[bytes, Depends(body_of(*_FHIR_TYPES))],
) -> TakenReads:
    """Take the reads of a FHIR R4 DiagnosticReport, Observation, or Bundle of them."""
    site = house_of(request).services.fhir
    return _take(request, visitor, response, body, lambda data: read_fhir(data, site))


def _take(
    request: Request, visitor: Visitor, response: Response, body: bytes, parse: Callable[[bytes], Parsed]
) -> TakenReads:
    parsed = parse(body)
    if parsed.faults:
        raise Problem(422, parsed.refusal.split("\n"))
    if not parsed.reads:
        raise Problem(422, parsed.notes or ["There is no read in it."])
    recorded = house_of(request).services.take_reads(body, parsed.reads, f"api:{visitor.name}")
    record(request, visitor.name, Action.READ_IMPORTED, count=len(recorded), by="api")
    response.status_code = _status({one.arrival for one in recorded}, {one.state for one in recorded})
    return TakenReads(
        reads=[
            Taken(
                read_id=one.read_id,
                arrival=one.arrival,
                state=one.state,
                study_uid=one.study_uid,
                reason=one.reason,
            )
            for one in recorded
        ],
        notes=parsed.notes,
    )


def _status(arrivals: set[ReadArrival], states: set[ReadState]) -> int:
    """The one number that says most: a conflict, then quarantine, then new or known."""
    if ReadArrival.CONFLICT in arrivals:
        return 409
    if arrivals == {ReadArrival.SAME}:
        return 200
    return 202 if ReadState.QUARANTINED in states else 201
