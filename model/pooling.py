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

_SHARE: Final = 0.25
_SCORED: Final = tuple(vessel.label for vessel in Vessel)
_OTHERS: Final = (Territory.BACKGROUND, Territory.CONFUSER)
_AT_HEART: Final = tuple(vessel.label for vessel in (*CORONARIES, Vessel.AV))
_CORONARY: Final = tuple(vessel.label for vessel in CORONARIES)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decision:
    """What was decided for each part: a component, or one side of a component that was cut.

    Attributes
    ----------
    part
        int64 (n,): part of each voxel of the list; not every number is used.
    vessel
        uint8 (parts,) label of the vessel it belongs to if it is calcium at all.
    probability
        float32 (parts,) that it is calcium of that vessel.
    coronary
        float64 (parts,) probability that it is calcium of any coronary, whichever.
    accepted
        bool (parts,): in the mask.

    """

    part: NDArray[np.int64]
    vessel: NDArray[np.uint8]
    probability: NDArray[np.float32]
    coronary: NDArray[np.float64]
    accepted: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Verdict:
    """What a judge says of components.

    Attributes
    ----------
    real
        float64 (count,) probability that a component is calcium that is scored.
    accept_from, accept_aortic_from
        From this probability on it is scored; the second where it would be the thoracic aorta's.

    """

    real: NDArray[np.float64]
    accept_from: float
    accept_aortic_from: float


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities (n, classes) of logits (n, classes)."""
    scaled = np.exp(logits - logits.max(axis=1, keepdims=True))
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


def gated(shares: NDArray[np.float64], near: NDArray[np.bool_], calibration: Calibration) -> NDArray[np.float64]:
    """Shares (count, territories) of components, made cooler by the temperature, without what cannot be where they lie.

    Parameters
    ----------
    near
        (count, 2) whether the component lies near the heart, where alone it can be coronary or valve; and whether it
        lies near heart or aorta, where alone it can be aortic.

    """
    shares = shares ** (1.0 / calibration.temperature)
    shares[:, _OTHERS] *= calibration.background_prior
    shares[:, _AT_HEART] *= near[:, :1]
    shares[:, Vessel.TA.label] *= near[:, 1]
    return np.asarray(shares / np.maximum(shares.sum(axis=1, keepdims=True), 1e-12))


def decide(
    probability: NDArray[np.float32],
    component: NDArray[np.int64],
    near: NDArray[np.bool_],
    calibration: Calibration,
    verdict: Verdict | None = None,
) -> Decision:
    """Decide for every part of a list of voxels.

    Parameters
    ----------
    probability
        (n, len(Territory)) territory probabilities.
    component
        (n,) number of the 2D component, from 0.
    near
        (count, 2), see :func:`gated`.
    verdict
        A judge's word on each component; without it a component is calcium if that is likelier than background and than
        a confuser.

    """
    part = _cut(probability, component)
    count = int(part.max()) + 1 if part.size else 0
    of = np.zeros(count, dtype=np.int64)
    of[part] = component
    shares = gated(pool(probability, part, count), near[of] if count else np.zeros((0, 2), np.bool_), calibration)
    return _by_shares(part, shares) if verdict is None else _by_judge(part, shares, verdict, of)


def _by_shares(part: NDArray[np.int64], shares: NDArray[np.float64]) -> Decision:
    scored = shares[:, _SCORED]
    vessel = np.asarray(_SCORED, dtype=np.uint8)[scored.argmax(axis=1)]
    of_coronaries = shares[:, _CORONARY].sum(axis=1)
    # which coronary it is does not decide whether it is one
    likely = np.where(np.isin(vessel, _CORONARY), of_coronaries, scored.max(axis=1))
    return Decision(
        part=part,
        vessel=vessel,
        probability=scored.max(axis=1).astype(np.float32),
        coronary=of_coronaries,
        accepted=likely > shares[:, _OTHERS].max(axis=1),
    )


def _by_judge(
    part: NDArray[np.int64], shares: NDArray[np.float64], verdict: Verdict, of: NDArray[np.int64]
) -> Decision:
    scored = shares[:, _SCORED]
    possible = scored.sum(axis=1) > 0
    scored = scored / np.maximum(scored.sum(axis=1, keepdims=True), 1e-12)
    heart = scored[:, : len(CORONARIES)]
    # first whether it is coronary, then which: three coronaries in doubt outweigh one valve
    coronary = heart.sum(axis=1) >= scored[:, len(CORONARIES) :].max(axis=1)
    which = np.where(coronary, heart.argmax(axis=1), len(CORONARIES) + scored[:, len(CORONARIES) :].argmax(axis=1))
    real = verdict.real[of] * possible
    vessel = np.asarray(_SCORED, dtype=np.uint8)[which]
    return Decision(
        part=part,
        vessel=vessel,
        probability=(real * scored[np.arange(which.size), which]).astype(np.float32),
        coronary=real * heart.sum(axis=1),
        accepted=real >= np.where(vessel == Vessel.TA.label, verdict.accept_aortic_from, verdict.accept_from),
    )


def _cut(probability: NDArray[np.float32], component: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number each component's parts: one, or two where two vessels each own at least a quarter of its voxels."""
    count = int(component.max()) + 1 if component.size else 0
    best = probability.argmax(axis=1)
    classes = probability.shape[1]
    votes = np.bincount(component * classes + best, minlength=count * classes).reshape(count, classes)
    votes[:, _OTHERS] = 0
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
