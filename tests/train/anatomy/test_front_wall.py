"""The front wall, the lungs' vessels and recesses: what real chests show there."""

import numpy as np
import pytest
import torch

from train.anatomy.front_wall import cartilage_layers, draw_breastbone, sternal_layers
from train.anatomy.ranges import AnatomyRanges, BodyRanges
from train.anatomy.scene import Patient, draw_patient
from train.anatomy.thorax import draw_chest
from train.imaging.raster import PixelGrid

FRAME = PixelGrid(shape=(44, 68, 68), spacing_mm=(3.0, 3.2, 3.2), per_slice=1).frame(3.2, "cpu")


@pytest.fixture(scope="module")
def patients() -> list[Patient]:
    return [draw_patient(seed, FRAME, AnatomyRanges()) for seed in range(3)]


def _front(patient: Patient, seed: int):
    heart = patient.body.heart
    rng = np.random.default_rng(seed)
    chest = draw_chest(rng, heart, BodyRanges())
    bone = draw_breastbone(rng, heart, chest.midline_mm, chest.front_mm, chest.wall_mm)
    _, sternum = sternal_layers(rng, bone, FRAME, torch.full(FRAME.shape, 120.0), 600.0)
    _, cartilage = cartilage_layers(rng, bone, FRAME, chest.cavity, (0.7 - chest.angle) * 60)
    return chest, bone, sternum, cartilage


@pytest.mark.parametrize("seed", range(4))
def test_the_sternum_ends_in_a_smaller_xiphoid(patients, seed) -> None:
    _, bone, sternum, _ = _front(patients[0], seed)
    z, _, x = FRAME.coordinates()
    assert not (sternum < 0)[(z < bone.tip_mm).flatten()].any()
    under = ((z < bone.body_end_mm - 3) & (sternum < 0)).expand(FRAME.shape)
    width = (x - bone.middle_x_mm).abs().expand(FRAME.shape)
    # two prongs may stand apart, but stay within the body's width
    assert not under.any() or float(width[under].max()) <= bone.half_x_mm + 4


@pytest.mark.parametrize("seed", range(4))
def test_several_cartilages_lie_in_the_wall_on_both_sides(patients, seed) -> None:
    chest, bone, _, cartilage = _front(patients[0], seed)
    _, _, x = FRAME.coordinates()
    inside = cartilage < 0
    assert float(chest.cavity[inside].min()) >= 0  # outside of the cavity, so never in the heart
    for side in (-1.0, 1.0):
        assert (inside & ((x - bone.middle_x_mm) * side > 0)).any()


def test_lungs_go_on_behind_the_organs_under_the_diaphragm(patients) -> None:
    found = 0
    for patient in patients:
        body = patient.body
        z, y, _ = FRAME.coordinates()
        low = (z < float(body.heart.low_mm[0]) + 6).expand(FRAME.shape)
        behind = (y > body.chest.spine_front_mm - 15).expand(FRAME.shape)
        found += bool((low & behind & (body.lung < 0)).any())
    assert found >= 2


def test_vessels_reach_the_lower_and_outer_lung(patients) -> None:
    for patient in patients:
        body, vessels = patient.body, patient.scene.tissue
        depth = FRAME.sample(body.chest.cavity, vessels.centres)
        low = vessels.centres[:, 0] < float(body.heart.centre_mm[0]) - 15
        assert np.count_nonzero((depth > -25) & (depth < 0)) > 50
        assert np.count_nonzero(low & (FRAME.sample(body.lung, vessels.centres) < 0)) > 50
        assert vessels.radius_mm.max() < 8
