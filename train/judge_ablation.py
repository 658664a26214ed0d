"""What each group of the judge's inputs is worth: the same fit without it, on cases left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.judgement import CHAMBERS, FEATURES, INPUTS, inputs
from model.lesions import Vessel
from train.calibrate import Table
from train.judge_fit import in_company_left_out, left_out, quality

_NETWORKS: Final = frozenset(
    {
        "over_background",
        "over_confuser",
        "best_pixel",
        "calcium_mean",
        "calcium_best",
        "disagreement",
        "aortic",
        "valve",
    }
)
_PLACES: Final = frozenset({"fat", "lung", "bright", "in_heart", "in_aorta", "in_bone"})
_CHAMBERS: Final = frozenset(name for name in FEATURES if name.startswith(CHAMBERS))

WITHOUT: Final[Mapping[str, frozenset[str]]] = {
    "everything": frozenset(),
    "no neighbours": frozenset(INPUTS) - frozenset(FEATURES),
    "no calcium head": frozenset({"calcium_mean", "calcium_best", "neighbour's calcium_mean"}),
    "no chambers around": _CHAMBERS,
    "no surroundings": _PLACES | _CHAMBERS,
    "no brightness, size or noise": frozenset(FEATURES) - _NETWORKS - _PLACES - _CHAMBERS
    | {"neighbour's log_area", "neighbour's contrast"},
    "the networks' word alone": frozenset(INPUTS) - _NETWORKS,
}
"""Variants by name, and the inputs each does without."""

Figures = dict[str, float]


def judge_ablation(table: Table) -> dict[str, Figures]:
    """Brier score, area under the ROC curve and summed log loss of every variant, by judges that never saw the case.

    The first row, "no judge", is what the networks' shares say.
    """
    seen, cases = inputs(table.features, table.touching), np.unique(table.case)
    scored = table.shares[:, [vessel.label for vessel in Vessel]].sum(axis=1)
    rows = {"no judge": _figures(scored, table)}
    for name, missing in WITHOUT.items():
        known = np.where([part in missing for part in INPUTS], np.nan, seen)
        alone = left_out(known, table, cases)
        if not missing:
            rows["no company"] = _figures(alone, table)
        rows[name] = _figures(in_company_left_out(alone, table, cases), table)
    return rows


def _figures(probability: NDArray[np.float64], table: Table) -> Figures:
    found = quality(probability, table.real)
    said = np.where(table.real, probability, 1 - probability)
    return {"brier": found.brier, "auc": found.auc, "log loss": float(-np.log(said.clip(1e-5)).sum())}


def to_markdown(rows: Mapping[str, Figures]) -> str:
    """One row a variant."""
    lines = ["| judge | Brier score | area under the ROC curve | log loss, summed |", "| --- | ---: | ---: | ---: |"]
    lines += [
        f"| {name} | {row['brier']:.4f} | {row['auc']:.4f} | {row['log loss']:.0f} |" for name, row in rows.items()
    ]
    return "\n".join([*lines, ""])
