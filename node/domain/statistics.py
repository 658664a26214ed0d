"""How the second reading does over time: flags and whether they were upheld, zero rate, by period, scanner, model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import Final

from node.domain.agreement import Pair, share
from node.domain.review import ReviewOutcome
from node.domain.tiers import Tier

_Z: Final = 1.959963984540054


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One case as the charts have it: scores of CAC, None where the human gave none."""

    id: int
    made_at: datetime
    tier: Tier
    outcome: ReviewOutcome | None
    scanner: str
    model_version: str
    ours: float | None
    human: float | None

    @property
    def pair(self) -> Pair | None:
        """Both scores, where the two reads can be compared."""
        if self.ours is None or self.human is None or self.tier is Tier.NOT_COMPARABLE:
            return None
        return self.ours, self.human


class Period(StrEnum):
    """How time is cut."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"

    def of(self, moment: datetime, zone: tzinfo | None = None) -> str:
        """Name of the piece of time that holds a moment; names sort as the pieces follow. None: the local zone."""
        local = moment.astimezone(zone)
        if self is Period.DAY:
            return local.strftime("%Y-%m-%d")
        if self is Period.MONTH:
            return local.strftime("%Y-%m")
        year, week, _ = local.isocalendar()
        return f"{year}-W{week:02d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Counts of a set of cases, and the shares in them.

    Attributes
    ----------
    compared
        Cases that could be compared.
    not_comparable
        Those that could not; in no share.
    flagged
        Of tier review or priority.
    settled
        Flagged cases that a person has decided.
    upheld
        Of these, where the human read was not simply right.
    zero_ours, zero_human, paired
        Scores of 0 among the ``paired`` cases with both scores.

    """

    compared: int = 0
    not_comparable: int = 0
    flagged: int = 0
    settled: int = 0
    upheld: int = 0
    zero_ours: int = 0
    zero_human: int = 0
    paired: int = 0

    @property
    def flag_rate(self) -> float | None:
        """Share of compared cases that were flagged."""
        return share(self.flagged, self.compared)

    @property
    def upheld_rate(self) -> float | None:
        """Precision of flags: share of settled ones that were worth a person's time."""
        return share(self.upheld, self.settled)

    @property
    def upheld_range(self) -> tuple[float, float] | None:
        """95 % interval of ``upheld_rate``."""
        return wilson(self.upheld, self.settled)

    @property
    def zero_rates(self) -> tuple[float | None, float | None]:
        """Share of scores of 0, ours and the human's."""
        return share(self.zero_ours, self.paired), share(self.zero_human, self.paired)


@dataclass(slots=True)
class _Tally:
    """Counts in the making."""

    compared: int = 0
    not_comparable: int = 0
    flagged: int = 0
    settled: int = 0
    upheld: int = 0
    zero_ours: int = 0
    zero_human: int = 0
    paired: int = 0

    def add(self, one: Observation) -> None:
        if one.tier is Tier.NOT_COMPARABLE:
            self.not_comparable += 1
            return
        self.compared += 1
        if one.tier is Tier.REVIEW or one.tier is Tier.PRIORITY:
            self.flagged += 1
            if one.outcome is not None:
                self.settled += 1
                self.upheld += one.outcome.upheld
        if one.ours is not None and one.human is not None:
            self.paired += 1
            self.zero_ours += one.ours == 0
            self.zero_human += one.human == 0

    def rates(self) -> Rates:
        return Rates(
            compared=self.compared,
            not_comparable=self.not_comparable,
            flagged=self.flagged,
            settled=self.settled,
            upheld=self.upheld,
            zero_ours=self.zero_ours,
            zero_human=self.zero_human,
            paired=self.paired,
        )


def rates(observations: Iterable[Observation]) -> Rates:
    """Counts of some cases."""
    tally = _Tally()
    for one in observations:
        tally.add(one)
    return tally.rates()


def rates_by(observations: Iterable[Observation], name: Callable[[Observation], str]) -> Mapping[str, Rates]:
    """Counts by a name of each case, such as its scanner, sorted by name."""
    tallies: dict[str, _Tally] = {}
    for one in observations:
        key = name(one)
        tally = tallies.get(key)
        if tally is None:
            tally = tallies[key] = _Tally()
        tally.add(one)
    return {key: tallies[key].rates() for key in sorted(tallies)}


def rates_by_tier(observations: Iterable[Observation]) -> Mapping[Tier, Rates]:
    """Counts by tier, every tier included, in the order of the tiers."""
    found = rates_by(observations, lambda one: one.tier)
    return {tier: found.get(tier, Rates()) for tier in Tier}


def rates_by_period(
    observations: Iterable[Observation], period: Period, zone: tzinfo | None = None
) -> Mapping[str, Rates]:
    """Counts by piece of time, in order; pieces without cases are left out. None: the local zone."""
    return rates_by(observations, lambda one: period.of(one.made_at, zone))


def pairs_of(observations: Iterable[Observation]) -> tuple[Pair, ...]:
    """The scores of all cases that can be compared."""
    return tuple(pair for one in observations if (pair := one.pair) is not None)


def wilson(part: int, whole: int) -> tuple[float, float] | None:
    """95 % interval of a share (Wilson, J Am Stat Assoc 1927;22:209-212), None of nothing."""
    if not whole:
        return None
    rate, squared = part / whole, _Z**2
    centre = rate + squared / (2 * whole)
    half = _Z * math.sqrt(rate * (1 - rate) / whole + squared / (4 * whole**2))
    below = 1 + squared / whole
    return max((centre - half) / below, 0.0), min((centre + half) / below, 1.0)


def period_for(moments: Sequence[datetime]) -> Period:
    """How to cut time so that a chart has some ten to some sixty points."""
    if not moments:
        return Period.MONTH
    days = (max(moments) - min(moments)).days
    if days <= 45:
        return Period.DAY
    return Period.WEEK if days <= 400 else Period.MONTH
