"""Phantom cases: a scan, its calcium by vessel, its anatomy. Deterministic per seed and recipe."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import max_pool2d

from model.lesions import Vessel
from train.anatomy.confusers import mitral_ring
from train.anatomy.labels import CONFUSER, Anatomy
from train.anatomy.layers import Region
from train.anatomy.ranges import AnatomyRanges, Cohort
from train.anatomy.scene import Patient, draw_patient
from train.anatomy.streams import Stream, stream
from train.imaging.deposit import deposit, deposit_moving, labels, nearest, strengths
from train.imaging.ranges import ImagingRanges, Scanner
from train.imaging.raster import PixelGrid, Raster
from train.imaging.scan import cupping, draw_scanner, noise, resolve, slices, streaks

__all__ = ["Anatomy", "Case", "Cohort", "Recipe", "draw_grid", "full_resolution", "make_case", "training_resolution"]

_VISIBLE_HU = 25.0
_VALVE_TOP_MM = 12.0


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What cases are drawn from. A pair is (low, high); rows and columns are equal.

    Attributes
    ----------
    matrix
        Rows and columns.
    field_of_view_mm
        Drawn evenly; with ``pixel_mm`` set it is that times ``matrix`` instead.
    slice_mm
        Slice spacings, one of which is drawn.
    slices
        Number of slices, both ends included.
    shortest_mm
        More slices are taken where the drawn number would cover less: scans run from the carina into the abdomen.
    per_slice
        Sub-slices a slice is averaged from.
    lattice_mm
        In-plane step of the anatomy.
    territory_mm
        How far around a coronary's centre line its territory reaches.

    """

    matrix: int = 256
    pixel_mm: float | None = 1.0
    field_of_view_mm: tuple[float, float] = (170.0, 250.0)
    slice_mm: tuple[float, ...] = (3.0, 3.0, 2.5)
    slices: tuple[int, int] = (40, 57)
    shortest_mm: float = 124.0
    per_slice: int = 2
    lattice_mm: float = 2.5
    territory_mm: float = 4.5
    anatomy: AnatomyRanges = field(default_factory=AnatomyRanges)
    imaging: ImagingRanges = field(default_factory=ImagingRanges)

    def __post_init__(self) -> None:
        if self.matrix < 32 or min(self.slices) < 4 or self.slices[0] > self.slices[1]:
            raise ValueError("a recipe needs at least 32 x 32 pixels and 4 slices, and slices as (fewest, most)")


def training_resolution(cohort: Cohort = Cohort.MIXED) -> Recipe:
    """1 mm pixels over 256 mm: made in a second or two."""
    return Recipe(anatomy=AnatomyRanges(cohort=cohort))


def full_resolution(cohort: Cohort = Cohort.HIGH) -> Recipe:
    """512 x 512 pixels of 0.35-0.49 mm, 48 slices of 3 mm: what a scanner sends."""
    return Recipe(
        matrix=512,
        pixel_mm=None,
        field_of_view_mm=(180.0, 250.0),
        slice_mm=(3.0,),
        slices=(48, 48),
        anatomy=AnatomyRanges(cohort=cohort),
    )


def draw_grid(seed: int, recipe: Recipe) -> PixelGrid:
    """The pixel grid of a case."""
    rng = stream(seed, Stream.GEOMETRY)
    view = rng.uniform(*recipe.field_of_view_mm)
    pixel = recipe.pixel_mm if recipe.pixel_mm is not None else round(view / recipe.matrix, 4)
    step = recipe.slice_mm[rng.integers(len(recipe.slice_mm))]
    count = max(int(rng.integers(recipe.slices[0], recipe.slices[1] + 1)), int(np.ceil(recipe.shortest_mm / step)))
    return PixelGrid(
        shape=(count, recipe.matrix, recipe.matrix), spacing_mm=(step, pixel, pixel), per_slice=recipe.per_slice
    )


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
    shown = resolve(slices(added, grid.per_slice), in_plane, scanner)
    image = resolve(slices(plain, grid.per_slice), in_plane, scanner) + shown
    calcium = _visible(keys, shown, grid)
    anatomy = raster.label(patient.scene.regions)
    image = _artefacts(rng, image, scanner, in_plane)
    centre = patient.body.heart.centre_mm + np.asarray(grid.half_extent_mm())
    return Case(
        seed=seed,
        hu=image.round().clamp(-1024, 3071).to(torch.int16).cpu().numpy(),
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
    visible = shown >= _VISIBLE_HU
    found = torch.zeros_like(top, dtype=torch.uint8)
    used = torch.nonzero(visible.flatten(1).any(dim=1)).flatten()
    if len(used) == 0:
        return found
    reach = max(1, round(1.0 / grid.spacing_mm[1]))
    near = max_pool2d(top[used].float(), 2 * reach + 1, stride=1, padding=reach).int()
    found[used] = labels(torch.where(top[used] > 7, top[used], near)) * visible[used]
    return found


def _artefacts(rng: np.random.Generator, image: Tensor, scanner: Scanner, in_plane: tuple[float, float]) -> Tensor:
    device = str(image.device)
    image = image + streaks(rng, image, in_plane, scanner.streak_gain)
    image = image + cupping((image.shape[1], image.shape[2]), in_plane, scanner.cupping_hu, device) + scanner.hu_shift
    shape = (image.shape[0], image.shape[1], image.shape[2])
    level = np.interp(np.arange(shape[0]), np.linspace(0, shape[0] - 1, 4), rng.uniform(0.85, 1.2, 4))
    grain = noise(rng, shape, in_plane, scanner.noise_peak_per_mm).to(image.device)
    return (
        image
        + grain * scanner.noise_sd_hu * torch.tensor(level, dtype=torch.float32, device=image.device)[:, None, None]
    )


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
