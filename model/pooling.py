"""From class probabilities of single voxels to decisions on whole 2D components.

The boundary of calcium is the threshold; the network only says what a component belongs to. So its word is averaged
over the component, and a component is cut only where two vessels each own a good part of it (an ostium, a valve root).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.bundle import Calibration
from model.labels import Territory
from model.lesions import CORONARIES, Vessel

CERTAIN: Final = 0.95
"""From this probability on a component counts in the low end of the interval."""
POSSIBLE: Final = 0.05
"""From this probability on a component counts in the high end of the interval."""

_SHARE: Final = 0.25
_SCORED: Final = tuple(vessel.label for vessel in Vessel)
_AT_HEART: Final = tuple(vessel.label for vessel in (*CORONARIES, Vessel.AV))
_CORONARY: Final = tuple(vessel.label for vessel in CORONARIES)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decision:
    """What was decided for each voxel of a list (n,).

    Attributes
    ----------
    vessel
        uint8 label of the vessel it belongs to if it is calcium at all; 0 where no vessel comes into question.
    probability
        float32 that it is calcium of that vessel.
    accepted, certain, possible
        In the mask, in the low and in the high end of the interval; each contains the one before, certain first.

    """

    vessel: NDArray[np.uint8]
    probability: NDArray[np.float32]
    accepted: NDArray[np.bool_]
    certain: NDArray[np.bool_]
    possible: NDArray[np.bool_]


def softmax(logits: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Probabilities (n, classes) of logits (n, classes)."""
    scaled = logits / np.float32(temperature)
    scaled = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    return np.asarray(scaled / scaled.sum(axis=1, keepdims=True), dtype=np.float32)


def pool(values: NDArray[np.float32], group: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Mean (count, classes) of values (n, classes) by group (n,), where equal groups often follow each other."""
    if not group.size:
        return np.zeros((count, values.shape[1]))
    starts = np.flatnonzero(np.concatenate([[True], np.diff(group) != 0]))
    partial = np.add.reduceat(values, starts, axis=0)
    sums = np.stack([np.bincount(group[starts], column, minlength=count) for column in partial.T], axis=1)
    sizes = np.bincount(group, minlength=count)
    return np.asarray(sums / np.maximum(sizes, 1)[:, None])


def decide(
    probability: NDArray[np.float32], component: NDArray[np.int64], near: NDArray[np.bool_], calibration: Calibration
) -> Decision:
    """Decide for every voxel of a list.

    Parameters
    ----------
    probability
        (n, len(Territory)) territory probabilities.
    component
        (n,) number of the 2D component, from 0.
    near
        (count, 2) whether the component lies near the heart, where alone it can be coronary or valve; and whether it
        lies near heart or aorta, where alone it can be aortic.

    """
    part = _cut(probability, component)
    count = int(part.max()) + 1 if part.size else 0
    shares = pool(probability, part, count)
    here = np.zeros((count, 2), dtype=np.bool_)
    here[part] = near[component]
    shares[:, [Territory.BACKGROUND, Territory.CONFUSER]] *= calibration.background_prior
    shares[:, _AT_HEART] *= here[:, :1]
    shares[:, Vessel.TA.label] *= here[:, 1]
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)
    scored = shares[:, _SCORED]
    vessel = np.asarray(_SCORED, dtype=np.uint8)[scored.argmax(axis=1)]
    of_coronaries = shares[:, _CORONARY].sum(axis=1)
    coronary = np.isin(vessel, _CORONARY)
    # which coronary it is does not decide whether it is one
    any_coronary = np.where(coronary, of_coronaries, scored.max(axis=1))
    other = shares[:, [Territory.BACKGROUND, Territory.CONFUSER]].max(axis=1)
    accepted = any_coronary > other
    return Decision(
        vessel=vessel[part],
        probability=scored.max(axis=1).astype(np.float32)[part],
        accepted=accepted[part],
        certain=(accepted & (any_coronary >= CERTAIN))[part],
        possible=(accepted | (any_coronary >= POSSIBLE))[part],
    )


def _cut(probability: NDArray[np.float32], component: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number each component's parts: one, or two where two vessels each own at least a quarter of its voxels."""
    count = int(component.max()) + 1 if component.size else 0
    best = probability.argmax(axis=1)
    classes = probability.shape[1]
    votes = np.bincount(component * classes + best, minlength=count * classes).reshape(count, classes)
    votes[:, [Territory.BACKGROUND, Territory.CONFUSER]] = 0
    first = votes.argmax(axis=1)
    size = np.bincount(component, minlength=count)
    rest = votes.copy()
    rest[np.arange(count), first] = 0
    second = rest.argmax(axis=1)
    split = (
        (rest.max(axis=1, initial=0) >= _SHARE * size) & (votes.max(axis=1, initial=0) >= _SHARE * size) & (size > 1)
    )
    rows = np.arange(component.size)
    mine, other = probability[rows, first[component]], probability[rows, second[component]]
    return np.asarray(component * 2 + (split[component] & (other > mine)))
