import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.definition import definition_for
from model.labels import Anatomy
from model.preprocess import FIELD, Millimetre, Upright
from model.sampling import between, landmarks, spread
from model.spots import Spots
from model.surroundings import Surroundings
from model.volume import CtVolume, VolumeGrid

SLICES = 9


@given(first=st.integers(0, 20), count=st.integers(1, 60), spacing=st.floats(0.5, 12))
def test_landmarks_hold_both_ends_and_leave_no_gap_over_9_mm(first, count, spacing):
    slices = list(range(first, first + count))
    chosen = landmarks(slices, spacing)
    assert (chosen[0], chosen[-1]) == (slices[0], slices[-1])
    assert sorted(set(chosen)) == chosen
    assert max(np.diff(chosen), default=1) * spacing <= max(9.0, spacing) + 1e-3


def test_slices_between_take_the_nearest_anatomy():
    anatomy = np.zeros((7, 2, 2), np.uint8)
    anatomy[1], anatomy[4] = 5, 9
    spread(anatomy, [1, 4], [1, 2, 3, 4])
    assert anatomy[:, 0, 0].tolist() == [0, 5, 5, 9, 9, 0, 0]


def bead_at(k, row, column):
    hu = np.full((SLICES, FIELD, FIELD), 40, np.int16)
    hu[k, row : row + 3, column : column + 3] = 300
    grid = VolumeGrid(shape=hu.shape, spacing_mm=(3.0, 1.0, 1.0), origin_lps_mm=(0.0, 0.0, 0.0))
    upright = Upright.of(CtVolume(hu=hu, grid=grid))
    scan = Millimetre.of(upright, torch.device("cpu"))
    blank = np.zeros(hu.shape, np.uint8)
    return Spots.of(Surroundings(upright=upright, scan=scan, anatomy=blank, corner=(0, 0)), definition_for())


def asked(spots, anatomy, *, near=True):
    return between(spots, np.full(spots.count, near), anatomy, [0, 3, 6, 8], [0, 1, 2, 3, 4, 5, 6, 7, 8])


@pytest.fixture
def anatomy():
    """A heart with a breast bone 4 mm in front of it."""
    tissue = np.zeros((SLICES, FIELD, FIELD), np.uint8)
    tissue[:, 60:140, 60:140] = Anatomy.LEFT_VENTRICLE
    tissue[:, 44:56, 80:120] = Anatomy.BONE
    return tissue


def test_a_slice_with_a_bead_in_or_beside_the_heart_is_asked_for(anatomy):
    assert asked(bead_at(4, 100, 100), anatomy) == [4]
    assert asked(bead_at(5, 100, 143), anatomy) == [5]


def test_a_bead_far_from_everything_or_in_bone_is_not(anatomy):
    assert asked(bead_at(4, 100, 170), anatomy) == []
    assert asked(bead_at(4, 53, 100), anatomy) == []
    assert asked(bead_at(4, 100, 100), anatomy, near=False) == []


def test_bone_in_only_one_of_both_neighbours_is_not_trusted(anatomy):
    anatomy[6, 44:56] = Anatomy.OTHER
    assert asked(bead_at(4, 53, 100), anatomy) == [4]
    assert asked(bead_at(2, 53, 100), anatomy) == []


def test_heart_in_only_one_of_both_neighbours_is_enough(anatomy):
    anatomy[6] = Anatomy.LUNG
    assert asked(bead_at(4, 100, 100), anatomy) == [4]


def test_slices_labelled_already_are_not_asked_for_again(anatomy):
    assert asked(bead_at(3, 100, 100), anatomy) == []
