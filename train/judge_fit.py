"""Fitting the judge and the temperature to a table of components, and how well they do on cases left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.stats import rankdata

from model.judgement import FEATURES, LINK, Judge, linked, logistic
from model.lesions import Vessel
from train.calibrate import Table

FOLDS: Final = 5
BINS: Final = 10
TEMPERATURES: Final = (0.4, 6.0)

_PENALTY: Final = 2.0  # on squared standardised weights, in components
_TEMPERED: Final = 5.0  # on the squared logarithm of the temperature, in components: few are no ground to sharpen
_LOOSE: Final = 0.01  # on the bias and on the second step
_SCORED: Final = [vessel.label for vessel in Vessel]


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How well probabilities foretell what is real.

    Attributes
    ----------
    brier
        Mean squared error.
    auc
        Area under the ROC curve; NaN if there is but one class.
    reliability
        (mean probability, share that is real, components) in ten bins of probability, empty ones left out.

    """

    brier: float
    auc: float
    reliability: tuple[tuple[float, float, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fitted:
    """What a table gave.

    Attributes
    ----------
    before
        By the networks' shares alone, as a bundle without a judge has them.
    after
        By judges that never saw the case.

    """

    judge: Judge
    temperature: float
    before: Quality
    after: Quality
    vessel_loss: tuple[float, float]


def fit(table: Table) -> Fitted:
    """Fit the temperature and the judge.

    Raises
    ------
    ValueError
        The table holds fewer than two cases with components, or nothing real, or nothing else.

    """
    cases = np.unique(table.case)
    if cases.size < 2 or table.real.all() or not table.real.any():
        raise ValueError("calibration needs two cases at least, with components that are real and such that are not")
    temperature = _temperature(table)
    own = _left_out(table, cases)
    seen = linked(own, table.touching)
    link = _logistic_fit(seen, table.real, signs=np.array([1, 1, 0, 0]), penalty=np.full(4, _LOOSE))
    judge = replace(_alone(table, np.ones(table.case.size, dtype=np.bool_)), link=link)
    return Fitted(
        judge=judge,
        temperature=temperature,
        before=quality(table.shares[:, _SCORED].sum(axis=1), table.real),
        after=quality(logistic(seen @ link), table.real),
        vessel_loss=(_vessel_loss(table, 1.0), _vessel_loss(table, temperature)),
    )


def quality(probability: NDArray[np.float64], real: NDArray[np.bool_]) -> Quality:
    """Judge probabilities (n,) by what is real (n,)."""
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    rows = [
        (float(probability[mine].mean()), float(real[mine].mean()), int(mine.sum()))
        for mine in (bins == k for k in range(BINS))
        if mine.any()
    ]
    ones, zeros = int(real.sum()), int((~real).sum())
    rank = rankdata(probability)[real].sum() - ones * (ones + 1) / 2
    return Quality(
        brier=float(np.mean((probability - real) ** 2)),
        auc=float(rank / (ones * zeros)) if ones and zeros else float("nan"),
        reliability=tuple(rows),
    )


def _left_out(table: Table, cases: NDArray[np.int64]) -> NDArray[np.float64]:
    """Log-odds (n,) of each component by a first step that was fitted without its case."""
    own = np.zeros(table.case.size)
    fold = np.searchsorted(cases, table.case) % min(FOLDS, cases.size)
    for number in np.unique(fold):
        held = fold == number
        own[held] = _alone(table, ~held).alone(table.features[held])
    return own


def _alone(table: Table, chosen: NDArray[np.bool_]) -> Judge:
    """A judge whose second step changes nothing, fitted on some components."""
    features, real = table.features[chosen], table.real[chosen]
    centre = features.mean(axis=0)
    scale = np.maximum(features.std(axis=0), 1e-3)
    inputs = np.concatenate([(features - centre) / scale, np.ones((features.shape[0], 1))], axis=1)
    signs = np.array([*FEATURES.values(), 0])
    penalty = np.array([_PENALTY] * len(FEATURES) + [_LOOSE])
    weight = _logistic_fit(inputs, real, signs=signs, penalty=penalty)
    return Judge(
        centre=centre, scale=scale, weight=weight[:-1], bias=float(weight[-1]), link=np.array([1.0, 0.0, 0.0, 0.0])
    )


def _logistic_fit(
    inputs: NDArray[np.float64], real: NDArray[np.bool_], *, signs: NDArray[np.int64], penalty: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Weights of least logistic loss; those with a sign keep it."""
    side = np.where(real, 1.0, -1.0)

    def loss(weight: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margin = side * (inputs @ weight)
        value = np.logaddexp(0, -margin).sum() + 0.5 * (penalty * weight**2).sum()
        slope = -(side * logistic(-margin)) @ inputs + penalty * weight
        return float(value), slope

    bounds = [(0 if sign > 0 else None, 0 if sign < 0 else None) for sign in signs.tolist()]
    found = minimize(loss, np.zeros(inputs.shape[1]), jac=True, method="L-BFGS-B", bounds=bounds)
    return np.asarray(found.x, dtype=np.float64)


def _temperature(table: Table) -> float:
    """The temperature by which the shares of real components foretell their vessel best."""
    if not _known(table).any():
        return 1.0
    count = int(_known(table).sum())

    def loss(log: float) -> float:
        return _vessel_loss(table, float(np.exp(log))) + _TEMPERED * log**2 / count

    low, high = np.log(TEMPERATURES)
    found = minimize_scalar(loss, bounds=(low, high), method="bounded")
    return float(np.exp(found.x))


def _known(table: Table) -> NDArray[np.bool_]:
    """Real components of which the networks think any vessel possible."""
    return np.asarray(table.real & (table.shares[:, _SCORED].sum(axis=1) > 0))


def _vessel_loss(table: Table, temperature: float) -> float:
    """Mean log loss of the vessel of real components."""
    known = _known(table)
    if not known.any():
        return float("nan")
    shares = table.shares[known][:, _SCORED] ** (1 / temperature)
    shares = shares / shares.sum(axis=1, keepdims=True)
    right = shares[np.arange(shares.shape[0]), table.vessel[known].astype(int) - 1]
    return float(-np.log(np.maximum(right, 1e-6)).mean())


def to_markdown(fitted: Fitted, table: Table) -> str:
    """What was fitted, in tables."""
    rows: Sequence[tuple[str, str, str]] = [
        ("Brier score", f"{fitted.before.brier:.4f}", f"{fitted.after.brier:.4f}"),
        ("area under the ROC curve", f"{fitted.before.auc:.4f}", f"{fitted.after.auc:.4f}"),
        ("log loss of the vessel", f"{fitted.vessel_loss[0]:.4f}", f"{fitted.vessel_loss[1]:.4f}"),
    ]
    counted = f"{table.case.size} components of {table.seeds.size} cases, {int(table.real.sum())} real"
    lines = [
        f"{counted}; temperature {fitted.temperature:.2f}",
        "",
        "| measure | before | after |",
        "| --- | --- | --- |",
    ]
    lines += [f"| {name} | {before} | {after} |" for name, before, after in rows]
    lines += ["", "| said | is | components |", "| --- | --- | --- |"]
    lines += [f"| {said:.2f} | {true:.2f} | {count} |" for said, true, count in fitted.after.reliability]
    lines += ["", "| feature | weight |", "| --- | --- |"]
    lines += [f"| {name} | {weight:+.2f} |" for name, weight in zip(FEATURES, fitted.judge.weight, strict=True)]
    lines += [f"| {name} | {w:+.2f} |" for name, w in zip(LINK, fitted.judge.link, strict=True)]
    return "\n".join([*lines, ""])
