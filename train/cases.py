"""Phantom cases: a scan, its calcium by vessel, its anatomy. Deterministic per seed and recipe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import max_pool2d

from model.lesions import Vessel
from train.anatomy.confusers import mitral_ring
from train.anatomy.labels import CONFUSER, Anatomy
from train.anatomy.layers import Region
from train.anatomy.ranges import Cohort
from train.anatomy.scene import Patient, draw_patient
from train.anatomy.streams import Stream, stream
from train.imaging.artefacts import cupping, doubled, draw_fill, outside_circle, rings, shading, streaks
from train.imaging.deposit import deposit, deposit_moving, labels, nearest, strengths
from train.imaging.noise import level, noise
from train.imaging.ranges import Scanner
from train.imaging.raster import PixelGrid, Raster
from train.imaging.scan import draw_scanner, overlaps, profile, resolve, slices
from train.recipes import Recipe, full_resolution, hold_out_resolution, patient_resolution, training_resolution

__all__ = [
    "Anatomy",
    "Case",
    "Cohort",
    "Recipe",
    "draw_grid",
    "full_resolution",
    "hold_out_resolution",
    "make_case",
    "patient_resolution",
    "training_resolution",
]

_VISIBLE_HU = 25.0
_VALVE_TOP_MM = 12.0
_SUB_SLICE_MM = 1.4  # thin slices need no finer steps than this
_HEART_EDGE_MM = 4.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Case:
    """One phantom scan in canonical orientation: slices upwards, rows to posterior, columns to the patient's left.

    Attributes
    ----------
    hu
        int16 (slices, rows, columns).
    spacing_mm
        Between (slices, rows, columns).
    calcium
        uint8: :attr:`model.lesions.Vessel.label` (1..6) where calcium of that vessel shows (adds 25 HU or more; not
        thresholded at 130 HU), 7 where other calcium or metal does, else 0.
    territory
        uint8: what calcium in this place would be: a vessel's label, 7 (mitral annulus and the like), or 0.
    anatomy
        uint8: :class:`train.anatomy.labels.Anatomy`.
    heart_centre_mm
        (z, y, x) centroid of the four chambers, as index times spacing.

    """

    seed: int
    hu: NDArray[np.int16]
    spacing_mm: tuple[float, float, float]
    calcium: NDArray[np.uint8]
    territory: NDArray[np.uint8]
    anatomy: NDArray[np.uint8]
    heart_centre_mm: tuple[float, float, float]


def draw_grid(seed: int, recipe: Recipe) -> PixelGrid:
    """The pixel grid of a case."""
    rng = stream(seed, Stream.GEOMETRY)
    view = rng.uniform(*recipe.field_of_view_mm)
    if recipe.matrix is None:
        pixel = recipe.pixel_mm or 1.0
        matrix = max(32, round(view / pixel))
    else:
        matrix = recipe.matrix
        pixel = recipe.pixel_mm if recipe.pixel_mm is not None else round(view / matrix, 4)
    step = recipe.slice_mm[rng.integers(len(recipe.slice_mm))]
    count = max(int(rng.integers(recipe.slices[0], recipe.slices[1] + 1)), int(np.ceil(recipe.shortest_mm / step)))
    per_slice = min(recipe.per_slice, max(1, round(step / _SUB_SLICE_MM)))
    return PixelGrid(shape=(count, matrix, matrix), spacing_mm=(step, pixel, pixel), per_slice=per_slice)


@torch.no_grad()
def make_case(seed: int, recipe: Recipe, device: str = "cpu") -> Case:
    """Make one case. The same seed, recipe and kind of device give the same voxels."""
    grid = draw_grid(seed, recipe)
    frame = grid.frame(recipe.lattice_mm, device)
    patient = draw_patient(seed, frame, recipe.anatomy)
    raster = Raster(frame, grid)
    rng = stream(seed, Stream.IMAGING)
    scanner = draw_scanner(rng, recipe.imaging)
    plain = _tissue(patient, raster, grid, device)
    added, keys = deposit_moving(patient.scene.calcium, grid.fine(), patient.scene.calcium.hu, device)
    in_plane = grid.spacing_mm[1:]
    weights = profile(scanner, grid.spacing_mm[0], grid.fine().spacing_mm[0])
    shown = resolve(slices(added, grid.per_slice, weights), in_plane, scanner, averaged=recipe.averaged)
    tissue = slices(plain, grid.per_slice, weights)
    if scanner.doubled_weight > 0:
        near = raster.to_pixels(raster.per_slice(_near_heart(patient)))
        tissue = doubled(rng, tissue, near, in_plane, (scanner.doubled_weight, scanner.doubled_mm))
    image = resolve(tissue, in_plane, scanner, averaged=recipe.averaged) + shown
    calcium = _visible(keys, shown, grid)
    anatomy = raster.label(patient.scene.regions)
    image = _disturbed(rng, image, scanner, grid, averaged=recipe.averaged)
    centre = patient.body.heart.centre_mm + np.asarray(grid.half_extent_mm())
    return Case(
        seed=seed,
        hu=image.round().clamp(-3024, 3071).to(torch.int16).cpu().numpy(),
        spacing_mm=grid.spacing_mm,
        calcium=calcium.cpu().numpy(),
        territory=_territory(patient, raster, grid, calcium, recipe.territory_mm).cpu().numpy(),
        anatomy=anatomy.cpu().numpy(),
        heart_centre_mm=(float(centre[0]), float(centre[1]), float(centre[2])),
    )


def _tissue(patient: Patient, raster: Raster, grid: PixelGrid, device: str) -> Tensor:
    """HU on sub-slices without calcium: layers, then vessels too thin for the lattice."""
    canvas = raster.paint(patient.scene.layers)
    vessels = patient.scene.tissue
    full = 1000.0
    cover = strengths(deposit(vessels, grid.fine(), np.full(len(vessels.hu), full), device)) / full
    blood = float(vessels.hu.mean()) if len(vessels.hu) else 0.0
    return canvas.lerp_(torch.full_like(canvas, blood), cover)


def _visible(keys: Tensor, shown: Tensor, grid: PixelGrid) -> Tensor:
    """Labels where calcium shows: the strongest deposit in the slice within the point spread's reach."""
    top = keys.reshape(grid.shape[0], grid.per_slice, *grid.shape[1:]).amax(dim=1)
    above = torch.cat([keys[grid.per_slice :: grid.per_slice], keys[-1:]])
    below = torch.cat([keys[:1], keys[grid.per_slice - 1 : -1 : grid.per_slice]])
    top = torch.where(top > 7, top, torch.maximum(above, below))
    visible = shown >= _VISIBLE_HU
    found = torch.zeros_like(top, dtype=torch.uint8)
    used = torch.nonzero(visible.flatten(1).any(dim=1)).flatten()
    if len(used) == 0:
        return found
    reach = max(1, round(1.0 / grid.spacing_mm[1]))
    near = max_pool2d(top[used].float(), 2 * reach + 1, stride=1, padding=reach).int()
    found[used] = labels(torch.where(top[used] > 7, top[used], near)) * visible[used]
    return found


def _near_heart(patient: Patient) -> Tensor:
    """1 in the heart and its fat, 0 some millimetres outside, on the lattice."""
    return (0.5 - (patient.body.heart.pericardium - _HEART_EDGE_MM / 2) / _HEART_EDGE_MM).clamp(0, 1)


def _disturbed(rng: np.random.Generator, image: Tensor, scanner: Scanner, grid: PixelGrid, *, averaged: bool) -> Tensor:
    """With artefacts, HU errors and noise, and nothing where nothing was reconstructed."""
    device, in_plane, shape = str(image.device), grid.spacing_mm[1:], grid.shape
    image = image + streaks(rng, image, in_plane, scanner.streak_gain)
    plane = cupping(shape[1:], in_plane, scanner.cupping_hu, device)
    plane = plane + shading(rng, shape[1:], scanner.shading_hu, device) + scanner.hu_shift
    if scanner.ring_hu > 0:
        plane = plane + rings(rng, shape[1:], in_plane, scanner.ring_hu, device)
    beat = np.interp(np.arange(shape[0]), np.linspace(0, shape[0] - 1, 4), rng.uniform(0.85, 1.2, 4))
    sd = torch.tensor(beat * scanner.noise_sd_hu, dtype=torch.float32, device=device)[:, None, None]
    spread = level(image, in_plane, scanner.noise_density, scanner.noise_slope)
    image = image + plane + _grain(rng, scanner, grid, device, averaged=averaged).mul_(spread).mul_(sd)
    if scanner.circle:
        image.masked_fill_(outside_circle(shape[1:], in_plane, device), draw_fill(rng))
    return image


def _grain(rng: np.random.Generator, scanner: Scanner, grid: PixelGrid, device: str, *, averaged: bool) -> Tensor:
    """Noise of unit standard deviation; slices that overlap share some."""
    count, rows, columns = grid.shape
    shared = overlaps(scanner, grid.spacing_mm[0])
    grain = noise(rng, (count + shared, rows, columns), grid.spacing_mm[1:], scanner.grain, device, averaged=averaged)
    return (grain[1:] + grain[:-1]) * np.sqrt(0.5) if shared else grain


def _territory(patient: Patient, raster: Raster, grid: PixelGrid, calcium: Tensor, reach_mm: float) -> Tensor:
    """What calcium would be: valve, aortic walls, mitral ring, near a coronary that coronary; calcium as it is."""
    body, device = patient.body, str(calcium.device)
    aorta, height = body.heart.aorta, body.heart.aortic_height
    valve = torch.stack([aorta - 1, height - _VALVE_TOP_MM, -5 - height]).amax(dim=0)
    ascending = torch.maximum(aorta.abs() - 3, _VALVE_TOP_MM - height)
    descending = body.mediastinum.descending_lumen.abs() - 2.5
    regions = [
        Region(distance=mitral_ring(body.heart), label=CONFUSER),
        Region(distance=valve, label=Vessel.AV.label),
        Region(distance=ascending, label=Vessel.TA.label),
        Region(distance=descending, label=Vessel.TA.label),
    ]
    territory = raster.label(regions)
    points = np.concatenate([course.points for course in body.courses])
    label = np.concatenate([np.full(len(course.points), course.vessel.label) for course in body.courses])
    coronary = labels(nearest(points, label, reach_mm, grid, device))
    territory = torch.where(coronary > 0, coronary, territory)
    return torch.where(calcium > 0, calcium, territory)
