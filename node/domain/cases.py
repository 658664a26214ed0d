"""Comparisons as the worklist, the case page and the charts have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from node.domain.discrepancy import Comparison
from node.domain.review import Decision, ReviewOutcome
from node.domain.tiers import Tier


class CaseState(StrEnum):
    """Whether a person has decided."""

    OPEN = "open"
    DECIDED = "decided"


class CaseOrder(StrEnum):
    """What the worklist can be sorted by."""

    TIER = "tier"  # the most important first, then the newest
    MADE = "made"
    STUDY_DATE = "study-date"
    ACCESSION = "accession"
    SCANNER = "scanner"
    DIFFERENCE = "difference"  # signed, on the scale of square roots


@dataclass(frozen=True, slots=True, kw_only=True)
class NewComparison:
    """A comparison to be recorded. ``limits_sha256`` names the limits it was made under.

    ``tell`` are the channels that are told of it when it is recorded first; what was known before is told to nobody.
    """

    study_uid: str
    series_uid: str
    generation: int
    read_id: int
    limits_sha256: str
    comparison: Comparison
    model_sha256: str
    model_version: str
    tell: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFilter:
    """Which cases; what is empty or None says nothing. Dates are ``YYYYMMDD``, both ends included.

    ``words`` is the beginning of an accession number, or a whole study UID or patient id.
    """

    tiers: frozenset[Tier] = frozenset()
    state: CaseState | None = None
    words: str = ""
    study_from: str = ""
    study_to: str = ""
    scanner: str = ""
    model_version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageOf:
    """One page of a sorted list."""

    order: CaseOrder = CaseOrder.TIER
    descending: bool = True
    limit: int = 50
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRow:
    """A row of the worklist: the latest comparison of a study.

    ``difference`` is the root of our CAC less the root of the human's; None where the human gave none.
    """

    id: int
    study_uid: str
    series_uid: str
    generation: int
    read_id: int
    tier: Tier
    state: CaseState
    outcome: ReviewOutcome | None
    accession: str
    study_date: str
    scanner: str
    model_version: str
    made_at: datetime
    ours: float | None
    human: float | None
    difference: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CasePage:
    """Rows of one page, and how many there are in all."""

    rows: tuple[CaseRow, ...]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One comparison with all that is known of it; ``decisions`` are its history, oldest first.

    ``latest`` False: another comparison of the study has taken its place.
    """

    row: CaseRow
    comparison: Comparison
    model_sha256: str
    limits_sha256: str
    latest: bool
    decisions: tuple[Decision, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsRow:
    """One case for the charts; ``pairs`` are (ours, the human's) by region, as far as the human reported them."""

    id: int
    tier: Tier
    outcome: ReviewOutcome | None
    made_at: datetime
    scanner: str
    model_version: str
    state: CaseState = CaseState.OPEN
    pairs: Mapping[str, tuple[float, float]]

    @property
    def waits(self) -> bool:
        """Whether it is flagged and nobody has decided."""
        return self.tier.flagged and self.state is CaseState.OPEN
