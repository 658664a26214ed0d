"""Whether the heart jumps between neighbouring slices, as it does where heart beats or breaths differ."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage

from model.labels import Anatomy
from model.preprocess import crop
from model.surroundings import Surroundings

_PIXELS: Final = 2  # joined along rows and columns; the shift of the whole heart needs no finer
_WINDOW_HU: Final = (-300.0, 100.0)  # lung and fat against soft tissue; neither bone nor calcium
_MARGIN: Final = 4  # joined pixels
_LEAST: Final = 700  # joined pixels of heart a slice needs; at both ends its outline changes quickly
_AROUND: Final = 5  # slices whose shifts are the trend; an oblique heart shifts evenly from slice to slice
_HEART: Final = np.isin(
    np.arange(len(Anatomy)),
    (
        Anatomy.LEFT_VENTRICLE,
        Anatomy.RIGHT_VENTRICLE,
        Anatomy.LEFT_ATRIUM,
        Anatomy.RIGHT_ATRIUM,
        Anatomy.EPICARDIAL,
    ),
)


def largest_step_mm(around: Surroundings) -> float:
    """Largest shift of the heart against the chest from one slice to the next, beyond the trend of its neighbours.

    0 where too few neighbouring slices hold enough of the heart.
    """
    heart = _HEART[around.anatomy[:, ::_PIXELS, ::_PIXELS]]
    used = np.flatnonzero(np.count_nonzero(heart, axis=(1, 2)) >= _LEAST)
    if used.size < _AROUND + 1:
        return 0.0
    part = slice(used[0], used[-1] + 1)
    seen = crop(around.scan.hu[part], around.corner).clamp(*_WINDOW_HU)
    images = F.avg_pool2d(seen, _PIXELS).cpu().numpy()
    near = ndimage.binary_dilation(heart[part], structure=np.ones((1, 2 * _MARGIN + 1, 2 * _MARGIN + 1), np.bool_))
    shifts = shifts_between(images, near) - shifts_between(images, ~near)
    trend = ndimage.median_filter(shifts, size=(_AROUND, 1), mode="nearest")
    return float(np.linalg.norm(shifts - trend, axis=1).max() * _PIXELS)


def shifts_between(images: NDArray[np.float32], where: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Shift (slices - 1, 2) in pixels that turns each image (slices, rows, columns) into the next, by least squares.

    Only pixels of ``where`` in both are looked at (Lucas and Kanade 1981).
    """
    smooth = ndimage.gaussian_filter(images, (0, 1, 1))
    middle = (smooth[1:] + smooth[:-1]) / 2
    change = smooth[1:] - smooth[:-1]
    down, across = np.gradient(middle, axis=(1, 2))
    both = where[1:] & where[:-1]
    terms = [
        (both * one * other).sum(axis=(1, 2), dtype=np.float64)
        for one, other in ((down, down), (down, across), (across, across), (down, change), (across, change))
    ]
    yy, yx, xx, yt, xt = terms
    # a little on the diagonal keeps images without edges from any shift
    yy, xx = yy + 1e3, xx + 1e3
    whole = yy * xx - yx**2
    return np.stack([(-yt * xx + xt * yx) / whole, (-xt * yy + yt * yx) / whole], axis=1)
