"""How far two measurements of the same cases agree."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Values = NDArray[np.float64]

_RESAMPLES: Final = 2000
_SEED: Final = 20_150_401
_NORMAL: Final = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % confidence interval; NaN where there is nothing to tell it from."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BlandAltman:
    """Mean difference and 95 % limits of agreement, each with its 95 % confidence interval.

    Bland & Altman, Lancet 1986;i:307-310; Stat Methods Med Res 1999;8:135-160 (limits: standard error
    sqrt(1/n + z²/(2(n-1))) SD, Student's t with n - 1 degrees of freedom).
    """

    cases: int
    bias: Estimate
    sd: float
    low: Estimate
    high: Estimate


def proportion(part: int, whole: int) -> Estimate:
    """A share with Wilson's score interval (J Am Stat Assoc 1927;22:209-212)."""
    if not whole:
        return _UNKNOWN
    share, z2 = part / whole, _NORMAL**2
    middle = (share + z2 / (2 * whole)) / (1 + z2 / whole)
    reach = _NORMAL / (1 + z2 / whole) * np.sqrt(share * (1 - share) / whole + z2 / (4 * whole**2))
    return Estimate(share, min(share, max(0.0, float(middle - reach))), max(share, min(1.0, float(middle + reach))))


def spearman(first: Values, second: Values) -> Values:
    """Rank correlation along the last axis; ties share their mean rank.

    NaN for fewer than three cases or where one side is constant.
    """
    if first.shape[-1] < 3:
        return np.full(first.shape[:-1], np.nan)
    ranks = [stats.rankdata(side, axis=-1) for side in (first, second)]
    apart = [rank - rank.mean(axis=-1, keepdims=True) for rank in ranks]
    spreads = np.sqrt((apart[0] ** 2).sum(axis=-1) * (apart[1] ** 2).sum(axis=-1))
    return np.asarray((apart[0] * apart[1]).sum(axis=-1) / np.where(spreads > 0, spreads, np.nan))


def bootstrapped(statistic: Callable[[Values, Values], Values], first: Values, second: Values) -> Estimate:
    """A statistic of pairs with its percentile bootstrap interval: 2,000 resamples of cases, always the same ones.

    Parameters
    ----------
    statistic
        Works along the last axis.

    """
    value = float(statistic(first, second))
    if not np.isfinite(value):
        return _UNKNOWN
    draws = np.random.default_rng(_SEED).integers(first.size, size=(_RESAMPLES, first.size))
    found = statistic(first[draws], second[draws])
    found = found[np.isfinite(found)]
    low, high = np.percentile(found, (2.5, 97.5)).tolist() if found.size else (float("nan"), float("nan"))
    return Estimate(value, low, high)


def icc(ratings: Values) -> Estimate:
    """ICC(2,1): two-way random effects, absolute agreement, one rating.

    Shrout & Fleiss, Psychol Bull 1979;86:420-428, where it is named so; interval of McGraw & Wong, Psychol Methods
    1996;1:30-46, where it is ICC(A,1). NaN for fewer than three cases, or where nothing varies.

    Parameters
    ----------
    ratings
        (cases, raters).

    """
    n, k = ratings.shape
    if n < 3 or k < 2:
        return _UNKNOWN
    mean = ratings.mean()
    rows, columns = ratings.mean(axis=1), ratings.mean(axis=0)
    between = k * float(((rows - mean) ** 2).sum()) / (n - 1)
    raters = n * float(((columns - mean) ** 2).sum()) / (k - 1)
    rest = float(((ratings - rows[:, None] - columns[None] + mean) ** 2).sum()) / ((n - 1) * (k - 1))
    below = between + (k - 1) * rest + k * (raters - rest) / n
    if below <= 0:
        return _UNKNOWN
    value = (between - rest) / below
    if value >= 1 - 1e-12 or rest <= 0:
        return Estimate(value, value, value)
    low, high = _icc_interval(value, (between, raters, rest), (n, k))
    return Estimate(value, min(low, value), max(high, value))


def _icc_interval(value: float, squares: tuple[float, float, float], shape: tuple[int, int]) -> tuple[float, float]:
    (between, raters, rest), (n, k) = squares, shape
    a = k * value / (n * (1 - value))
    b = 1 + k * value * (n - 1) / (n * (1 - value))
    freedom = (a * raters + b * rest) ** 2 / ((a * raters) ** 2 / (k - 1) + (b * rest) ** 2 / ((n - 1) * (k - 1)))
    lower = float(stats.f.ppf(0.975, n - 1, freedom))
    upper = float(stats.f.ppf(0.975, freedom, n - 1))
    others = k * raters + (k * n - k - n) * rest
    return (
        n * (between - lower * rest) / (lower * others + n * between),
        n * (upper * between - rest) / (others + n * upper * between),
    )


def bland_altman(truth: Values, read: Values) -> BlandAltman:
    """Differences ``read - truth``; NaN for fewer than two cases."""
    n = truth.size
    if n < 2:
        return BlandAltman(cases=n, bias=_UNKNOWN, sd=float("nan"), low=_UNKNOWN, high=_UNKNOWN)
    differences = read - truth
    bias, sd = float(differences.mean()), float(differences.std(ddof=1))
    t = float(stats.t.ppf(0.975, n - 1))
    of_bias = t * sd / np.sqrt(n)
    of_limit = t * sd * np.sqrt(1 / n + _NORMAL**2 / (2 * (n - 1)))
    return BlandAltman(
        cases=n,
        bias=_around(bias, of_bias),
        sd=sd,
        low=_around(bias - _NORMAL * sd, of_limit),
        high=_around(bias + _NORMAL * sd, of_limit),
    )


def kappa(table: NDArray[np.integer], power: int) -> float:
    """Cohen's kappa with weights by distance: power 0 unweighted, 1 linear, 2 quadratic (Psychol Bull 1968;70:213-220).

    NaN where chance alone leaves nothing to disagree about: all cases in one category on both sides.

    Parameters
    ----------
    table
        (categories, categories): cases by true and by read category, in order.

    """
    shares = table / table.sum() if table.sum() else table.astype(np.float64)
    places = np.arange(len(table))
    apart = np.abs(places[:, None] - places[None]).astype(np.float64)
    cost = (apart > 0).astype(np.float64) if power == 0 else apart**power
    by_chance = float((cost * np.outer(shares.sum(axis=1), shares.sum(axis=0))).sum())
    return 1 - float((cost * shares).sum()) / by_chance if by_chance > 0 else float("nan")


def _around(value: float, reach: float) -> Estimate:
    return Estimate(value, float(value - reach), float(value + reach))


_UNKNOWN: Final = Estimate(float("nan"), float("nan"), float("nan"))
