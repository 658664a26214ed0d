import numpy as np
import pytest

from tests.plain_case import plain_case
from train.bending import stack
from train.cohort import Prepared
from train.config import Augmentation
from train.planting import change, plant, plaques

MIDDLE = 12


@pytest.fixture(scope="module")
def case():
    return Prepared.of(plain_case(0))


def seen(case):
    window = slice(MIDDLE - 2, MIDDLE + 3)
    return case.hu[window].astype(np.float32), case.calcium[window].copy()


def test_removed_calcium_leaves_surroundings_and_no_labels(case):
    hu, calcium = seen(case)
    was = calcium == 2
    change(hu, calcium, np.random.default_rng(0), Augmentation(removed_share=1.0, faded_share=0.0))
    assert not calcium.any()
    assert hu[was].max() < 130


def test_faded_calcium_keeps_its_labels(case):
    hu, calcium = seen(case)
    before, labels = hu.copy(), calcium.copy()
    change(hu, calcium, np.random.default_rng(0), Augmentation(removed_share=0.0, faded_share=1.0, faded=(0.3, 0.3)))
    np.testing.assert_array_equal(calcium, labels)
    assert 100 < hu[labels == 2].mean() < 0.6 * before[labels == 2].mean()
    far = (labels == 0) & (before < 100)
    assert np.abs(hu[far] - before[far]).max() < 100


def test_a_planted_plaque_lies_where_nothing_is_scored(case):
    bank = plaques([case], np.random.default_rng(1))
    assert bank
    for seed in range(20):
        hu, calcium = seen(case)
        before = hu.copy()
        plant(hu, case, MIDDLE, bank, np.random.default_rng(seed))
        changed = hu != before
        assert not (changed & (calcium > 0))[2].any()
        assert not (changed[2] & (case.territory[MIDDLE] > 0)).any()


def test_the_middle_slice_is_never_changed_by_its_neighbours(case):
    plan = Augmentation(thick_share=1.0, moved_share=1.0, moved_sd_mm=4.0, repeated_share=0.3)
    for seed in range(10):
        hu, which = stack(case, MIDDLE, np.random.default_rng(seed), plan)
        np.testing.assert_array_equal(hu[2], case.hu[MIDDLE])
        assert which[2] == MIDDLE
