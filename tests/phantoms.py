"""Analytic CT volumes and masks for tests: noise-free unless said, worked out by hand where a test needs a number.

``from tests.phantoms import cylinder``; axes are (slice, row, column), lengths in mm, values in HU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy import ndimage

from model.lesions import CalciumMask, Vessel
from model.volume import CtVolume, Vector, VolumeGrid

Region = tuple[int | slice, ...] | NDArray[np.bool_]

MEDIUM_KERNEL_SIGMA_MM = 0.59  # in-plane blur of calcium-score kernels: MTF50 of 0.31-0.33 /mm


def grid(
    shape: tuple[int, int, int] = (4, 16, 16),
    spacing_mm: Vector = (3.0, 1.0, 1.0),
    origin_lps_mm: Vector = (0.0, 0.0, 0.0),
) -> VolumeGrid:
    """An axial grid: slices go up, rows go back, columns go to the patient's left."""
    return VolumeGrid(shape=shape, spacing_mm=spacing_mm, origin_lps_mm=origin_lps_mm)


def uniform(
    shape: tuple[int, int, int] = (4, 16, 16),
    *,
    spacing_mm: Vector = (3.0, 1.0, 1.0),
    origin_lps_mm: Vector = (0.0, 0.0, 0.0),
    hu: float = 40,
    kvp: float | None = 120.0,
    mass_factor: float | None = None,
    dtype: DTypeLike = np.int16,
) -> CtVolume:
    """A scan of one value everywhere; blood by default."""
    values: NDArray[Any] = np.full(shape, hu, dtype=dtype)
    return CtVolume(
        hu=values,
        grid=grid(shape, spacing_mm, origin_lps_mm),
        kvp=kvp,
        mass_factor=mass_factor,
    )


def painted(volume: CtVolume, *paints: tuple[Region, float]) -> CtVolume:
    """A copy with some voxels set: ``painted(scan, ((1, 2, slice(3, 5)), 450))``."""
    hu = volume.hu.copy()
    for where, value in paints:
        hu[where] = value
    return replace(volume, hu=hu)


def mask(volume: CtVolume, vessels: Mapping[Vessel, Region], probability: float | None = None) -> CalciumMask:
    """A mask that gives each vessel its region, whatever the HU there; one probability for all if given."""
    labels = np.zeros(volume.grid.shape, np.uint8)
    for vessel, where in vessels.items():
        labels[where] = vessel.label
    sure = None
    if probability is not None:
        sure = np.full(np.count_nonzero(labels), probability, np.float32)
    return CalciumMask(labels=labels, grid=volume.grid, probability=sure)


def bright(volume: CtVolume, vessel: Vessel = Vessel.LAD, floor_hu: float = 130) -> CalciumMask:
    """A mask that calls every voxel of at least ``floor_hu`` the same vessel."""
    return mask(volume, {vessel: volume.hu >= floor_hu})


def cylinder(
    hu: float = 450,
    *,
    diameter_mm: float = 5.0,
    length_mm: float = 6.0,
    spacing_mm: Vector = (3.0, 0.5, 0.5),
    shape: tuple[int, int, int] = (6, 32, 32),
    background_hu: float = 40,
    kvp: float | None = 120.0,
    mass_factor: float | None = None,
) -> CtVolume:
    """A cylinder along the slice normal in the middle of the volume, without partial volume.

    A voxel is wholly in or out, by its centre; so areas are pixel counts. The axis runs between the two middle pixels
    of an even shape, and the length between the two middle slices.
    """
    volume = uniform(shape, spacing_mm=spacing_mm, hu=background_hu, kvp=kvp, mass_factor=mass_factor)
    z, y, x = (
        (np.arange(n) - (n - 1) / 2) * step for n, step in zip(volume.grid.shape, volume.grid.spacing_mm, strict=True)
    )
    disc = y[:, None] ** 2 + x**2 <= (diameter_mm / 2) ** 2
    return painted(volume, ((np.abs(z) < length_mm / 2)[:, None, None] & disc, hu))


def blurred_insert(
    density_mg_ml: float,
    size_mm: float,
    *,
    mass_factor: float = 0.8,
    spacing_mm: Vector = (3.0, 0.5, 0.5),
    background_hu: float = 40,
    shift_mm: float = 0.0,
) -> CtVolume:
    """A hydroxyapatite cylinder of equal diameter and length as a scanner sees it, without noise.

    Along the slice normal, which is its axis, every slice takes its exact share (a box of the slice spacing). In the
    slice the disc is painted ten times finer, blurred by a Gaussian of :data:`MEDIUM_KERNEL_SIGMA_MM` and averaged over
    the pixel. ``shift_mm`` moves it along the axis.
    """
    fine = 10
    shape = tuple(2 * int(np.ceil((size_mm + 6) / step / 2)) for step in spacing_mm)
    y, x = (
        (np.arange(n * fine) - (n * fine - 1) / 2) * step / fine
        for n, step in zip(shape[1:], spacing_mm[1:], strict=True)
    )
    disc = (y[:, None] ** 2 + x**2 <= (size_mm / 2) ** 2).astype(np.float64)
    disc = ndimage.gaussian_filter(disc, [MEDIUM_KERNEL_SIGMA_MM * fine / step for step in spacing_mm[1:]])
    disc = disc.reshape(shape[1], fine, shape[2], fine).mean(axis=(1, 3))
    edges = (np.arange(shape[0] + 1) - shape[0] / 2) * spacing_mm[0]
    along = np.diff(np.clip(edges, shift_mm - size_mm / 2, shift_mm + size_mm / 2)) / spacing_mm[0]
    hu = background_hu + (density_mg_ml / mass_factor - background_hu) * along[:, None, None] * disc
    place = grid((shape[0], shape[1], shape[2]), spacing_mm)
    return CtVolume(hu=hu.astype(np.float32), grid=place, mass_factor=mass_factor)
