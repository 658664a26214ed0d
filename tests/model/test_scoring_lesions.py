"""Totals over vessels, lesions, the mask that is scored, and candidates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from model.lesions import CalciumMask, Vessel
from model.scoring import REGIONS, candidates, definition_for, keep, lesions, score
from model.volume import CtVolume
from tests.phantoms import bright, grid, mask, painted, uniform

RULES = definition_for()


# --- totals -----------------------------------------------------------------------------------------------------------


def six_vessels() -> tuple[CtVolume, CalciumMask]:
    """In slice n, vessel number n holds n mm² at 450 HU."""
    scan = uniform((7, 16, 16), mass_factor=1.0)
    places = {vessel: np.s_[vessel.label, 4, 0 : vessel.label] for vessel in Vessel}
    scan = painted(scan, *[(where, 450) for where in places.values()])
    return scan, mask(scan, places)


def test_aortic_calcium_is_never_part_of_cac():
    found = score(*six_vessels(), RULES)
    # areas LM 1, LAD 2, LCX 3, RCA 4, AV 5, TA 6 mm², weight 4
    assert {name: region.agatston for name, region in found.regions.items()} == {
        "LM": 4,
        "LAD": 8,
        "LCX": 12,
        "RCA": 16,
        "CAC": 40,
        "AV": 20,
        "TA": 24,
        "AC": 44,
    }
    assert tuple(found.regions) == REGIONS
    assert (found.regions["CAC"].lesions, found.regions["AC"].lesions) == (4, 2)
    assert (found.regions["CAC"].volume_mm3, found.regions["AC"].area_mm2) == (30, 11)
    assert found.regions["CAC"].mass_mg == pytest.approx(10 * 3 * 450 / 1000)


def test_merged_and_derived_scores():
    found = score(*six_vessels(), RULES)
    assert (found.lm_lad.agatston, found.lm_lad.lesions) == (12, 2)
    assert found.density == 4
    assert found.diffusivity == pytest.approx(1 - 16 / 40)
    assert found.vessels == 4


def test_density_is_the_mean_weight_at_any_slice_spacing():
    # 2 mm² of weight 1 and 2 mm² of weight 4: 2.5, although the score at 1.5 mm is half of that at 3 mm
    scan = painted(uniform(spacing_mm=(1.5, 1, 1)), ((1, 4, slice(0, 2)), 150), ((1, 8, slice(0, 2)), 450))
    assert score(scan, bright(scan), RULES).density == pytest.approx(2.5)


def test_no_calcium_is_zero_and_has_no_density():
    scan = uniform(mass_factor=0.8)
    found = score(scan, mask(scan, {}), RULES)
    assert {(r.agatston, r.volume_mm3, r.mass_mg, r.lesions, r.area_mm2) for r in found.regions.values()} == {
        (0, 0, 0, 0, 0)
    }
    assert (found.vessels, found.density, found.diffusivity) == (0, None, None)
    assert lesions(scan, mask(scan, {}), RULES) == ()
    assert candidates(scan, RULES) == ()
    assert not keep(scan, mask(scan, {}), RULES).labels.any()


# --- lesions ----------------------------------------------------------------------------------------------------------


def test_a_lesion_is_described_in_patient_space():
    scan = uniform((5, 16, 16), spacing_mm=(3.0, 0.5, 1.0), origin_lps_mm=(-100.0, -50.0, 200.0), mass_factor=0.8)
    scan = painted(scan, ((slice(1, 4), slice(4, 6), slice(8, 10)), 350), ((2, 4, 8), 420))
    (lesion,) = lesions(scan, bright(scan, Vessel.RCA), RULES)
    assert lesion.vessel is Vessel.RCA
    assert lesion.slices == (1, 3)
    assert lesion.peak_hu == 420
    # 4 pixels of 0.5 mm² are 2 mm² a slice: 2 x 3 + 2 x 4 + 2 x 3
    assert lesion.agatston == pytest.approx(20)
    assert lesion.volume_mm3 == pytest.approx(18)
    assert lesion.mass_mg == pytest.approx((11 * 350 + 420) * 1.5 * 0.8 / 1000)
    # middle of columns 8 and 9, rows 4 and 5, slice 2
    assert lesion.centroid_lps_mm == pytest.approx((-100 + 8.5, -50 + 2.25, 206))
    assert lesion.probability is None


def test_one_component_in_two_lesions_shares_its_score_by_area():
    # one slice, 2 pixels at 450 and 1 at 150 that meet at a corner: one 8-connected component, 3 mm² x 4 = 12,
    # and two 6-connected lesions with 2/3 and 1/3 of it
    scan = painted(uniform(), ((1, 4, slice(3, 5)), 450), ((1, 5, 5), 150))
    first, second = lesions(scan, bright(scan), RULES)
    assert (first.agatston, second.agatston) == (8, 4)
    assert (first.peak_hu, second.peak_hu) == (450, 150)
    assert score(scan, bright(scan), RULES).regions["LAD"].agatston == 12


def test_a_piece_too_small_in_every_slice_is_no_lesion():
    scan = uniform(spacing_mm=(3.0, 0.5, 0.5))
    scan = painted(scan, ((slice(0, 3), 4, slice(4, 7)), 450), ((1, 10, slice(4, 8)), 450))
    assert [lesion.agatston for lesion in lesions(scan, bright(scan), RULES)] == [4]
    assert score(scan, bright(scan), RULES).regions["LAD"].lesions == 1


def test_lesions_of_neighbouring_slices_that_only_meet_at_an_edge_are_two():
    scan = painted(uniform(), ((1, 4, slice(4, 6)), 450), ((2, 5, slice(4, 6)), 450))
    assert len(lesions(scan, bright(scan), RULES)) == 2


def test_lesions_come_by_vessel_and_then_by_position():
    scan, labelled = six_vessels()
    assert [lesion.vessel for lesion in lesions(scan, labelled, RULES)] == list(Vessel)
    scan = painted(uniform(), ((3, 1, slice(1, 3)), 450), ((1, 9, slice(1, 3)), 450), ((1, 2, slice(7, 9)), 450))
    found = lesions(scan, bright(scan), RULES)
    assert [(lesion.slices[0], lesion.centroid_lps_mm[1]) for lesion in found] == [(1, 2), (1, 9), (3, 1)]


def test_probability_is_the_mean_over_what_is_left_of_the_lesion():
    scan = painted(uniform(), ((1, 4, slice(4, 7)), 450), ((1, 4, 7), 100))
    labels = mask(scan, {Vessel.LAD: np.s_[1, 4, 4:8], Vessel.TA: np.s_[0, 0, 0:3]}).labels
    sure = np.array([0.1, 0.1, 0.1, 0.9, 0.8, 0.7, 0.0], np.float32)  # three of TA at 40 HU first, then LAD
    read = CalciumMask(labels=labels, grid=scan.grid, probability=sure)
    (lesion,) = lesions(scan, read, RULES)
    assert lesion.probability == pytest.approx(0.8)


# --- the mask that is scored ------------------------------------------------------------------------------------------


def test_keep_is_labelled_bright_and_large_enough():
    scan = uniform(spacing_mm=(3.0, 0.5, 0.5))
    scan = painted(scan, ((1, 4, slice(4, 9)), 450), ((1, 10, slice(4, 7)), 450), ((2, 4, slice(4, 12)), 450))
    given_mask = mask(scan, {Vessel.LCX: np.s_[1, :, :]}, probability=0.6)
    kept = keep(scan, given_mask, RULES)
    expected = np.zeros_like(given_mask.labels)
    expected[1, 4, 4:9] = Vessel.LCX.label
    assert np.array_equal(kept.labels, expected)
    assert kept.probability == pytest.approx([0.6] * 5)
    assert np.count_nonzero(given_mask.labels) == 256  # the given mask is left as it was


def test_keep_picks_the_probability_of_its_own_voxels():
    scan = painted(uniform(), ((1, 4, slice(4, 8)), (450)), ((1, 4, 5), 100))
    labels = mask(scan, {Vessel.LAD: np.s_[1, 4, 4:8]}).labels
    read = CalciumMask(labels=labels, grid=scan.grid, probability=np.array([0.1, 0.2, 0.3, 0.4], np.float32))
    assert keep(scan, read, RULES).probability == pytest.approx([0.1, 0.3, 0.4])


def test_a_mask_without_probability_stays_without():
    scan = painted(uniform(), ((1, 4, slice(4, 8)), 450))
    assert keep(scan, bright(scan), RULES).probability is None


# --- candidates -------------------------------------------------------------------------------------------------------


def test_candidates_are_the_components_of_the_whole_scan():
    scan = uniform((4, 16, 16), spacing_mm=(2.5, 0.5, 0.5), origin_lps_mm=(-10.0, -20.0, 30.0))
    scan = painted(scan, ((2, slice(4, 6), slice(4, 8)), 350), ((1, 1, slice(0, 4)), 150), ((3, 0, slice(0, 3)), 900))
    first, second = candidates(scan, RULES)
    assert (first.slice, second.slice) == (1, 2)
    assert (first.position_mm, second.position_mm) == (32.5, 35)
    assert (first.area_mm2, second.area_mm2) == (1, 2)
    assert (first.peak_hu, second.peak_hu) == (150, 350)
    # 2 mm² x 3 x 2.5 / 3
    assert second.agatston == pytest.approx(5)
    assert second.centroid_lps_mm == pytest.approx((-10 + 2.75, -20 + 2.25, 35))


def test_the_position_of_a_tilted_slice_is_along_its_normal():
    tilted = replace(
        grid((4, 16, 16), origin_lps_mm=(5.0, 10.0, 20.0)),
        directions=((0.0, 0.6, 0.8), (0.0, 0.8, -0.6), (1.0, 0.0, 0.0)),
    )
    scan = replace(painted(uniform(), ((2, 4, slice(4, 8)), 450)), grid=tilted)
    (found,) = candidates(scan, RULES)
    # 10 x 0.6 + 20 x 0.8 + 2 slices of 3 mm
    assert found.position_mm == pytest.approx(28)
