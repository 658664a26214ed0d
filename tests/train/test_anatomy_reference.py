"""Phantoms against real chests: LIDC-IDRI scans with heart masks (images CC BY 3.0, masks AIM-Harvard/DeepCAC)."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from train.anatomy.atlas import load_atlas
from train.anatomy.heart import place_heart
from train.anatomy.labels import HEART, Anatomy
from train.anatomy.pose import draw_pose
from train.anatomy.ranges import HeartRanges
from train.cases import Case, Recipe, make_case
from train.imaging.raster import PixelGrid

ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("SECOND_READER_REFERENCE_DATA", ROOT / ".." / "shared" / "data")) / "lidc-chest"
HALF_MM = 95.0
BANDS_HU = ((-1100, -500), (-150, -50), (-50, 130), (130, 3100))

pytestmark = [
    pytest.mark.reference,
    pytest.mark.skipif(not FOLDER.is_dir(), reason="the open reference data are not here (lidc-chest)"),
]


def read_nrrd(path: Path) -> np.ndarray:
    header, _, packed = path.read_bytes().partition(b"\n\n")
    fields = dict(line.split(": ", 1) for line in header.decode().splitlines() if ": " in line)
    raw = gzip.decompress(packed) if fields["encoding"].startswith("gz") else packed
    kind = np.int16 if fields["type"].endswith("short") else np.uint8
    return np.frombuffer(raw, kind).reshape([int(n) for n in reversed(fields["sizes"].split())])


def shares(hu: np.ndarray, heart: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """Share of lung, fat, soft tissue and dense voxels in a box around the heart."""
    middle = np.argwhere(heart).mean(axis=0)
    levels = np.flatnonzero(heart.any(axis=(1, 2)))
    low = [max(0, int(middle[k] - HALF_MM / spacing[k])) for k in (1, 2)]
    high = [int(middle[k] + HALF_MM / spacing[k]) for k in (1, 2)]
    box = hu[levels[0] : levels[-1] + 1, low[0] : high[0], low[1] : high[1]]
    return np.array([np.mean((box >= a) & (box < b)) for a, b in BANDS_HU])


@pytest.fixture(scope="module")
def real() -> list[tuple[np.ndarray, np.ndarray]]:
    masks = {name: read_nrrd(FOLDER / f"{name}_msk.nrrd") for name in ("0506", "0909")}
    return [(read_nrrd(FOLDER / f"{name}_img.nrrd"), (mask == 1) | (mask == 3)) for name, mask in masks.items()]


@pytest.fixture(scope="module")
def phantoms() -> list[Case]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    recipe = Recipe(matrix=128, pixel_mm=2.0, slices=(40, 44), slice_mm=(3.5,), lattice_mm=3.5)
    made = [make_case(seed, recipe) for seed in range(300, 308)]
    torch.set_num_threads(threads)
    return made


def test_real_hearts_are_within_the_sizes_drawn(real) -> None:
    frame = PixelGrid(shape=(45, 64, 64), spacing_mm=(4.0, 4.0, 4.0), per_slice=1).frame(4.0, "cpu")
    volumes = []
    for seed in range(24):
        rng = np.random.default_rng(seed)
        pose = draw_pose(rng, frame, load_atlas(), HeartRanges())
        heart = place_heart(rng, pose, load_atlas(), HeartRanges())
        inside = torch.minimum(heart.muscle(), heart.pericardium) < 0
        volumes.append(float(inside.sum()) * np.prod(frame.spacing_mm) / 1000)
    low, high = np.percentile(volumes, [5, 95])
    for _, heart in real:
        assert low < heart.sum() * 0.027 < high  # mL at 3 mm


def test_phantoms_hold_tissue_in_real_shares(real, phantoms) -> None:
    drawn = np.array([shares(c.hu, np.isin(c.anatomy, (*HEART, Anatomy.EPICARDIAL)), c.spacing_mm) for c in phantoms])
    low, high = drawn.min(axis=0), drawn.max(axis=0)
    for hu, heart in real:
        found = shares(hu, heart, (3.0, 3.0, 3.0))
        assert np.all(found > low * 0.7)
        assert np.all(found < high * 1.3)
