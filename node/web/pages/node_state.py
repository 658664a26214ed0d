"""The node's state: what is queued, what was read or declined and why, what waits for whom, what went wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Form, Query
from starlette.requests import Request
from starlette.responses import Response

from node.domain.errors import NodeError
from node.domain.records import SeriesOverview, WorkRecord
from node.domain.silence import Silence
from node.domain.studies import StudyFacts
from node.domain.work import Stage, WorkState
from node.storage.ledger import Ledger
from node.web.auth import Admin, Viewer
from node.web.forms import go
from node.web.house import House, house_of
from node.web.paging import Paging
from node.web.rendering import render
from node.web.trail import Action, record

router = APIRouter(prefix="/node")
_ROWS: Final = 25
_LETTERS: Final = 100
_LEAST_REFRESH: Final = 5
_FLOW: Final = (Stage.QUALIFY, Stage.READ, Stage.PUBLISH, Stage.DELIVER, Stage.COMPARE, Stage.WRITE_BACK, Stage.NOTIFY)
_NOTICES: Final[Mapping[str, str]] = {
    "retried": "The work was put back into the queue.",
    "nothing": "There was nothing to put back: somebody else may have been faster.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyState:
    """A series as the page shows it. ``stage`` is how far it has come, in words."""

    overview: SeriesOverview
    facts: StudyFacts | None
    stage: str
    reasons: tuple[str, ...]
    case: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationState:
    """A destination and the deliveries to it; ``known`` False: it left the settings, and its deliveries wait."""

    name: str
    known: bool
    counts: Mapping[str, int]


@router.get("")
def state(
    request: Request,
    visitor: Viewer,
    refresh: Annotated[int, Query(ge=0, le=3600)] = 0,
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
    notice: str = "",
) -> Response:
    """The whole of it; reloads itself every ``refresh`` seconds where that is asked."""
    return _page(request, may_change=visitor, notice=_NOTICES.get(notice, ""), view=(page, refresh))


@router.post("/retry")
def retry(request: Request, visitor: Admin, work: Annotated[int | None, Form(ge=1, lt=1 << 31)] = None) -> Response:
    """Put one dead letter back into the queue, or all of them."""
    house = house_of(request)
    changed = house.ledger.revive(house.clock(), None if work is None else (work,))
    if changed:
        record(
            request, visitor.name, Action.WORK_RETRIED, "work:all" if work is None else f"work:{work}", count=changed
        )
    return go("/node", notice="retried" if changed else "nothing")


@router.post("/echo")
def echo(request: Request, visitor: Admin, destination: Annotated[str, Form(max_length=200)]) -> Response:
    """Ask a destination whether it is there."""
    services = house_of(request).services
    if destination not in services.destinations():
        return _page(request, may_change=visitor, error="There is no such destination in the settings.", status=404)
    try:
        services.echo(destination)
    except NodeError as error:
        return _page(request, may_change=visitor, error=f"{destination} does not answer: {error}")
    return _page(request, may_change=visitor, notice=f"{destination} answers.")


def queue_of(status: Mapping[str, object]) -> Mapping[str, Mapping[str, int]]:
    """Work by stage and state, in the order of the flow, from the ledger's status."""
    work, deliveries = status.get("work"), status.get("deliveries")
    stages = dict(work) if isinstance(work, Mapping) else {}
    stages[Stage.DELIVER] = deliveries if isinstance(deliveries, Mapping) else {}
    return {stage: {name: stages.get(stage, {}).get(name, 0) for name in WorkState} for stage in _FLOW}


def recent_studies(ledger: Ledger, limit: int, offset: int = 0) -> tuple[StudyState, ...]:
    """Series by last arrival, newest first, each with how far it has come and why it was declined."""
    return tuple(_study(ledger, one) for one in ledger.recent_series(limit, offset))


def _page(
    request: Request,
    *,
    may_change: object,
    notice: str = "",
    error: str = "",
    view: tuple[int, int] = (1, 0),
    status: int = 200,
) -> Response:
    """The page; ``view`` is which page of the list, and after how many seconds it reloads itself (0: never)."""
    house = house_of(request)
    page, refresh = view
    found = recent_studies(house.ledger, _ROWS + 1, (page - 1) * _ROWS)
    letters = house.ledger.dead_letters()
    content = {
        "queue": queue_of(house.ledger.status()),
        "states": tuple(WorkState),
        "studies": found[:_ROWS],
        "paging": Paging(request, page=page, more=len(found) > _ROWS),
        "letters": letters[-_LETTERS:][::-1],
        "letter_count": len(letters),
        "destinations": _destinations(house, Stage.DELIVER, house.services.destinations()),
        "channels": _destinations(house, Stage.NOTIFY, house.services.channels),
        "room": house.services.room() if house.services.room else None,
        "space": None if house.services.watch is None else house.services.watch.space(),
        "settings_read": house.services.settings_read(),
        "senders": house.ledger.last_by_sender(),
        "model": house.services.model(),
        "silent": {one.sender: one for one in _silences(house)},
        "refresh": max(refresh, _LEAST_REFRESH) if refresh else 0,
        "notice": notice,
        "error": error,
        "may_change": may_change,
    }
    return render(request, "node_state.html", content, status)


def _silences(house: House) -> Sequence[Silence]:
    return () if house.services.watch is None else house.services.watch.silences()


def _study(ledger: Ledger, one: SeriesOverview) -> StudyState:
    case = ledger.case_of_study(one.series.study_uid)
    declined = tuple(reason for item in one.work if item.state is WorkState.DECLINED for reason in item.reasons)
    return StudyState(
        overview=one,
        facts=ledger.study(one.series.study_uid),
        stage=_stage(one.work, str(one.series.state)),
        reasons=tuple(dict.fromkeys(declined)),
        case=None if case is None else case.id,
    )


def _stage(work: Sequence[WorkRecord], series_state: str) -> str:
    """How far a series has come: what went wrong first, then what is under way, then the last thing done."""
    for state, words in (
        (WorkState.PARKED, "stopped at"),
        (WorkState.DECLINED, "declined at"),
        (WorkState.CLAIMED, "now at"),
        (WorkState.PENDING, "waits for"),
        (WorkState.HELD, "held at"),
    ):
        found = next((one for one in work if one.state is state), None)
        if found is not None:
            return f"{words} {found.work.stage}"
    return f"{work[-1].work.stage} done" if work else f"{series_state}, receiving"


def _destinations(house: House, stage: Stage, names: tuple[str, ...]) -> tuple[DestinationState, ...]:
    """The destinations of a stage, those of the settings first; the channels, for NOTIFY."""
    deliveries = house.ledger.deliveries(stage)
    gone = sorted(set(deliveries) - set(names))
    return tuple(
        DestinationState(name=name, known=name not in gone, counts=deliveries.get(name, {})) for name in (*names, *gone)
    )
