"""How the node is: health, the studies it has, and the figures of the statistics page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query
from starlette.requests import Request

from node.domain.agreement import Agreement
from node.domain.read_history import ReadState, StoredRead
from node.domain.statistics import Rates
from node.web.auth import Viewer
from node.web.house import house_of
from node.web.pages.node_state import StudyState, queue_of, recent_studies
from node.web.pages.statistics import Asked, summary_of
from node.web.trail import Action, record
from node.web.veil import study_withheld

router = APIRouter(tags=["node"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """``warning``: work was parked, or the disk is below its reserve; the node goes on."""

    status: Literal["good", "warning"]
    version: str
    parked: int
    queue: Mapping[str, Mapping[str, int]]
    free_bytes: int | None
    reserve_bytes: int | None
    last_image: Mapping[str, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOut:
    """A series of a study and how far it has come."""

    study_uid: str
    series_uid: str
    accession: str
    study_date: str
    scanner: str
    images: int
    last_received: datetime
    stage: str
    declined: Sequence[str]
    case: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadOut:
    """A read of a study, without its reader; without scores while the study's case is withheld."""

    read_id: int
    source: str
    version: int
    status: str
    state: ReadState
    received_at: datetime
    agatston: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyDetail:
    """A study: its case if it has one, and every read of it."""

    study_uid: str
    accession: str
    case: int | None
    withheld: bool
    reads: Sequence[ReadOut]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What was flagged and upheld, and how the reads agree."""

    rates: Rates
    flag_rate: float | None
    upheld_rate: float | None
    agreement: Agreement
    by_tier: Mapping[str, Rates]
    by_scanner: Mapping[str, Rates]
    by_model: Mapping[str, Rates]


@router.get("/health")
def health(request: Request, visitor: Viewer) -> Health:  # noqa: ARG001 - asks for the role
    """Whether anything needs a person."""
    house = house_of(request)
    queue = queue_of(house.ledger.status())
    parked = sum(counts["parked"] for counts in queue.values())
    room = house.services.room() if house.services.room else None
    full = room is not None and room.free < room.reserve
    return Health(
        status="warning" if parked or full else "good",
        version=house.services.version,
        parked=parked,
        queue=queue,
        free_bytes=None if room is None else room.free,
        reserve_bytes=None if room is None else room.reserve,
        last_image=house.ledger.last_by_sender(),
    )


@router.get("/studies")
def studies(
    request: Request,
    visitor: Viewer,  # noqa: ARG001 - asks for the role
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> list[StudyOut]:
    """Series by last arrival, newest first, with their stage and every reason they were declined for."""
    return [_study(one) for one in recent_studies(house_of(request).ledger, limit, offset)]


@router.get("/studies/{study_uid}")
def study(request: Request, visitor: Viewer, study_uid: str) -> StudyDetail:
    """One study."""
    ledger = house_of(request).ledger
    known = ledger.study(study_uid)
    if known is None:
        raise HTTPException(404, "There is no such study here.")
    case = ledger.case_of_study(study_uid)
    hidden = study_withheld(ledger, visitor, study_uid)
    record(request, visitor.name, Action.STUDY_VIEWED, f"study:{known.accession}", blind=hidden)
    reads = [
        ReadOut(
            read_id=one.id,
            source=one.read.source,
            version=one.read.version,
            status=one.read.status,
            state=one.state,
            received_at=one.received_at,
            agatston={} if hidden else _agatston(one),
        )
        for one in ledger.reads_of(study_uid)
    ]
    return StudyDetail(
        study_uid=study_uid,
        accession=known.accession,
        case=None if case is None else case.id,
        withheld=hidden,
        reads=reads,
    )


@router.get("/statistics")
def statistics(request: Request, visitor: Viewer, asked: Asked) -> Figures:
    """The figures of the statistics page, with its filters."""
    found = summary_of(request, visitor, asked)
    return Figures(
        rates=found.rates,
        flag_rate=found.rates.flag_rate,
        upheld_rate=found.rates.upheld_rate,
        agreement=found.agreement,
        by_tier={str(tier): one for tier, one in found.by_tier.items()},
        by_scanner=found.by_scanner,
        by_model=found.by_model,
    )


def _agatston(one: StoredRead) -> Mapping[str, float]:
    return {name: part.agatston for name, part in one.read.scores.items() if part.agatston is not None}


def _study(one: StudyState) -> StudyOut:
    series, facts = one.overview.series, one.facts
    return StudyOut(
        study_uid=series.study_uid,
        series_uid=series.series_uid,
        accession=facts.accession if facts else "",
        study_date=facts.study_date if facts else "",
        scanner=facts.scanner if facts else "",
        images=one.overview.instances,
        last_received=series.last_received,
        stage=one.stage,
        declined=one.reasons,
        case=one.case,
    )
