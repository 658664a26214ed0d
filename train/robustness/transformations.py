"""What may happen to a scan without happening to the patient. Pure: a sample in, a sample out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage

from model.volume import CtVolume, VolumeGrid
from train.imaging.noise import noise
from train.imaging.ranges import Grain
from train.robustness.sample import Sample

_AIR_HU: Final = -1024
_CHAMBERS: Final = (1, 2, 3, 4)
_HEART: Final = (*_CHAMBERS, 12)
_PATCH_MM: Final = 19.0
_MOST_PATCHES: Final = 200
_HIGHEST_PER_MM: Final = 0.9
_PEAK_OF_MEAN: Final = float(np.sqrt(2 * np.pi) / 4)  # noise of power f exp(-f²/2p²) has the mean frequency 4p/√(2π)

Labels = NDArray[np.uint8]


def turned(sample: Sample, axes: Sequence[int]) -> Sample:
    """The same voxels at the same places in the patient, listed the other way along these axes (0 is slices)."""
    grid = sample.volume.grid
    origin, directions = np.asarray(grid.origin_lps_mm, dtype=np.float64), grid.axes().copy()
    for axis in axes:
        origin = origin + directions[axis] * grid.spacing_mm[axis] * (grid.shape[axis] - 1)
        directions[axis] = -directions[axis]
    x, y, z = origin.tolist()
    along = [(float(a), float(b), float(c)) for a, b, c in directions.tolist()]
    other = replace(grid, origin_lps_mm=(x, y, z), directions=(along[0], along[1], along[2]))
    return _rearranged(sample, other, lambda values, _: np.ascontiguousarray(np.flip(values, tuple(axes))))


def brightened(sample: Sample, by_hu: float) -> Sample:
    """Every voxel so many HU higher: a scanner's calibration a little off."""
    return sample.with_hu(sample.volume.hu.astype(np.float32) + by_hu)


def off_centre(sample: Sample, share: float) -> Sample:
    """The field moved by a share of its width, to the side where the heart stays furthest from the border.

    What comes in is air, what goes out is lost; the patient stays where it was.
    """
    rows, columns = sample.volume.grid.shape[1:]
    top, bottom, left, right = _heart_box(sample)
    down, across = round(share * rows), round(share * columns)
    moves = {
        (down, 0): top,
        (-down, 0): rows - bottom,
        (0, across): left,
        (0, -across): columns - right,
    }  # rows and columns that the field moves by, and how much the heart has there to lose
    row, column = max(moves, key=lambda move: moves[move] - max(abs(move[0]), abs(move[1])))
    return _field(sample, (row, column), (rows, columns))


def cropped(sample: Sample, margin_mm: float) -> Sample:
    """Only the chambers' box in the slice, and a margin around it."""
    grid = sample.volume.grid
    top, bottom, left, right = _heart_box(sample)
    down, across = (round(margin_mm / step) for step in grid.spacing_mm[1:])
    first = (max(0, top - down), max(0, left - across))
    last = (min(grid.shape[1], bottom + down), min(grid.shape[2], right + across))
    return _field(sample, first, (last[0] - first[0], last[1] - first[1]))


def repixelled(sample: Sample, pixel_mm: float) -> Sample:
    """The same field in pixels of about this size: bicubic, with antialiasing where they grow; labels by nearest."""
    grid = sample.volume.grid
    size = (round(grid.shape[1] * grid.spacing_mm[1] / pixel_mm), round(grid.shape[2] * grid.spacing_mm[2] / pixel_mm))
    scale = (grid.shape[1] / size[0], grid.shape[2] / size[1])
    spacing = (grid.spacing_mm[0], grid.spacing_mm[1] * scale[0], grid.spacing_mm[2] * scale[1])
    x, y, z = grid.to_lps(np.array([0.0, scale[0] / 2 - 0.5, scale[1] / 2 - 0.5])).tolist()
    other = replace(grid, shape=(grid.shape[0], *size), spacing_mm=spacing, origin_lps_mm=(x, y, z))
    rows, columns = (((np.arange(n) + 0.5) * by).astype(np.intp) for n, by in zip(size, scale, strict=True))

    def bring(values: NDArray[Any], _: float) -> NDArray[Any]:
        if values.dtype == np.uint8:
            return np.ascontiguousarray(values[:, rows][:, :, columns])
        image = torch.from_numpy(np.asarray(values, dtype=np.float32))[:, None]
        finer = F.interpolate(image, size=size, mode="bicubic", align_corners=False, antialias=max(scale) > 1)
        return np.asarray(finer[:, 0].round().clamp(-3024, 3071).numpy().astype(np.int16))

    return _rearranged(sample, other, bring)


def noisier(sample: Sample, gain: float, seed: int) -> Sample:
    """With noise added, so that its standard deviation is ``gain`` times as high.

    Level and mean frequency of what is added are those of the scan's own noise in the heart's chambers.
    """
    deviation, frequency = measured_noise(sample)
    if deviation == 0:
        return sample
    grid = sample.volume.grid
    grain = Grain(peak_per_mm=frequency * _PEAK_OF_MEAN)
    extra = noise(np.random.default_rng([seed, 30]), grid.shape, grid.spacing_mm[1:], grain).numpy()
    extra *= deviation * np.sqrt(gain**2 - 1) / extra.std()
    return sample.with_hu(sample.volume.hu + extra)


def measured_noise(sample: Sample) -> tuple[float, float]:
    """Standard deviation in HU and mean frequency per mm of the noise in the chambers; zeros where none can be seen."""
    grid = sample.volume.grid
    size = round(_PATCH_MM / grid.spacing_mm[1])
    chambers = np.isin(sample.anatomy, _CHAMBERS) & (sample.calcium == 0)
    found = [
        sample.volume.hu[at, row : row + size, column : column + size].astype(np.float64)
        for at in range(grid.shape[0])
        for row in range(0, grid.shape[1] - size + 1, size // 2)
        for column in range(0, grid.shape[2] - size + 1, size // 2)
        if chambers[at, row : row + size : 4, column : column + size : 4].all()
    ]
    if not found:
        return 0.0, 0.0
    patches = np.stack(found[:: max(1, len(found) // _MOST_PATCHES)])
    y, x = np.mgrid[:size, :size] / size - 0.5
    plane = np.stack([np.ones(size * size), y.ravel(), x.ravel()])
    flat = patches.reshape(len(patches), -1)
    rest = flat - (flat @ np.linalg.pinv(plane)) @ plane
    power = np.abs(np.fft.fft2(rest.reshape(patches.shape))) ** 2
    frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(size, step) for step in grid.spacing_mm[1:]], indexing="ij"))
    mean = power.mean(axis=0) * (frequency < _HIGHEST_PER_MM)
    return float(np.median(rest.std(axis=1))), float((mean * frequency).sum() / mean.sum())


def mapped_back(labels: Labels, grid: VolumeGrid, onto: VolumeGrid) -> Labels | None:
    """Labels on one grid brought to another whose voxels coincide with its own; None if they do not.

    Voxels outside the first grid are 0.
    """
    signs = np.einsum("ij,ij->i", grid.axes(), onto.axes())
    first = onto.to_index(grid.to_lps(np.zeros(3)))
    same = np.allclose(grid.spacing_mm, onto.spacing_mm, atol=1e-6) and np.allclose(np.abs(signs), 1, atol=1e-6)
    if not same or np.abs(first - np.rint(first)).max() > 1e-3:
        return None
    straight = np.flip(labels, tuple(np.flatnonzero(signs < 0).tolist()))
    span = np.array(labels.shape)
    low = np.rint(first).astype(int) - np.where(signs < 0, span - 1, 0)
    inside = [(max(0, a), min(n, a + s)) for a, n, s in zip(low.tolist(), onto.shape, span.tolist(), strict=True)]
    brought = np.zeros(onto.shape, dtype=np.uint8)
    if all(a < b for a, b in inside):
        target = tuple(slice(a, b) for a, b in inside)
        source = tuple(slice(a - start, b - start) for (a, b), start in zip(inside, low.tolist(), strict=True))
        brought[target] = straight[source]
    return brought


def _rearranged(sample: Sample, grid: VolumeGrid, bring: Callable[[NDArray[Any], float], NDArray[Any]]) -> Sample:
    volume = sample.volume
    moved = CtVolume(
        hu=bring(volume.hu, _AIR_HU),
        grid=grid,
        kvp=volume.kvp,
        slice_thickness_mm=volume.slice_thickness_mm,
        mass_factor=volume.mass_factor,
    )
    return Sample(volume=moved, calcium=bring(sample.calcium, 0), anatomy=bring(sample.anatomy, 0))


def _field(sample: Sample, first: tuple[int, int], size: tuple[int, int]) -> Sample:
    """The field that begins at a row and column, also outside the present one, where there is air."""
    grid = sample.volume.grid
    x, y, z = grid.to_lps(np.array([0, *first])).tolist()
    other = replace(grid, shape=(grid.shape[0], *size), origin_lps_mm=(x, y, z))
    rows, columns = (
        (max(0, a), min(n, a + s)) for a, s, n in zip(first, size, grid.shape[1:], strict=True)
    )  # fmt: skip

    def bring(values: NDArray[Any], outside: float) -> NDArray[Any]:
        taken = np.full((values.shape[0], *size), outside, dtype=values.dtype)
        to = tuple(slice(a - at, b - at) for (a, b), at in zip((rows, columns), first, strict=True))
        taken[:, to[0], to[1]] = values[:, slice(*rows), slice(*columns)]
        return taken

    return _rearranged(sample, other, bring)


def _heart_box(sample: Sample) -> tuple[int, int, int, int]:
    """First and last row, first and last column (exclusive) of the heart; all of the field where there is none."""
    heart = np.isin(sample.anatomy, _HEART)
    boxes = ndimage.find_objects(heart.any(axis=0).astype(np.uint8))
    if not boxes:
        return 0, heart.shape[1], 0, heart.shape[2]
    rows, columns = boxes[0]
    return rows.start, rows.stop, columns.start, columns.stop
