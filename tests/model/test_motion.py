import numpy as np
import pytest
import torch

from model.heart import HeartFinding
from model.labels import Anatomy
from model.motion import largest_step_mm, shifts_between
from model.preprocess import FIELD, Millimetre, Upright
from model.quality import assess
from model.surroundings import Surroundings
from model.volume import CtVolume, VolumeGrid

SLICES = 24


def beating(jump_mm=0.0, oblique_mm=0.0, slab=0):
    """A heart in lung within a chest wall; from the middle slice on it lies ``jump_mm`` to the left."""
    rows, columns = np.mgrid[:FIELD, :FIELD].astype(float)
    hu = np.full((SLICES, FIELD, FIELD), -850.0)
    anatomy = np.full(hu.shape, Anatomy.LUNG, np.uint8)
    wall = np.hypot(rows - 96, columns - 96) > 85
    for k in range(SLICES):
        shift = k * oblique_mm + (jump_mm if k >= SLICES // 2 else 0.0)
        heart = np.hypot((rows - 96) / 1.2, columns - 80 - shift)
        hu[k] += 890 * (1 / (1 + np.exp(heart - 38)))
        anatomy[k][heart < 38] = Anatomy.LEFT_VENTRICLE
        hu[k][wall] = 50
    hu += np.random.default_rng(0).normal(0, 20, hu.shape)
    hu = np.roll(hu, slab, axis=2) if slab else hu
    grid = VolumeGrid(shape=hu.shape, spacing_mm=(3.0, 1.0, 1.0), origin_lps_mm=(0.0, 0.0, 0.0))
    upright = Upright.of(CtVolume(hu=hu.round().astype(np.int16), grid=grid))
    scan = Millimetre.of(upright, torch.device("cpu"))
    return Surroundings(upright=upright, scan=scan, anatomy=anatomy, corner=(0, 0))


def test_a_heart_that_lies_still_does_not_jump():
    assert largest_step_mm(beating()) < 0.5


def test_an_oblique_heart_does_not_jump():
    assert largest_step_mm(beating(oblique_mm=1.0)) < 0.7


def test_a_jump_is_measured_and_said():
    around = beating(jump_mm=6.0)
    assert largest_step_mm(around) == pytest.approx(6.0, rel=0.35)
    quality = assess(HeartFinding(found=True, volume_ml=500.0), around)
    assert any(doubt.startswith("motion: heart displaced by") for doubt in quality.doubts)


def test_without_enough_heart_nothing_is_said():
    around = beating(jump_mm=6.0)
    around.anatomy[5:] = Anatomy.LUNG
    assert largest_step_mm(around) == 0.0


def test_a_known_shift_is_found():
    rows, columns = np.mgrid[:64, :64].astype(float)
    images = np.stack([100 * np.exp(-(((rows - 30 - k) ** 2 + (columns - 30 + k / 2) ** 2) / 80)) for k in (0, 1)])
    ((down, across),) = shifts_between(images.astype(np.float32), np.ones(images.shape, bool))
    assert (down, across) == pytest.approx((1.0, -0.5), abs=0.15)
