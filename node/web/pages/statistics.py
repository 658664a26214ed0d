"""Statistics: what was flagged, what of it was upheld, how the two reads agree, and what drifts."""

from __future__ import annotations

import csv
import io
import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from node.domain.agreement import Agreement
from node.domain.cases import StatisticsRow
from node.domain.human_read import READ_REGIONS
from node.domain.statistics import Period, Rates
from node.domain.tiers import Limits, Tier
from node.storage.case_blocks import CaseColumns
from node.web import figures
from node.web.accounts import Visitor
from node.web.auth import Viewer
from node.web.charts.agreement import bland_altman, bland_altman_roots, confusion_matrix
from node.web.charts.courses import cusum_chart, flag_rates, input_charts, zero_rates
from node.web.charts.drawing import Chart
from node.web.forms import day_of
from node.web.house import house_of
from node.web.input_drift import input_drift
from node.web.rendering import render
from node.web.trail import Action, record
from node.web.veil import reads_blind

router = APIRouter(prefix="/statistics")
SPANS: Final[Mapping[str, int | None]] = {"month": 30, "quarter": 91, "year": 365, "all": None}
"""Days that are shown unless dates are given."""
_KEPT: Final = 32
_Word = Annotated[str, Query(max_length=200)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the address asks for. ``until`` is a day that is shown too."""

    span: str = "year"
    since: date | None = None
    until: date | None = None
    scanner: str = ""
    model_version: str = ""
    by: Period | None = None

    def reach(self, now: datetime) -> tuple[datetime | None, datetime | None]:
        """From when to before when, midnights of the server's zone; None has no end."""
        days = SPANS[self.span]
        since = self.since
        if since is None and days is not None and self.until is None:
            since = (now.astimezone() - timedelta(days=days)).date()
        after = None if self.until is None else self.until + timedelta(days=1)
        return _midnight(since), _midnight(after)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Everything the page shows of the cases; ``withheld`` of them are in no figure that rests on scores."""

    rates: Rates
    agreement: Agreement
    by_tier: Mapping[Tier, Rates]
    by_scanner: Mapping[str, Rates]
    by_model: Mapping[str, Rates]
    period: Period
    withheld: int
    charts: tuple[Chart, ...]


def wanted(
    span: _Word = "year",
    since: Annotated[str, Query(alias="from", max_length=10)] = "",
    until: Annotated[str, Query(alias="to", max_length=10)] = "",
    scanner: _Word = "",
    model: _Word = "",
    by: _Word = "",
) -> Wanted:
    """What the address asks for; an empty field, as browsers send it, says nothing."""
    return Wanted(
        span=span if span in SPANS else "year",
        since=day_of(since),
        until=day_of(until),
        scanner=scanner,
        model_version=model,
        by=Period(by) if by in set(Period) else None,
    )


Asked = Annotated[Wanted, Depends(wanted)]


@router.get("")
def page(request: Request, visitor: Viewer, asked: Asked) -> Response:
    """Key numbers and charts."""
    scanners, models = house_of(request).ledger.choices()
    content = {
        "asked": asked,
        "factor": house_of(request).services.limits.root_factor,
        "spans": tuple(SPANS),
        "periods": tuple(Period),
        "scanners": scanners,
        "models": models,
        "summary": summary_of(request, visitor, asked),
        "query": request.url.query,
    }
    return render(request, "statistics.html", content)


@router.get("/input")
def scans(request: Request, visitor: Viewer, asked: Asked) -> Response:  # noqa: ARG001 - asks for the role
    """What the scanners send: noise, tube voltage, slice spacing of the latest readings of the period."""
    house = house_of(request)
    found, summary = input_drift(house.services.storage, *asked.reach(house.clock()), asked.by)
    content = {"asked": asked, "charts": input_charts(summary), "count": found, "query": request.url.query}
    return render(request, "statistics_input.html", content)


@router.get("/pairs.csv")
def export(request: Request, visitor: Viewer, asked: Asked) -> Response:
    """The pairs behind the charts. A case has its number and nothing of the patient; nobody is named.

    Whoever may review gets no scores of flagged cases that nobody has decided: ``withheld`` says so.
    """
    house = house_of(request)
    record(request, visitor.name, Action.CASES_EXPORTED, what="statistics")
    since, until = asked.reach(house.clock())
    rows = house.ledger.statistics(since, until, scanner=asked.scanner, model_version=asked.model_version)
    blind = reads_blind(visitor)
    lines = _lines(_values(one, hidden=blind and one.waits) for one in rows)
    headers = {"Content-Disposition": 'attachment; filename="pairs.csv"'}
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)


def summary_of(request: Request, visitor: Visitor, asked: Wanted) -> Summary:
    """The figures, computed once for as long as no case changes; see :mod:`node.web.veil` for what is left out."""
    house = house_of(request)
    since, until = asked.reach(house.clock())
    blind = reads_blind(visitor)
    chosen = [str(since), str(until), asked.scanner, asked.model_version, asked.by]
    key = json.dumps([*chosen, blind, house.ledger.case_stamp()])
    kept: OrderedDict[str, Summary] | None = getattr(request.app.state, "statistics", None)
    if kept is None:
        kept = request.app.state.statistics = OrderedDict()
    found = kept.get(key)
    if found is None:
        cases = house.ledger.case_columns(since, until, scanner=asked.scanner, model_version=asked.model_version)
        hidden = int(figures.waiting(cases).sum()) if blind else 0
        found = _summary(figures.veiled(cases) if blind else cases, asked, house.services.limits, hidden)
        kept[key] = found
        while len(kept) > _KEPT:
            kept.popitem(last=False)
    return found


def _summary(cases: CaseColumns, asked: Wanted, limits: Limits, withheld: int) -> Summary:
    period = asked.by or figures.fitting_period(cases)
    pairs = figures.pairs_of(cases)
    found = figures.agreement(pairs, limits)
    periods = figures.rates_by_period(cases, period)
    charts = (
        flag_rates(periods),
        confusion_matrix(found.confusion, limits),
        bland_altman(pairs, found, limits),
        bland_altman_roots(pairs, found, limits),
        cusum_chart(figures.cusum(cases)),
        zero_rates(periods),
    )
    return Summary(
        rates=figures.rates(cases),
        agreement=found,
        by_tier=figures.rates_by_tier(cases),
        by_scanner=figures.rates_by_name(cases, cases.scanners, cases.scanner_names),
        by_model=figures.rates_by_name(cases, cases.models, cases.model_names),
        period=period,
        withheld=withheld,
        charts=charts,
    )


def _values(one: StatisticsRow, *, hidden: bool) -> tuple[object, ...]:
    return (
        one.id,
        one.made_at.isoformat(timespec="seconds"),
        one.tier,
        one.outcome or "",
        "yes" if hidden else "",
        _cell(one.scanner),
        _cell(one.model_version),
        *(value for region in READ_REGIONS for value in (("", "") if hidden else one.pairs.get(region, ("", "")))),
    )


def _lines(rows: Iterable[tuple[object, ...]]) -> Iterator[str]:
    heads = (f"{side}_{region.lower()}" for region in READ_REGIONS for side in ("ours", "human"))
    yield _line(("case", "compared_at", "tier", "outcome", "withheld", "scanner", "model", *heads))
    for row in rows:
        yield _line(row)


def _line(values: tuple[object, ...]) -> str:
    target = io.StringIO()
    csv.writer(target).writerow(values)
    return target.getvalue()


def _cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula: a scanner's name comes from outside."""
    return f"'{text}" if text[:1] in set("=+-@\t\r") else text


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time()).astimezone()
