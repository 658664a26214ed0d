import numpy as np
import pytest

from model.labels import Anatomy, Organ
from train.organs import ROOT_MM, organs_of


@pytest.fixture
def anatomy():
    """A heart on a liver, an aorta that rises out of it by 90 mm, lung around; voxels of (2, 1, 1) mm."""
    labels = np.full((100, 80, 80), Anatomy.LUNG, dtype=np.uint8)
    labels[:30] = Anatomy.ABDOMEN
    labels[30:60, 20:60, 20:60] = Anatomy.LEFT_VENTRICLE
    labels[50:95, 28:52, 28:52] = Anatomy.ASCENDING_AORTA
    labels[:, 64:76, 40:52] = Anatomy.DESCENDING_AORTA
    return labels


def test_the_root_is_the_lowest_part_of_the_ascending_aorta(anatomy):
    organs = organs_of(anatomy, (2.0, 1.0, 1.0), (50, 20, 20))
    levels = np.flatnonzero((organs == Organ.ROOT).any(axis=(1, 2)))
    assert levels[0] == 25
    assert (levels[-1] - levels[0] + 1) * 4 == pytest.approx(ROOT_MM, abs=4)
    above = organs[levels[-1] + 1 : 47, 9, 9]
    assert (above == Organ.AORTA).all()
    assert (organs[10:50, 17, 11] == Organ.AORTA).all()


def test_a_root_cut_off_below_has_no_name(anatomy):
    assert not (organs_of(anatomy[60:], (2.0, 1.0, 1.0), (20, 20, 20)) == Organ.ROOT).any()


def test_the_diaphragm_is_the_upper_rim_of_the_abdomen(anatomy):
    organs = organs_of(anatomy, (2.0, 1.0, 1.0), (50, 20, 20))
    column = organs[:, 2, 2]
    assert (column[:13] == Organ.ABDOMEN).all()
    assert (column[13:15] == Organ.DIAPHRAGM).all()
    assert (column[15:] == Organ.LUNG).all()
    assert (organs[13:15, 10, 10] == Organ.DIAPHRAGM).all()
    assert organs[16, 10, 10] == Organ.HEART


def test_the_most_frequent_organ_of_a_voxel_counts(anatomy):
    thin = np.full((4, 8, 8), Anatomy.LUNG, dtype=np.uint8)
    thin[:, :, 1] = Anatomy.BONE
    thin[:, :, 4:7] = Anatomy.BONE
    assert organs_of(thin, (1.0, 1.0, 1.0), (1, 2, 2)).tolist() == [[[Organ.LUNG, Organ.BONE]] * 2]
    assert set(np.unique(organs_of(anatomy * 0, (2.0, 1.0, 1.0), (50, 20, 20)))) == {Organ.OTHER}
