"""How well two reads agree over many cases: categories, intraclass correlation, limits of agreement.

Pairs are (ours, the human's), Agatston scores of 0 or more. Everything is None where there is too little to say it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from node.domain.tiers import Limits

Pair = tuple[float, float]
WITHIN: Final = 1.96
"""Standard deviations to either side that hold 95 % of a normal distribution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion:
    """Categories against categories: ``table[ours][human]`` counts cases.

    ``linear`` and ``quadratic`` are Cohen's kappa with weights by distance and by its square (Psychol Bull
    1968;70:213-220); None where one category holds all cases.
    """

    table: tuple[tuple[int, ...], ...]
    linear: float | None
    quadratic: float | None

    @property
    def total(self) -> int:
        """How many cases."""
        return sum(sum(row) for row in self.table)

    @property
    def same(self) -> int:
        """How many in the same category."""
        return sum(row[number] for number, row in enumerate(self.table))


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Differences, ours less the human's (Bland and Altman, Lancet 1986;327:307-310).

    ``low`` and ``high`` are the 95 % limits of agreement, ``bias -+ 1.96 sd``.
    """

    count: int
    bias: float
    sd: float

    @property
    def low(self) -> float:
        """Lower limit of agreement."""
        return self.bias - WITHIN * self.sd

    @property
    def high(self) -> float:
        """Upper limit of agreement."""
        return self.bias + WITHIN * self.sd


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """All of it. ``within`` is the share of pairs that differ by no more than two scans of one patient do."""

    count: int
    confusion: Confusion
    icc: float | None
    raw: Spread | None
    root: Spread | None
    within: float | None
    zero_ours: float | None
    zero_human: float | None


def agreement(pairs: Sequence[Pair], limits: Limits) -> Agreement:
    """How two reads agree."""
    count = len(pairs)
    return Agreement(
        count=count,
        confusion=confusion(pairs, limits),
        icc=icc(pairs),
        raw=spread(ours - human for ours, human in pairs),
        root=spread(root_difference(ours, human) for ours, human in pairs),
        within=share(sum(not limits.beyond(ours, human) for ours, human in pairs), count),
        zero_ours=share(sum(ours == 0 for ours, _ in pairs), count),
        zero_human=share(sum(human == 0 for _, human in pairs), count),
    )


def share(part: int, whole: int) -> float | None:
    """Part of a whole, None of nothing."""
    return part / whole if whole else None


def root_difference(ours: float, human: float) -> float:
    """Difference on the scale of square roots, on which the variation of scores is about even."""
    return math.sqrt(ours) - math.sqrt(human)


def confusion(pairs: Iterable[Pair], limits: Limits) -> Confusion:
    """Categories against categories."""
    size = len(limits.category_limits) + 2
    table = [[0] * size for _ in range(size)]
    for ours, human in pairs:
        table[limits.category(ours)][limits.category(human)] += 1
    frozen = tuple(tuple(row) for row in table)
    return Confusion(table=frozen, linear=kappa(frozen, 1), quadratic=kappa(frozen, 2))


def kappa(table: Sequence[Sequence[int]], power: int) -> float | None:
    """Cohen's kappa with weights of distance to the ``power``; None where chance alone agrees wholly."""
    total = sum(map(sum, table))
    rows = [sum(row) for row in table]
    columns = [sum(column) for column in zip(*table, strict=True)]
    seen = expected = 0.0
    for one, row in enumerate(table):
        for other, count in enumerate(row):
            weight = abs(one - other) ** power
            seen += weight * count
            expected += weight * rows[one] * columns[other]
    return 1 - seen * total / expected if expected else None


def icc(pairs: Sequence[Pair]) -> float | None:
    """Intraclass correlation ICC(2,1): two-way random, single read, absolute agreement.

    After Shrout and Fleiss, Psychol Bull 1979;86:420-428; None for fewer than two cases or without any difference.
    """
    count = len(pairs)
    if count < 2:
        return None
    grand = statistics.fmean(value for pair in pairs for value in pair)
    means = (statistics.fmean(pair[0] for pair in pairs), statistics.fmean(pair[1] for pair in pairs))
    between = sum(2 * ((one + other) / 2 - grand) ** 2 for one, other in pairs)
    readers = count * sum((mean - grand) ** 2 for mean in means)
    everything = sum((value - grand) ** 2 for pair in pairs for value in pair)
    rest = max(everything - between - readers, 0.0) / (count - 1)
    cases = between / (count - 1)
    below = cases + rest + 2 * (readers - rest) / count
    return (cases - rest) / below if below > 0 else None


def spread(differences: Iterable[float]) -> Spread | None:
    """Bias and standard deviation; None for fewer than two differences."""
    known = tuple(differences)
    if len(known) < 2:
        return None
    bias = statistics.fmean(known)
    variance = sum((value - bias) ** 2 for value in known) / (len(known) - 1)
    return Spread(count=len(known), bias=bias, sd=math.sqrt(variance))


def band_on_roots(mean_root: float, factor: float) -> float:
    """How far apart two roots with this mean may be, if the scores may by ``factor * sqrt(mean score)``.

    With x the mean and y the difference of the roots, the scores' mean is ``x**2 + y**2 / 4`` and their difference
    ``2 x y``; near 0 every pair is allowed, and y cannot be more than ``2 x``.
    """
    if mean_root <= factor / math.sqrt(8):
        return 2 * mean_root
    return factor * mean_root / math.sqrt(4 * mean_root**2 - factor**2 / 4)
