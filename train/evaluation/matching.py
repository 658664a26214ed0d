"""Two masks on one grid: which lesion of one is what on the other."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from model import scoring
from model.components import Runs
from model.definition import Definition
from model.lesions import AORTIC, CORONARIES, CalciumMask, Vessel
from model.measurement import measure
from model.volume import CtVolume
from train.evaluation.records import CONFUSER, NOTHING, PARTS, LesionRecord, Overlap

_VESSELS: Final = {vessel.label: str(vessel) for vessel in Vessel}
_KINDS: Final = tuple(tuple(vessel.label for vessel in kind) for kind in (CORONARIES, AORTIC))


def overlaps(truth: NDArray[np.uint8], read: NDArray[np.uint8]) -> dict[str, Overlap]:
    """Voxels of every part; a part of several vessels is their union, so mixing them up inside it costs nothing."""
    size = len(Vessel) + 1
    table = np.bincount(truth.ravel().astype(np.intp) * size + read.ravel(), minlength=size * size)
    table = table.reshape(size, size)
    found = {}
    for name, vessels in PARTS.items():
        labels = [vessel.label for vessel in vessels]
        found[name] = Overlap(
            true=int(table[labels].sum()),
            read=int(table[:, labels].sum()),
            both=int(table[np.ix_(labels, labels)].sum()),
        )
    return found


def matched_lesions(
    side: str, volume: CtVolume, mask: CalciumMask, other: NDArray[np.uint8], definition: Definition
) -> tuple[LesionRecord, ...]:
    """Every lesion of a kept mask, held against the labels of the other side.

    Parameters
    ----------
    other
        uint8 on the same grid: 0, a vessel's label, or 7 for what is known and not scored.

    """
    measured = measure(volume, mask, definition)
    runs = Runs.of(measured.voxels)
    piece = np.repeat(runs.in_volume(), runs.length)
    called = other[tuple(measured.voxels.index)]
    votes = np.zeros((int(piece.max()) + 1 if piece.size else 0, len(Vessel) + 2), dtype=np.int64)
    np.add.at(votes, (piece, called), 1)
    found = []
    # lesions() numbers pieces as Runs.in_volume does: in order of appearance
    for lesion, vote in zip(scoring.lesions(volume, mask, definition), votes, strict=True):
        kind = next(labels for labels in _KINDS if lesion.vessel.label in labels)
        found.append(
            LesionRecord(
                side=side,
                vessel=str(lesion.vessel),
                agatston=lesion.agatston,
                volume_mm3=lesion.volume_mm3,
                peak_hu=lesion.peak_hu,
                centroid_lps_mm=lesion.centroid_lps_mm,
                slices=lesion.slices,
                overlap=float(vote[list(kind)].sum() / vote.sum()),
                same_vessel=float(vote[lesion.vessel.label] / vote.sum()),
                called=_called(vote),
                probability=lesion.probability,
            )
        )
    return tuple(found)


def _called(vote: NDArray[np.int64]) -> str:
    vessels = vote[1:-1]
    if 2 * vessels.sum() >= vote.sum():
        return _VESSELS[int(vessels.argmax()) + 1]
    return CONFUSER if vote[-1] > vote[0] else NOTHING


def score_outside(volume: CtVolume, mask: CalciumMask, other: NDArray[np.uint8], definition: Definition) -> float:
    """Coronary Agatston score of the voxels that the other side does not call coronary."""
    labels = [vessel.label for vessel in CORONARIES]
    alone = np.where(np.isin(mask.labels, labels) & ~np.isin(other, labels), mask.labels, 0).astype(np.uint8)
    scores = scoring.score(volume, CalciumMask(labels=alone, grid=mask.grid), definition)
    return scores.regions["CAC"].agatston
