"""What is measured on each scan: noise power, edges, and components at or above 130 HU."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from train.realism.sources import Scan
from train.realism.tissues import smoothed

Array = NDArray[np.float64]

THRESHOLD_HU = 130.0
FREQUENCIES_PER_MM = np.arange(0.05, 0.80, 0.05)
_PATCH_MM = 22.0
_PATCHES = 60
_SEARCH_MM = (24.0, 60.0, 60.0)
_EVEN_HU = 9.0
_EDGE_MM = 14.0
_NOTHING_HU = -1015.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Noise:
    """Standard deviation (HU), and power relative to its largest value at :data:`FREQUENCIES_PER_MM` (NaN beyond)."""

    sd_hu: float
    power: Array
    patches: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """3D components at or above 130 HU, 26-connected; the large ones are bone and metal."""

    voxels: int
    number: int
    median_mm3: float
    small: int  # below 100 mm³
    heart: int | None  # in the heart, where somebody has drawn it


def noise(scan: Scan) -> Noise | None:
    """Noise in even patches of soft tissue about the heart's middle, a plane taken off each; None without any.

    Choosing even patches, and the plane, take up to half of the power below 0.1 /mm away, from every scan alike.
    """
    step = scan.spacing_mm[1]
    side = max(8, round(_PATCH_MM / step))
    patches = [patch - _plane(patch) for patch in _even_patches(scan, side)]
    if not patches:
        return None
    stack = np.stack(patches)
    window = np.hanning(side)[:, None] * np.hanning(side)[None]
    power = (np.abs(np.fft.fft2(stack * window)) ** 2).mean(axis=0)
    line = np.fft.fftfreq(side, step)
    frequency = np.hypot(line[:, None], line[None])
    bins = [power[np.abs(frequency - place) < 0.025] for place in FREQUENCIES_PER_MM]
    radial = np.array([values.mean() if len(values) else np.nan for values in bins])
    radial[0.5 / step < FREQUENCIES_PER_MM] = np.nan
    return Noise(sd_hu=float(stack.std()), power=radial / np.nanmax(radial), patches=len(patches))


def edge_mm(scan: Scan) -> Array:
    """10-90 % rise (mm) at borders of lung and soft tissue, along rows; most are oblique, so low quantiles count."""
    step = scan.spacing_mm[2]
    reach = round(_EDGE_MM / 2 / step)
    lines = scan.about_heart((45.0, 70.0, 95.0)).hu
    lines = lines.reshape(-1, lines.shape[-1])
    rises = [np.empty(0)]
    for sign in (1, -1):
        profile = lines[:, ::sign]
        crossing = (profile[:, :-1] < -400) & (profile[:, 1:] >= -400)
        crossing[:, : reach + 1] = crossing[:, -reach - 1 :] = False
        where = np.argwhere(crossing)[:: max(1, int(crossing.sum()) // 4000)]
        if len(where) == 0:
            continue
        cuts = np.stack([profile[row, column - reach : column + reach + 2] for row, column in where])
        rises.append(_rises(cuts, step))
    return np.concatenate(rises)


def components(scan: Scan) -> Components:
    """Count components of the scan as it is."""
    mask = scan.hu >= THRESHOLD_HU
    labels, number = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel())[1:] * float(np.prod(scan.spacing_mm))
    heart = None
    if scan.heart is not None:
        heart = len(np.unique(labels[scan.heart & mask]))
    return Components(
        voxels=int(mask.sum()),
        number=number,
        median_mm3=float(np.median(sizes)) if number else 0.0,
        small=int((sizes < 100).sum()),
        heart=heart,
    )


def _even_patches(scan: Scan, side: int) -> list[Array]:
    smooth = smoothed(scan)
    z, y, x = (round(middle) for middle in scan.centre)
    reach = [round(mm / step) for mm, step in zip(_SEARCH_MM, scan.spacing_mm, strict=True)]
    found: list[tuple[float, Array]] = []
    for level in range(max(0, z - reach[0]), min(scan.hu.shape[0], z + reach[0] + 1)):
        for top in range(max(0, y - reach[1]), min(scan.hu.shape[1], y + reach[1]) - side, side // 2):
            for left in range(max(0, x - reach[2]), min(scan.hu.shape[2], x + reach[2]) - side, side // 2):
                box = (level, slice(top, top + side), slice(left, left + side))
                even = smooth[box]
                if even.min() > -10 and even.max() < 140:
                    found.append((float((even - _plane(even)).std()), scan.hu[box].astype(np.float64)))
    found.sort(key=lambda one: one[0])
    limit = 2.0 * found[len(found) // 10][0] + 1.0 if found else 0.0
    return [patch for unevenness, patch in found if unevenness < limit][:_PATCHES]


def _plane(patch: NDArray[np.floating]) -> Array:
    """The plane that fits a square patch best."""
    line = np.arange(len(patch)) - (len(patch) - 1) / 2
    norm = float((line**2).sum() * len(patch))
    down, across = (patch * line[:, None]).sum() / norm, (patch * line[None]).sum() / norm
    return np.asarray(patch.mean() + down * line[:, None] + across * line[None])


def _rises(cuts: NDArray[np.float32], step: float) -> Array:
    """10-90 % distances of profiles (n, points) that rise from lung to soft tissue; others are left out."""
    ends, reach = 3, cuts.shape[1] // 2
    low, high = np.median(cuts[:, :ends], axis=1), np.median(cuts[:, -ends:], axis=1)
    air = (cuts[:, :reach].min(axis=1) > _NOTHING_HU) & (low < -700)  # not where nothing was reconstructed
    kept = cuts[air & (high > -20) & (high < 120)].astype(np.float64)
    low, high = np.median(kept[:, :ends], axis=1)[:, None], np.median(kept[:, -ends:], axis=1)[:, None]
    level = (kept - low) / (high - low)
    return np.array([_crossing(line, 0.9) - _crossing(line, 0.1) for line in level]) * step


def _crossing(line: Array, value: float) -> float:
    """Place where a rising line first passes a value after it last lay below one tenth of the way, interpolated."""
    after = int(np.argmax(line >= value))
    if after == 0:
        return 0.0
    before, here = line[after - 1], line[after]
    return after - 1 + float((value - before) / (here - before))
