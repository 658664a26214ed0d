"""Tissues found by one simple rule each, the same for real scans and phantoms; only the heart's middle is given."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from train.realism.sources import Scan

Mask = NDArray[np.bool_]

_SMOOTH_MM = 4.0
_HEART_MM = 26.0  # about its middle there is nothing but blood, muscle and some fat
_CHEST_MM = 95.0
_LARGE_BONE_MM3 = 3000.0
_BONE_HU = 150.0


def tissues(scan: Scan) -> dict[str, Mask]:
    """Masks by name: lung, fat, heart (blood and muscle), liver, bone.

    Lung, fat, heart and liver are where a mean over some millimetres lies well inside the tissue's range, so that
    borders do not count; the heart is sought near its middle, the liver to the right of it and below.
    """
    smooth = smoothed(scan)
    z, y, x = scan.offsets_mm()
    near = np.sqrt(z**2 + y**2 + x**2)
    inside = (np.abs(y) < _CHEST_MM) & (np.abs(x) < _CHEST_MM) & np.ones_like(z, dtype=bool)
    steady = _steady(smooth)
    soft = (smooth > -10) & (smooth < 140) & steady
    large = (scan.hu >= _BONE_HU) & _large(smooth >= _BONE_HU, scan, _LARGE_BONE_MM3)
    return {
        "lung": inside & (smooth > -980) & (smooth < -650) & steady,
        "fat": inside & (smooth > -140) & (smooth < -60) & steady,
        "heart": soft & (near < _HEART_MM),
        "liver": soft & (z < -40) & (z > -75) & (x < -25) & (x > -95) & (np.abs(y) < 55),
        "bone": inside & large,
    }


def smoothed(scan: Scan) -> NDArray[np.float32]:
    """HU averaged over some millimetres in plane."""
    sigma = [0.0, *(_SMOOTH_MM / 2 / step for step in scan.spacing_mm[1:])]
    return np.asarray(ndimage.gaussian_filter(scan.hu, sigma))


def _steady(smooth: NDArray[np.float32]) -> Mask:
    """Where the mean hardly changes from voxel to voxel, so that no border is near."""
    return np.asarray(np.hypot(*np.gradient(smooth, axis=(1, 2))) < 12.0)


def _large(mask: Mask, scan: Scan, at_least_mm3: float) -> Mask:
    labels, _ = ndimage.label(mask)
    sizes = np.bincount(labels.ravel()) * float(np.prod(scan.spacing_mm))
    keep = sizes >= at_least_mm3
    keep[0] = False
    return np.asarray(keep[labels])
