from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.interpolation import interpolated_volumes
from model.lesions import Vessel
from model.scoring import REGIONS, definition_for, score
from tests.phantoms import bright, grid, mask, painted, uniform

RULES = definition_for()


def test_a_slice_between_two_of_blood_by_hand():
    # 4 pixels at 490 between slices at 40: each side reaches (490 - 130) / (490 - 40) = 0.8 of 3 mm: 4 mm² x 4.8 mm
    scan = painted(uniform(), ((1, slice(4, 6), slice(4, 6)), 490))
    assert interpolated_volumes(scan, bright(scan), RULES)["LAD"] == pytest.approx(19.2)


def test_slices_of_calcium_share_the_gap_and_the_scan_ends_half_a_slice_out():
    # slices 0 and 1: half a slice of 3 mm out at the end, halves towards each other, 0.8 towards blood: 1 + 0.5 + 0.8
    scan = painted(uniform(), ((slice(0, 2), slice(4, 6), slice(4, 6)), 490))
    assert interpolated_volumes(scan, bright(scan), RULES)["LAD"] == pytest.approx(4 * 3 * 2.3)


def test_a_neighbour_of_another_vessel_keeps_its_half():
    scan = painted(uniform(), ((slice(1, 3), slice(4, 6), slice(4, 6)), 490))
    found = interpolated_volumes(scan, mask(scan, {Vessel.LM: np.s_[1, :, :], Vessel.TA: np.s_[2, :, :]}), RULES)
    assert found["LM"] == found["CAC"] == found["TA"] == found["AC"] == pytest.approx(4 * 3 * 1.3)
    assert tuple(found) == REGIONS


def test_a_voxel_at_the_threshold_has_no_reach_into_blood():
    scan = painted(uniform(), ((1, 4, slice(4, 6)), 130))
    assert interpolated_volumes(scan, bright(scan), RULES)["CAC"] == 0


def test_nothing_has_no_volume():
    scan = uniform()
    assert set(interpolated_volumes(scan, mask(scan, {}), RULES).values()) == {0}


@given(st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_it_is_the_limit_of_resampling_to_finer_slices(seed):
    rng = np.random.default_rng(seed)
    fine = 200
    scan = replace(uniform((5, 6, 6), dtype=np.float32), hu=rng.uniform(0, 400, (5, 6, 6)).astype(np.float32))
    # the scan again on sub-slices centred in a slab from half a slice below the first to half a slice above the last
    at = np.clip((np.arange(5 * fine) + 0.5) / fine - 0.5, 0, 4)
    low = np.minimum(at.astype(int), 3)
    share = (at - low)[:, None, None]
    resampled = (scan.hu[low] * (1 - share) + scan.hu[low + 1] * share).astype(np.float32)
    finer = replace(scan, hu=resampled, grid=grid((5 * fine, 6, 6), (3.0 / fine, 1.0, 1.0)))
    # no area rule here: a sub-slice may cut a component to less than 1 mm²
    rules = definition_for("siemens", 120)
    expected = score(finer, bright(finer), rules).regions["LAD"].volume_mm3
    assert interpolated_volumes(scan, bright(scan), rules)["LAD"] == pytest.approx(expected, rel=0.01, abs=1)
