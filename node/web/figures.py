"""Figures over many cases at once.

What each means is said, case by case, in ``node.domain.statistics``, ``agreement`` and ``drift``; here the same is
counted over columns, and a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta, tzinfo
from typing import Final

import numpy as np
from numpy.typing import NDArray

from node.domain.agreement import Agreement, Confusion, Spread, kappa, share
from node.domain.drift import Cusum, CusumPoint, CusumRule, course
from node.domain.statistics import Period, Rates, period_for
from node.domain.tiers import Limits, Tier
from node.storage.case_blocks import OUTCOMES, TIERS, CaseColumns, microseconds

Floats = NDArray[np.float64]
_FLAGGED: Final = np.array([tier.flagged for tier in TIERS])
_UPHELD: Final = np.array([outcome is not None and outcome.upheld for outcome in OUTCOMES])
_NO_PAIR: Final = TIERS.index(Tier.NOT_COMPARABLE)


def waiting(cases: CaseColumns) -> NDArray[np.bool_]:
    """Which cases are flagged and have no decision."""
    return np.asarray(_FLAGGED[cases.tiers] & (cases.outcomes == 0))


def veiled(cases: CaseColumns) -> CaseColumns:
    """The cases without the scores of those that wait for a decision; see :mod:`node.web.veil`."""
    hidden = waiting(cases)
    ours, human = (np.where(hidden, np.nan, scores) for scores in (cases.ours, cases.human))
    return replace(cases, ours=ours, human=human)


def pairs_of(cases: CaseColumns) -> Floats:
    """Scores (cases, 2), ours and the human's, of all that can be compared."""
    held = cases.at(_paired(cases))
    return np.stack([held.ours, held.human], axis=1)


def rates(cases: CaseColumns) -> Rates:
    """Counts of some cases."""
    return _rates(cases, np.zeros(len(cases), np.intp), 1)[0]


def rates_by_tier(cases: CaseColumns) -> Mapping[Tier, Rates]:
    """Counts by tier, every tier included, in the order of the tiers."""
    found = dict(zip(TIERS, _rates(cases, cases.tiers, len(TIERS)), strict=True))
    return {tier: found[tier] for tier in Tier}


def rates_by_name(cases: CaseColumns, codes: NDArray[np.intp], names: Sequence[str]) -> Mapping[str, Rates]:
    """Counts by the name of each case, such as its scanner, sorted by name; "not known" where it is empty."""
    found = _rates(cases, codes, len(names))
    by_name = {name or "not known": one for name, one in zip(names, found, strict=True)}
    return {name: by_name[name] for name in sorted(by_name) if by_name[name] != Rates()}


def rates_by_period(cases: CaseColumns, period: Period, zone: tzinfo | None = None) -> Mapping[str, Rates]:
    """Counts by piece of time, in order; pieces without cases are left out. None: the local zone."""
    if not len(cases):
        return {}
    codes, names = _pieces(cases, period, zone)
    found = _rates(cases, codes, len(names))
    return {name: one for name, one in zip(names, found, strict=True) if one != Rates()}


def fitting_period(cases: CaseColumns) -> Period:
    """How to cut time so that a chart has some ten to some sixty points."""
    return period_for([cases.moment(0), cases.moment(-1)] if len(cases) else [])


def agreement(pairs: Floats, limits: Limits) -> Agreement:
    """How two reads agree, from :func:`pairs_of`."""
    ours, human = pairs.T
    count = len(pairs)
    return Agreement(
        count=count,
        confusion=_confusion(ours, human, limits),
        icc=_icc(pairs),
        raw=_spread(ours - human),
        root=_spread(np.sqrt(ours) - np.sqrt(human)),
        within=share(int((~beyond(pairs, limits)).sum()), count),
        zero_ours=share(int((ours == 0).sum()), count),
        zero_human=share(int((human == 0).sum()), count),
    )


def beyond(pairs: Floats, limits: Limits) -> NDArray[np.bool_]:
    """``Limits.beyond`` of every pair."""
    ours, human = pairs.T
    return np.asarray(np.abs(ours - human) > limits.root_factor * np.sqrt((ours + human) / 2))


def cusum(cases: CaseColumns, rule: CusumRule | None = None) -> Cusum:
    """``node.domain.drift.cusum`` of the cases."""
    held = cases.at(np.asarray(_paired(cases) & ((cases.ours > 0) | (cases.human > 0))))
    found = course((np.sqrt(held.ours) - np.sqrt(held.human)).tolist(), rule)
    points = (
        CusumPoint(case=int(held.ids[at]), made_at=held.moment(at), high=found.high[at], low=found.low[at])
        for at in found.alarm_places
    )
    return replace(found, alarms=tuple(points))


def _paired(cases: CaseColumns) -> NDArray[np.bool_]:
    return np.asarray((cases.tiers != _NO_PAIR) & ~np.isnan(cases.ours) & ~np.isnan(cases.human))


def _rates(cases: CaseColumns, codes: NDArray[np.integer], size: int) -> tuple[Rates, ...]:
    """Counts by code, from 0 to before ``size``."""
    comparable = cases.tiers != _NO_PAIR
    flagged = comparable & _FLAGGED[cases.tiers]
    settled = flagged & (cases.outcomes > 0)
    paired = _paired(cases)
    counted = [
        np.bincount(codes[chosen], minlength=size).tolist()
        for chosen in (
            comparable,
            ~comparable,
            flagged,
            settled,
            settled & _UPHELD[cases.outcomes],
            paired & (cases.ours == 0),
            paired & (cases.human == 0),
            paired,
        )
    ]
    names = ("compared", "not_comparable", "flagged", "settled", "upheld", "zero_ours", "zero_human", "paired")
    return tuple(Rates(**dict(zip(names, counts, strict=True))) for counts in zip(*counted, strict=True))


def _pieces(cases: CaseColumns, period: Period, zone: tzinfo | None) -> tuple[NDArray[np.intp], list[str]]:
    """The number of the piece of time of each case, and the names of the pieces, which sort as they follow."""
    day, last = (cases.moment(at).astimezone(zone).date() for at in (0, -1))
    starts: list[int] = []
    numbers: list[int] = []
    names: list[str] = []
    while day <= last:
        midnight = datetime.combine(day, time(), zone).astimezone()
        name = period.of(midnight, zone)
        if not names or names[-1] != name:
            names.append(name)
        starts.append(microseconds(midnight))
        numbers.append(len(names) - 1)
        day += timedelta(days=1)
    days = np.searchsorted(np.array(starts), cases.made_at, side="right") - 1
    return np.array(numbers, np.intp)[np.maximum(days, 0)], names


def _confusion(ours: Floats, human: Floats, limits: Limits) -> Confusion:
    size = len(limits.category_limits) + 2
    one, other = (
        (scores > 0).astype(np.intp) + np.searchsorted(np.array(limits.category_limits), scores, side="right")
        for scores in (ours, human)
    )
    counts = np.bincount(one * size + other, minlength=size * size).reshape(size, size).tolist()
    table = tuple(tuple(row) for row in counts)
    return Confusion(table=table, linear=kappa(table, 1), quadratic=kappa(table, 2))


def _spread(differences: Floats) -> Spread | None:
    if differences.size < 2:
        return None
    return Spread(count=differences.size, bias=float(differences.mean()), sd=float(differences.std(ddof=1)))


def _icc(pairs: Floats) -> float | None:
    """``node.domain.agreement.icc`` by the same sums of squares."""
    count = len(pairs)
    if count < 2:
        return None
    grand = pairs.mean()
    between = float(2 * ((pairs.mean(axis=1) - grand) ** 2).sum())
    readers = float(count * ((pairs.mean(axis=0) - grand) ** 2).sum())
    everything = float(((pairs - grand) ** 2).sum())
    rest = max(everything - between - readers, 0.0) / (count - 1)
    cases = between / (count - 1)
    below = cases + rest + 2 * (readers - rest) / count
    return (cases - rest) / below if below > 0 else None
