"""What kind of case a scan is, measured where nobody has written it down: the subgroups of the report."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from model import risk, scoring
from model.definition import definition_for
from model.labels import ORGAN_OF, Anatomy, Organ, Territory
from model.lesions import CalciumMask
from model.quality import METAL_HU, METAL_MM3
from model.volume import Vector, VolumeGrid
from train.evaluation.compare import LabelledScan, noise_band
from train.imaging.ranges import Scanner

_HEART: Final = tuple(label for label, organ in ORGAN_OF.items() if organ is Organ.HEART)
_BLOOD: Final = (Anatomy.ASCENDING_AORTA, Anatomy.DESCENDING_AORTA)
_WALL_MM: Final = 2.5
_NEAR_MM: Final = 12.0
_PIXELS: Final = 200
_OWN: Final = ("sex", "body", "motion")


def heart_centre(anatomy: NDArray[np.uint8], grid: VolumeGrid) -> Vector | None:
    """Centroid of chambers, walls and epicardial fat in LPS mm; None without a heart."""
    inside = np.isin(anatomy, _HEART)
    total = int(inside.sum())
    if not total:
        return None
    middle = [float(inside.sum(axis=axes) @ np.arange(inside.shape[axis]) / total) for axis, axes in enumerate(_OTHERS)]
    x, y, z = grid.to_lps(np.array(middle)).tolist()
    return (x, y, z)


_OTHERS: Final = ((1, 2), (0, 2), (0, 1))


def groups_of(
    scan: LabelledScan,
    truth: CalciumMask,
    anatomy: NDArray[np.uint8] | None,
    facts: Any,  # noqa: ANN401  # what a generator may say of a case; only named attributes are looked for
) -> dict[str, str]:
    """Names of subgroups by kind.

    Parameters
    ----------
    anatomy
        :class:`model.labels.Anatomy` on the scan's grid, if known: noise is then measured in the aorta, and confusers
        count where they lie near the heart.
    facts
        Anything with some of the attributes ``sex``, ``body`` and ``motion``, or None.

    """
    volume = scan.volume
    cac = scoring.score(volume, truth, definition_for(kvp=volume.kvp)).regions["CAC"].agatston
    metal = np.count_nonzero(volume.hu >= METAL_HU) * volume.grid.voxel_volume_mm3
    groups = {
        "calcium": risk.category(cac),
        "slice spacing": f"{volume.grid.slice_spacing_mm:.3g} mm",
        "metal in the scan": "yes" if metal > METAL_MM3 else "no",
    }
    if anatomy is not None:
        noise = _noise(scan, anatomy)
        groups |= {} if noise is None else {"noise": noise_band(noise)}
    groups["confusers near the heart"] = "yes" if _confusers(scan, anatomy) else "no"
    known = {name: getattr(facts, name, None) for name in _OWN}
    return groups | {name: str(value) for name, value in known.items() if value is not None}


def scanner_groups(scanner: Scanner) -> dict[str, str]:
    """What a phantom's scanner did, by kind."""
    return {
        "heart moves within a slice": "yes" if scanner.doubled_weight > 0 else "no",
        "kernel": "enhances edges" if scanner.edge_gain > 0 else "does not",
    }


def _noise(scan: LabelledScan, anatomy: NDArray[np.uint8]) -> float | None:
    """Median over slices of the standard deviation within the aorta, its wall and calcium left out; HU."""
    margin = max(1, round(_WALL_MM / scan.volume.grid.spacing_mm[1]))
    found = []
    for labels, seen, hu in zip(anatomy, scan.labels, scan.volume.hu, strict=True):
        blood = np.isin(labels, _BLOOD) & (seen == 0)
        if blood.sum() < _PIXELS:
            continue
        values = hu[ndimage.binary_erosion(blood, iterations=margin)]
        if values.size >= _PIXELS:
            found.append(float(values.std()))
    return float(np.median(found)) if found else None


def _confusers(scan: LabelledScan, anatomy: NDArray[np.uint8] | None) -> bool:
    """Whether anything at the threshold that must not be scored lies near the heart (anywhere, if that is unknown)."""
    dense = (scan.labels == Territory.CONFUSER) & (scan.volume.hu >= definition_for(kvp=scan.volume.kvp).threshold_hu)
    if anatomy is None or not dense.any():
        return bool(dense.any())
    heart = np.isin(anatomy, _HEART)
    if not heart.any():
        return bool(dense.any())
    box = []
    for axis, axes in enumerate(_OTHERS):
        used = np.flatnonzero(heart.any(axis=axes))
        reach = round(_NEAR_MM / scan.volume.grid.spacing_mm[axis])
        box.append(slice(max(0, int(used[0]) - reach), int(used[-1]) + reach + 1))
    return bool(dense[tuple(box)].any())
