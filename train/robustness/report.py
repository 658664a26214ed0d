"""Comparisons as tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from model.lesions import CORONARIES
from train.robustness.comparison import Comparison
from train.robustness.variants import VARIANTS, Kind, Variant

TARGET: Final = 0.02
"""The category may change in fewer cases than this share."""

Cases = Mapping[int, Sequence[Comparison]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One variant over all cases. Shares are of cases; NaN where there is nothing to divide by.

    Attributes
    ----------
    changed, truly_changed
        The category that was read, and the true one, is another than the original's.
    by_reader
        The category that was read changed although the true one did not.
    made_wrong
        It was right in the original and is wrong here.
    root_change, true_root_change
        Median of the absolute difference of the square roots of the coronary scores, as read and in truth.
    dice
        Median by coronary, NaN where the grids differ.
    same_masks
        Share of cases whose mask is the same, voxel for voxel.
    lost, gained, renamed
        Lesions a case.
    no_heart
        Cases in which the heart was found in the original and not here.

    """

    variant: Variant
    cases: int
    changed: float
    truly_changed: float
    by_reader: float
    made_wrong: float
    root_change: float
    true_root_change: float
    dice: Mapping[str, float]
    same_masks: float
    lost: float
    gained: float
    renamed: float
    no_heart: int


def summarise(cases: Cases) -> tuple[Summary, ...]:
    """Every variant that was read, in order."""
    found = []
    for variant in VARIANTS:
        of = [one for comparisons in cases.values() for one in comparisons if one.variant == variant.name]
        if of:
            found.append(_summary(variant, of))
    return tuple(found)


def _summary(variant: Variant, of: Sequence[Comparison]) -> Summary:
    same = [one.same_mask for one in of if one.same_mask is not None]
    return Summary(
        variant=variant,
        cases=len(of),
        changed=_mean([one.changed for one in of]),
        truly_changed=_mean([one.truly_changed for one in of]),
        by_reader=_mean([one.changed and not one.truly_changed for one in of]),
        made_wrong=_mean([one.original.right and not one.other.right for one in of]),
        root_change=_median([abs(one.other.read**0.5 - one.original.read**0.5) for one in of]),
        true_root_change=_median([abs(one.other.true**0.5 - one.original.true**0.5) for one in of]),
        dice={str(v): _median([one.dice[v] for one in of if v in one.dice]) for v in CORONARIES},
        same_masks=_mean(same),
        lost=_mean([one.lost for one in of]),
        gained=_mean([one.gained for one in of]),
        renamed=_mean([one.renamed for one in of]),
        no_heart=sum(one.original.found and not one.other.found for one in of),
    )


def to_markdown(cases: Cases, title: str) -> str:
    """What was done, and a row for every variant."""
    rows = summarise(cases)
    heads = ["variant", "category changed", "by the reader", "in truth", "made wrong", "Δ√score", "in truth"]
    heads += [*(f"Dice {vessel}" for vessel in CORONARIES), "lost / gained / renamed", "no heart", "target"]
    lines = [
        f"# Robustness: {title}",
        "",
        f"{len(cases)} held-out phantoms, each read as it is (3 mm slices) and in every variant. Shares are of cases.",
        "*Category changed*: another than in the original; *by the reader*: though the true category (the variant's",
        "labels at the threshold) is the original's; *in truth*: the true one changed; *made wrong*: right before.",
        "Δ√score: median absolute difference of the square roots of the coronary Agatston scores. Dice: the two",
        "readings against each other, median, where the voxels are the same. Lesions a case.",
        f"Target: the category changes by the reader in less than {TARGET:.0%} of cases; where a scan is only stored",
        "otherwise, the mask is the same in every voxel.",
        "",
        f"| {' | '.join(heads)} |",
        f"| {' | '.join(['---'] * len(heads))} |",
        *(_row(one) for one in rows),
        "",
        *(f"- **{one.variant.name}** ({one.variant.kind}): {one.variant.words}." for one in rows),
        "",
    ]
    return "\n".join(lines)


def _row(one: Summary) -> str:
    cells = [
        one.variant.name,
        *(f"{share:.1%}" for share in (one.changed, one.by_reader, one.truly_changed, one.made_wrong)),
        *(f"{change:.2f}" for change in (one.root_change, one.true_root_change)),
        *("" if np.isnan(dice) else f"{dice:.3f}" for dice in one.dice.values()),
        f"{one.lost:.2f} / {one.gained:.2f} / {one.renamed:.2f}",
        str(one.no_heart),
        "met" if meets_target(one) else "missed",
    ]
    return f"| {' | '.join(cells)} |"


def meets_target(one: Summary) -> bool:
    """Whether a variant's summary is as good as asked for."""
    exact = one.variant.kind is not Kind.STORED or one.same_masks == 1.0
    return exact and one.by_reader < TARGET


def to_csv(cases: Cases) -> str:
    """One line a case and variant."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    scores = [
        f"{what}_{which}" for which in ("original", "variant") for what in ("true_cac", "read_cac", "heart_found")
    ]
    dice = [f"dice_{vessel}" for vessel in CORONARIES]
    writer.writerow(["seed", "variant", *scores, *dice, "same_mask", "lost", "gained", "renamed"])
    for seed, comparisons in sorted(cases.items()):
        for one in comparisons:
            seen = [value for s in (one.original, one.other) for value in (round(s.true, 3), round(s.read, 3), s.found)]
            overlap = [round(one.dice[v], 4) if v in one.dice else "" for v in CORONARIES]
            same = "" if one.same_mask is None else one.same_mask
            writer.writerow([seed, one.variant, *seen, *overlap, same, one.lost, one.gained, one.renamed])
    return text.getvalue()


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else float("nan")
