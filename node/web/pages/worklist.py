"""The worklist: cases where the reads disagree, the most important first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from node.domain.cases import CaseFilter, CaseOrder, CaseRow, CaseState, PageOf
from node.domain.review import ReviewOutcome
from node.domain.tiers import Tier
from node.web.accounts import Visitor
from node.web.auth import Viewer
from node.web.forms import day_of
from node.web.house import house_of
from node.web.paging import Paging, address, notice_of
from node.web.rendering import render
from node.web.veil import order_for, veiled, withheld

router = APIRouter()
ROWS: Final = 50
SHOWN: Final[Mapping[str, frozenset[Tier]]] = {
    "flagged": frozenset(tier for tier in Tier if tier.flagged),
    "priority": frozenset({Tier.PRIORITY}),
    "review": frozenset({Tier.REVIEW}),
    "minor": frozenset({Tier.MINOR}),
    "concordant": frozenset({Tier.CONCORDANT}),
    "not-comparable": frozenset({Tier.NOT_COMPARABLE}),
    "all": frozenset(Tier),
}
"""What can be shown, by its name in the address; flagged cases unless asked otherwise."""
OUTCOMES: Final[Mapping[ReviewOutcome, str]] = {
    ReviewOutcome.HUMAN_RIGHT: "human right",
    ReviewOutcome.NODE_RIGHT: "node right",
    ReviewOutcome.BOTH_WRONG: "both wrong",
    ReviewOutcome.EQUIVALENT: "equivalent",
}
_COLUMNS: Final = (
    ("Tier", CaseOrder.TIER),
    ("Accession", CaseOrder.ACCESSION),
    ("Study date", CaseOrder.STUDY_DATE),
    ("Ours", None),
    ("Human", None),
    ("Difference", CaseOrder.DIFFERENCE),
    ("Why", None),
    ("Scanner", CaseOrder.SCANNER),
    ("State", None),
    ("Age", CaseOrder.MADE),
)
SCORES: Final = frozenset({"Ours", "Human", "Difference", "Why"})
"""Heads of the columns that say which read is whose."""
_WEIGHTY: Final = ("categories apart", "crosses", "in one read only", "another category", "calcium of", ": beyond")
"""What marks the reasons that raise a case above minor (``node.domain.discrepancy``), the weightiest first."""
_RISING_FIRST: Final = frozenset({CaseOrder.ACCESSION, CaseOrder.SCANNER})
_Word = Annotated[str, Query(max_length=200)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A column's head; ``link`` sorts by it, the other way round if it is sorted by already."""

    label: str
    link: str | None
    sorted: str  # as aria-sort says it, or empty


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for. A search looks everywhere unless it says where."""

    q: str = ""
    show: str = ""
    state: str = ""
    since: date | None = None
    until: date | None = None
    scanner: str = ""

    @property
    def shown(self) -> str:
        """A name of :data:`SHOWN`."""
        return self.show if self.show in SHOWN else "all" if self.q else "flagged"

    @property
    def chosen_state(self) -> str:
        """``open``, ``decided`` or ``any``."""
        return self.state if self.state in ("open", "decided", "any") else "any" if self.q else "open"

    @property
    def narrowed(self) -> bool:
        """Whether anything beside tier and state is asked."""
        return bool(self.q or self.since or self.until or self.scanner)

    def filter(self) -> CaseFilter:
        """The same in the ledger's terms."""
        return CaseFilter(
            tiers=frozenset() if self.shown == "all" else SHOWN[self.shown],
            state=None if self.chosen_state == "any" else CaseState(self.chosen_state),
            words=self.q,
            study_from="" if self.since is None else f"{self.since:%Y%m%d}",
            study_to="" if self.until is None else f"{self.until:%Y%m%d}",
            scanner=self.scanner,
        )


def asked(
    q: _Word = "",
    show: _Word = "",
    state: _Word = "",
    since: Annotated[str, Query(alias="from", max_length=10)] = "",
    until: Annotated[str, Query(alias="to", max_length=10)] = "",
    scanner: _Word = "",
) -> Asked:
    """What the address asks for; an empty date field, as browsers send it, says nothing."""
    return Asked(q=q.strip(), show=show, state=state, since=day_of(since), until=day_of(until), scanner=scanner)


@router.get("/")
def worklist(
    request: Request,
    visitor: Viewer,
    wanted: Annotated[Asked, Depends(asked)],
    sort: _Word = "tier",
    order: _Word = "",
    page: Annotated[int, Query(ge=1, le=100_000)] = 1,
) -> Response:
    """The cases that are asked for."""
    ledger = house_of(request).ledger
    by = order_for(visitor, CaseOrder(sort) if sort in set(CaseOrder) else CaseOrder.TIER)
    descending = order == "desc" if order in ("asc", "desc") else by not in _RISING_FIRST
    slice_of = PageOf(order=by, descending=descending, limit=ROWS, offset=(page - 1) * ROWS)
    found = ledger.cases(wanted.filter(), slice_of)
    hidden = withheld(ledger, visitor, found.rows)
    reasons = ledger.reasons_of([row.id for row in found.rows if row.id not in hidden])
    columns = _columns(visitor, whole=len(hidden) < len(found.rows))
    counts = _counts(ledger.counts_by_tier(), ledger.open_by_tier(), wanted.chosen_state)
    content = {
        "wanted": wanted,
        "rows": [_shown(row, reasons, hidden=row.id in hidden) for row in found.rows],
        "hidden": len(hidden),
        "total": found.total,
        "first": slice_of.offset + 1,
        "tabs": [(name, counts[name], _tab(request, name)) for name in SHOWN],
        "headings": [_heading(request, label, column, by, descending) for label, column in columns],
        "sort": (str(by), "desc" if descending else "asc"),
        "scanners": ledger.choices()[0],
        "outcomes": OUTCOMES,
        "paging": Paging(request, page=page, more=slice_of.offset + len(found.rows) < found.total),
        "notice": notice_of(request),
        "difference": _difference,
    }
    return render(request, "worklist.html", content)


def _columns(visitor: Visitor, *, whole: bool) -> tuple[tuple[str, CaseOrder | None], ...]:
    """Heads and what they sort by; without those of scores where every case of the page is still to be read blind."""
    shown = _COLUMNS if whole else tuple(one for one in _COLUMNS if one[0] not in SCORES)
    return tuple(
        (label, None if column and order_for(visitor, column) is not column else column) for label, column in shown
    )


def _shown(
    row: CaseRow, reasons: Mapping[int, tuple[str, ...]], *, hidden: bool
) -> tuple[CaseRow, tuple[str, str], bool]:
    """A row, its reasons in short and whole, and whether its scores are withheld."""
    return veiled(row) if hidden else row, _short(reasons.get(row.id, ())), hidden


def _counts(every: Mapping[str, int], undecided: Mapping[str, int], state: str) -> dict[str, int]:
    """How many cases of that state there are, by the names of :data:`SHOWN`."""
    by_tier = {
        tier: {"open": undecided.get(tier, 0), "any": every.get(tier, 0)}.get(
            state, every.get(tier, 0) - undecided.get(tier, 0)
        )
        for tier in Tier
    }
    return {name: sum(by_tier[tier] for tier in tiers) for name, tiers in SHOWN.items()}


def _tab(request: Request, name: str) -> str:
    return address(request, show=name, page=None)


def _heading(request: Request, label: str, column: CaseOrder | None, by: CaseOrder, descending: bool) -> Heading:  # noqa: FBT001 - as PageOf has it
    if column is None:
        return Heading(label=label, link=None, sorted="")
    present = column is by
    falling = not descending if present else column not in _RISING_FIRST
    link = address(request, sort=str(column), order="desc" if falling else "asc", page=None)
    return Heading(label=label, link=link, sorted=("descending" if descending else "ascending") if present else "")


def _difference(row: CaseRow) -> float | None:
    return None if row.ours is None or row.human is None else row.ours - row.human


def _short(reasons: tuple[str, ...]) -> tuple[str, str]:
    """The reason that weighs most, without its scores, which the case shows; and all of them, for hovering."""
    if not reasons:
        return "", ""
    chosen = next((one for mark in _WEIGHTY for one in reasons if mark in one), reasons[0])
    subject, _, why = chosen.partition(": ")
    if why:
        region = subject.partition(" ")[0]
        chosen = why if region == "CAC" else f"{region}: {why}"
    more = f" (+{len(reasons) - 1})" if len(reasons) > 1 else ""
    return f"{chosen}{more}", "; ".join(reasons)
