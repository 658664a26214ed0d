from __future__ import annotations

import numpy as np
import pytest

from model.lesions import AORTIC, CORONARIES, CalciumMask, Vessel
from tests.phantoms import grid


def test_every_vessel_has_its_own_label_from_one():
    assert {vessel: vessel.label for vessel in Vessel} == {"LM": 1, "LAD": 2, "LCX": 3, "RCA": 4, "AV": 5, "TA": 6}


def test_a_vessel_is_coronary_or_aortic_and_never_both():
    assert sorted((*CORONARIES, *AORTIC)) == sorted(Vessel)


def test_a_mask_fills_its_grid():
    with pytest.raises(ValueError, match="does not fill"):
        CalciumMask(labels=np.zeros((4, 16, 15), np.uint8), grid=grid())


def test_labels_are_bytes():
    with pytest.raises(ValueError, match="uint8"):
        CalciumMask(labels=np.zeros((4, 16, 16), np.int16), grid=grid())


@pytest.mark.parametrize("count", [0, 1, 3])
def test_probability_is_one_value_per_labelled_voxel(count):
    labels = np.zeros((4, 16, 16), np.uint8)
    labels[1, 2, 3:5] = Vessel.LAD.label
    with pytest.raises(ValueError, match="one value per labelled voxel"):
        CalciumMask(labels=labels, grid=grid(), probability=np.ones(count, np.float32))
    mask = CalciumMask(labels=labels, grid=grid(), probability=np.ones(2, np.float32))
    assert mask.probability is not None
