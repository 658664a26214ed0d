"""Fitting the judge and the temperature to a table of components, and how well they do on cases left out."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.stats import rankdata
from torch import Tensor

from model.company import Company, company
from model.judgement import INPUTS, KINDS, Judge, area_mm2, in_company, inputs, of_kind, rises, standard
from model.lesions import Vessel
from model.odds import odds
from train.calibrate import Table

FOLDS: Final = 5
BINS: Final = 10
TEMPERATURES: Final = (0.4, 6.0)

_HIDDEN: Final = 8
_STARTS: Final = 3
_STEPS: Final = 400
_RATE: Final = 2e-2
_PENALTY: Final = 3.0  # on squared weights, in components
_FLAT: Final = 1e-3
_BOUNDS: Final = ((0.2, 5.0), (0.0, 5.0), (None, None))  # of slope, weight and bias
_TEMPERED: Final = 5.0  # on the squared logarithm of the temperature, in components: few are no ground to sharpen
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
    seen = inputs(table.features, table.touching)
    alone = left_out(seen, table, cases)
    # by judges that did not see the case: what they had seen they would be too sure of
    ways = fitted_company(alone, table, np.ones(table.case.size, dtype=np.bool_))
    return Fitted(
        judge=replace(fitted_judge(seen, table.real), company=ways),
        temperature=temperature,
        before=quality(table.shares[:, _SCORED].sum(axis=1), table.real),
        after=quality(in_company_left_out(alone, table, cases), table.real),
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


def left_out(seen: NDArray[np.float64], table: Table, cases: NDArray[np.int64]) -> NDArray[np.float64]:
    """Probability (n,) of each component by itself, by a judge that was fitted without its case."""
    said = np.zeros(table.case.size)
    fold = _folds(table, cases)
    for number in np.unique(fold):
        held = fold == number
        said[held] = fitted_judge(seen[~held], table.real[~held]).of_inputs(seen[held])
    return said


def in_company_left_out(alone: NDArray[np.float64], table: Table, cases: NDArray[np.int64]) -> NDArray[np.float64]:
    """Probability (n,) of each component among the others of its scan, weighed in ways fitted without its case.

    ``alone`` is what :func:`left_out` gives.
    """
    said, fold = alone.copy(), _folds(table, cases)
    for number in np.unique(fold):
        held = fold == number
        ways = fitted_company(alone, table, ~held)
        said[held] = in_company(ways, alone, table.features, table.touching, _scan(table))[held]
    return said


def fitted_company(alone: NDArray[np.float64], table: Table, chosen: NDArray[np.bool_]) -> dict[str, Company]:
    """How other calcium of the scan is best weighed, for each kind of which any component is chosen.

    Parameters
    ----------
    alone
        (n,) probability of each component by itself, by a judge that did not see it.
    chosen
        bool (n,).

    """
    mine = {kind: of_kind(kind, table.features) for kind in KINDS}
    return {kind: _one_company(alone, table, part, chosen) for kind, part in mine.items() if (part & chosen).any()}


def _one_company(
    alone: NDArray[np.float64], table: Table, mine: NDArray[np.bool_], chosen: NDArray[np.bool_]
) -> Company:
    others = company(np.where(mine, alone, 0.0), area_mm2(table.features), table.touching, _scan(table))[mine & chosen]
    log_odds, sign = odds(alone[mine & chosen]), np.where(table.real[mine & chosen], 1.0, -1.0)

    def loss(ways: NDArray[np.float64]) -> float:
        slope, weight, bias = ways
        said = slope * log_odds + weight * others + bias
        return float(np.logaddexp(0, -sign * said).sum() + _PENALTY * ((slope - 1) ** 2 + weight**2 + bias**2 / 10))

    found = minimize(loss, np.array([1.0, 0.1, 0.0]), method="L-BFGS-B", bounds=_BOUNDS)
    slope, weight, bias = (float(number) for number in found.x)
    return Company(slope=slope, weight=weight, bias=bias)


def _scan(table: Table) -> NDArray[np.int64]:
    return np.searchsorted(np.unique(table.case), table.case)


def _folds(table: Table, cases: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.asarray(np.searchsorted(cases, table.case) % min(FOLDS, cases.size))


def fitted_judge(seen: NDArray[np.float64], real: NDArray[np.bool_]) -> Judge:
    """The mean of a few judges of different starts, which is itself one.

    Parameters
    ----------
    seen
        (n, inputs) of :func:`model.judgement.inputs`.
    real
        bool (n,).

    """
    with warnings.catch_warnings():
        # no component may have a neighbour
        warnings.simplefilter("ignore", RuntimeWarning)
        centre = np.nan_to_num(np.nanmean(seen, axis=0))
        scale = np.maximum(np.nan_to_num(np.nanstd(seen, axis=0)), _FLAT)
    values = torch.from_numpy(standard(seen, centre, scale))
    truth = torch.from_numpy(real.astype(np.float64))
    parts = [_one_fit(values, truth, seed) for seed in range(_STARTS)]
    inner, inner_bias, outer, bias = (np.concatenate(part, axis=-1) for part in zip(*parts, strict=True))
    return Judge(
        centre=centre,
        scale=scale,
        inner=inner,
        inner_bias=inner_bias,
        outer=outer / _STARTS,
        bias=float(bias.mean()),
    )


def _one_fit(values: Tensor, truth: Tensor, seed: int) -> tuple[NDArray[np.float64], ...]:
    """Weights of least cross entropy and a penalty: inner (inputs, hidden), inner_bias, outer (hidden,), bias (1,)."""
    random = torch.Generator().manual_seed(seed)
    rising = torch.tensor([rises(name) for name in INPUTS])[:, None]
    free = {
        "inner": torch.randn((len(INPUTS), _HIDDEN), generator=random, dtype=torch.float64) * 0.3,
        "inner_bias": torch.randn(_HIDDEN, generator=random, dtype=torch.float64),
        "outer": torch.full((_HIDDEN,), 0.8, dtype=torch.float64),
        "bias": torch.logit(truth.mean().clamp(1e-3, 1 - 1e-3))[None],
    }
    for tensor in free.values():
        tensor.requires_grad_()
    optimiser = torch.optim.Adam(free.values(), lr=_RATE)
    plan = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, _STEPS)
    for _ in range(_STEPS):
        # those that must not be negative are softplus of something
        inner, outer = torch.where(rising, F.softplus(free["inner"] - 1), free["inner"]), F.softplus(free["outer"])
        log_odds = torch.tanh(values @ inner + free["inner_bias"]) @ outer + free["bias"]
        size = inner.square().sum() + outer.square().sum() / 3
        loss = F.binary_cross_entropy_with_logits(log_odds, truth) + _PENALTY / len(truth) * size
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        plan.step()
    inner, outer = torch.where(rising, F.softplus(free["inner"] - 1), free["inner"]), F.softplus(free["outer"])
    return tuple(part.detach().numpy() for part in (inner, free["inner_bias"], outer, free["bias"]))


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
    return "\n".join([*lines, ""])
