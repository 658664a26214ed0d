"""Whether something moves over time: our scores against the human's (CUSUM), and what the scanners send."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Final

from node.domain.agreement import root_difference
from node.domain.statistics import Observation, Period

CLIPPED_AT: Final = 3.0
"""A single missed lesion is a case, not a drift: no case counts for more standard deviations than this."""
LEAST_SCALE: Final = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class CusumRule:
    """When a sum of small differences is more than chance.

    With ``k`` 0.5 and ``h`` 5, in standard deviations, a lasting shift by one is noticed after about 10 cases and
    chance alone gives an alarm in about 465 (Montgomery, Introduction to Statistical Quality Control, section 9.1).
    Those figures are for independent, normal differences; ours are clipped at three standard deviations.

    Attributes
    ----------
    k
        What each case may differ without being summed.
    h
        The decision limit of the sums.
    baseline
        So many of the first cases say what the standard deviation is; the target is 0.

    """

    k: float = 0.5
    h: float = 5.0
    baseline: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class CusumPoint:
    """The sums after a case at which one passed the limit; both then begin again."""

    case: int
    made_at: datetime
    high: float
    low: float  # 0 or less


@dataclass(frozen=True, slots=True, kw_only=True)
class Cusum:
    """The chart.

    Attributes
    ----------
    high, low
        Both sums after each case with calcium in either read, in order of time.
    alarm_places
        Where in them a sum passed the limit.
    alarms
        The same, with the cases.
    scale
        Standard deviation of the baseline, on the scale of roots.

    """

    high: Sequence[float]
    low: Sequence[float]
    alarm_places: tuple[int, ...]
    alarms: tuple[CusumPoint, ...]
    scale: float
    rule: CusumRule


def cusum(observations: Sequence[Observation], rule: CusumRule | None = None) -> Cusum:
    """Two-sided sums of the signed difference of roots, cases in order of time.

    Cases in which both read 0 say nothing of a shift and are left out.
    """
    known = [(one, root_difference(*pair)) for one in observations if (pair := one.pair) is not None and any(pair)]
    found = course([difference for _, difference in known], rule)
    alarms = (
        CusumPoint(case=known[at][0].id, made_at=known[at][0].made_at, high=found.high[at], low=found.low[at])
        for at in found.alarm_places
    )
    return replace(found, alarms=tuple(alarms))


def course(differences: Sequence[float], rule: CusumRule | None = None) -> Cusum:
    """The sums of some signed differences of roots, in order of time; without the cases of the alarms."""
    rule = rule or CusumRule()
    scale = _scale(differences[: rule.baseline])
    highs, lows, places = [], [], []
    high = low = 0.0
    for place, difference in enumerate(differences):
        step = max(-CLIPPED_AT, min(CLIPPED_AT, difference / scale))
        high, low = max(0.0, high + step - rule.k), min(0.0, low + step + rule.k)
        highs.append(high)
        lows.append(low)
        if high > rule.h or -low > rule.h:
            places.append(place)
            high = low = 0.0
    return Cusum(high=highs, low=lows, alarm_places=tuple(places), alarms=(), scale=scale, rule=rule)


def _scale(differences: Sequence[float]) -> float:
    """Standard deviation about 0 that a few gross differences hardly move: from the median size if that is not 0."""
    if not differences:
        return LEAST_SCALE
    # The median of |d| of a normal distribution is 0.6745 standard deviations.
    middle = statistics.median(abs(value) for value in differences) / 0.6745
    clipped = [min(abs(value), CLIPPED_AT * middle) if middle else abs(value) for value in differences]
    return max(math.sqrt(statistics.fmean(value * value for value in clipped)), LEAST_SCALE)


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFacts:
    """What one scan was like; None where it is not known."""

    made_at: datetime
    noise_hu: float | None = None
    kvp: float | None = None
    slice_spacing_mm: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSummary:
    """The middle of a period's scans."""

    count: int
    noise_hu: float | None
    kvp: float | None
    slice_spacing_mm: float | None


def input_by_period(
    facts: Iterable[InputFacts], period: Period, zone: tzinfo | None = None
) -> Mapping[str, InputSummary]:
    """Medians by piece of time, in order."""
    groups: dict[str, list[InputFacts]] = {}
    for one in facts:
        groups.setdefault(period.of(one.made_at, zone), []).append(one)
    return {
        name: InputSummary(
            count=len(group),
            noise_hu=_median(one.noise_hu for one in group),
            kvp=_median(one.kvp for one in group),
            slice_spacing_mm=_median(one.slice_spacing_mm for one in group),
        )
        for name, group in sorted(groups.items())
    }


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
