from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from model.lesions import CORONARIES, CalciumMask, Vessel
from model.scoring import REGIONS, candidates, definition_for, keep, lesions, score
from model.volume import CtVolume
from tests.phantoms import blurred_insert, bright, cylinder, grid, mask, painted, uniform

RULES = definition_for()
ANY_SIZE = definition_for("siemens", 120)


def agatston(volume: CtVolume, rules=RULES) -> float:
    """Of everything at the threshold, as one vessel."""
    return score(volume, bright(volume), rules).regions["LAD"].agatston


# --- rule 1 and 3: threshold, and weight by the peak in the slice -----------------------------------------------------


@pytest.mark.parametrize(
    ("hu", "points"),
    [(129, 0), (130, 4), (199, 4), (200, 8), (299, 8), (300, 12), (399, 12), (400, 16), (3000, 16)],
)
def test_area_times_weight_at_every_limit(hu, points):
    # 2 x 2 pixels of 1 mm²: 4 mm² x weight x (3 mm / 3 mm)
    scan = painted(uniform(), ((1, slice(4, 6), slice(4, 6)), hu))
    assert score(scan, mask(scan, {Vessel.LAD: np.s_[1, 4:6, 4:6]}), RULES).regions["LAD"].agatston == points


def test_a_float_scan_just_below_the_threshold_does_not_count():
    scan = painted(uniform(dtype=np.float32), ((1, 4, slice(4, 8)), 129.999), ((2, 4, slice(4, 8)), 130.0))
    everything = mask(scan, {Vessel.LAD: np.s_[:, :, :]})
    assert score(scan, everything, RULES).regions["LAD"].agatston == 4


def test_a_mask_is_thresholded_again():
    # the mask also covers blood around the calcium: only the 3 bright pixels count, 3 mm² x 4
    scan = painted(uniform(), ((1, 4, slice(4, 7)), 500))
    assert score(scan, mask(scan, {Vessel.RCA: np.s_[0:3, 2:9, 2:9]}), RULES).regions["RCA"].agatston == 12


def test_one_peak_weights_its_whole_component():
    # 5 pixels at 150 and one at 320: 6 mm² x 3
    scan = painted(uniform(), ((1, 4, slice(4, 9)), 150), ((1, 5, 4), 320))
    assert agatston(scan) == 18


def test_each_component_goes_by_its_own_peak():
    # 3 mm² x 1 + 2 mm² x 4, two pixels apart
    scan = painted(uniform(), ((1, 4, slice(4, 7)), 150), ((1, 4, slice(9, 11)), 450))
    assert agatston(scan) == 11


def test_the_peak_is_that_of_the_slice_not_of_the_lesion():
    # one lesion over two slices: 4 mm² at 450 and 4 mm² at 150: 16 + 4, where a 3D peak would give 32
    scan = painted(uniform(), ((1, slice(4, 6), slice(4, 6)), 450), ((2, slice(4, 6), slice(4, 6)), 150))
    assert agatston(scan) == 20
    assert score(scan, bright(scan), RULES).regions["LAD"].lesions == 1


def test_touching_vessels_keep_their_own_peaks():
    # 2 mm² of LM at 150 beside 2 mm² of LAD at 450: 2 x 1 and 2 x 4, where one component would give 4 x 4
    scan = painted(uniform(), ((1, 4, slice(4, 6)), 150), ((1, 4, slice(6, 8)), 450))
    found = score(scan, mask(scan, {Vessel.LM: np.s_[1, 4, 4:6], Vessel.LAD: np.s_[1, 4, 6:8]}), RULES)
    assert (found.regions["LM"].agatston, found.regions["LAD"].agatston) == (2, 8)
    assert found.lm_lad.agatston == 10


# --- rule 2: connectivity and area ------------------------------------------------------------------------------------


def test_pixels_that_meet_at_a_corner_are_one_component_of_eight_and_two_of_four():
    # (4, 4) at 450 and (5, 5) at 150: together 2 mm² x 4; apart 1 x 4 + 1 x 1
    scan = painted(uniform(), ((1, 4, 4), 450), ((1, 5, 5), 150))
    assert agatston(scan) == 8
    assert agatston(scan, definition_for("ge", 120)) == 5


def test_both_diagonals_connect():
    scan = painted(uniform(), ((1, 4, 6), 450), ((1, 5, 5), 150), ((1, 6, 4), 150))
    assert agatston(scan) == 12


def test_the_edge_of_the_image_does_not_touch_the_other_side():
    # last pixel of one row and first of the next; last slice and first
    scan = painted(uniform((2, 4, 4)), ((0, 1, 3), 450), ((0, 2, 0), 150), ((0, 3, 3), 150), ((1, 0, 0), 150))
    assert agatston(scan) == 4 + 1 + 1 + 1
    assert score(scan, bright(scan), RULES).regions["LAD"].lesions == 4


@pytest.mark.parametrize(
    ("profile", "sizes"),
    [
        ("agatston-1990", (4, 5)),
        ("ge", (4, 5)),
        ("siemens", (1, 2, 3, 4, 5)),
        ("philips", (2, 3, 4, 5)),
        ("canon", (3, 4, 5)),
    ],
)
def test_area_rules_of_the_profiles(profile, sizes):
    # runs of 1 to 5 pixels of 0.25 mm², a slice each: which of them count, and 1 x 0.25 mm² a pixel
    scan = uniform((5, 8, 8), spacing_mm=(3.0, 0.5, 0.5))
    scan = painted(scan, *[((n - 1, 4, slice(0, n)), 150) for n in range(1, 6)])
    assert agatston(scan, definition_for(profile, 120)) == sum(sizes) * 0.25


def test_an_area_of_one_square_millimetre_survives_rounded_spacing():
    # nine pixels of 0.333333 mm are 0.999998 mm²; eight are 0.89
    scan = uniform(spacing_mm=(3.0, 0.333333, 0.333333))
    assert agatston(painted(scan, ((1, slice(4, 7), slice(4, 7)), 150))) == pytest.approx(1, abs=1e-5)
    assert agatston(painted(scan, ((1, slice(4, 6), slice(4, 8)), 150))) == 0


def test_the_area_rule_looks_at_each_slice():
    # two pixels of 0.5 mm² in neighbouring slices are 0.5 mm² twice, not 1 mm²
    scan = uniform(spacing_mm=(3.0, 0.5, 1.0))
    assert agatston(painted(scan, ((slice(1, 3), 4, 4), 450))) == 0


# --- rules 4 and 5: spacing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("spacing", "points"), [(3.0, 16), (1.5, 8), (2.5, 40 / 3), (0.75, 4)])
def test_the_score_is_scaled_by_slice_spacing(spacing, points):
    scan = painted(uniform(spacing_mm=(spacing, 1.0, 1.0)), ((1, slice(4, 6), slice(4, 6)), 450))
    assert agatston(scan) == pytest.approx(points)


def test_slice_thickness_is_never_spacing():
    # 3 mm slices every 1.5 mm: the same calcium lies in twice the slices and must not count twice
    one = painted(uniform(), ((1, slice(4, 6), slice(4, 6)), 450))
    overlapping = painted(
        uniform((8, 16, 16), spacing_mm=(1.5, 1.0, 1.0)), ((slice(2, 4), slice(4, 6), slice(4, 6)), 450)
    )
    assert agatston(replace(overlapping, slice_thickness_mm=3.0)) == agatston(one) == 16


def test_pixels_need_not_be_square():
    # 4 pixels of 0.5 x 0.8 mm = 1.6 mm² x 4
    scan = painted(uniform(spacing_mm=(3.0, 0.5, 0.8)), ((1, slice(4, 6), slice(4, 6)), 450))
    assert agatston(scan) == pytest.approx(6.4)
    assert score(scan, bright(scan), RULES).regions["LAD"].area_mm2 == pytest.approx(1.6)


# --- tube voltage -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kvp", "points"), [(70, 0), (80, 4), (100, 4), (120, 4), (135, 8)])
def test_thresholds_and_weights_follow_the_tube_voltage(kvp, points):
    # 4 mm² at 190 HU: below 207 at 70 kVp; weight 1 at 80 (177-270), 100 (145-221) and 120; weight 2 at 135 (from 183)
    scan = painted(uniform(kvp=kvp), ((1, slice(4, 6), slice(4, 6)), 190))
    assert agatston(scan, definition_for("agatston-1990", kvp)) == points


# --- volume and mass --------------------------------------------------------------------------------------------------


def test_volume_and_mass_by_hand():
    # 6 voxels of 1.5 mm³ (3 x 0.5 x 1 mm) = 9 mm³; mean HU (4 x 400 + 2 x 250) / 6 = 350;
    # 9 mm³ x 350 HU x 0.8 mg/cm³/HU = 2520 / 1000 mg
    scan = uniform(spacing_mm=(3.0, 0.5, 1.0), mass_factor=0.8)
    scan = painted(scan, ((1, 4, slice(4, 8)), 400), ((1, 5, slice(4, 6)), 250))
    found = score(scan, bright(scan), RULES).regions["LAD"]
    assert found.volume_mm3 == pytest.approx(9)
    assert found.mass_mg == pytest.approx(2.52)
    assert found.area_mm2 == pytest.approx(3)


def test_without_calibration_there_is_no_mass():
    scan = painted(uniform(), ((1, 4, slice(4, 8)), 400))
    found = score(scan, bright(scan), RULES)
    assert {region.mass_mg for region in found.regions.values()} == {None}
    assert found.lm_lad.mass_mg is None


def test_what_the_area_rule_drops_has_no_volume_either():
    scan = painted(uniform(spacing_mm=(3.0, 0.5, 0.5)), ((1, 4, slice(4, 7)), 400))
    found = score(scan, bright(scan), RULES).regions["LAD"]
    assert (found.agatston, found.volume_mm3, found.area_mm2, found.lesions) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("factor", "agatston_points", "volume", "mass"),
    [
        # 100 mgHA/mL = 125 HU: the 2 voxels at 127 count for volume only; (2 x 127 + 4 x 150) x 3 x 0.8 / 1000
        (0.8, 4.0, 18.0, 2.0496),
        # 100 mgHA/mL = 140 HU: the 2 at 135 count for Agatston only; 4 x 150 x 3 x 5/7 / 1000
        (100 / 140, 6.0, 12.0, 9 / 7),
    ],
)
def test_philips_volume_and_mass_have_their_own_threshold(factor, agatston_points, volume, mass):
    scan = painted(uniform(mass_factor=factor), ((1, 4, slice(4, 8)), 150))
    scan = painted(scan, ((1, 5, slice(4, 6)), 127 if factor == 0.8 else 135))
    everything = mask(scan, {Vessel.LAD: np.s_[:, :, :]})
    rules = definition_for("philips", 120)
    found = score(scan, everything, rules).regions["LAD"]
    assert found.agatston == pytest.approx(agatston_points)
    assert found.volume_mm3 == pytest.approx(volume)
    assert found.mass_mg == pytest.approx(mass)
    (lesion,) = lesions(scan, everything, rules)
    assert (lesion.agatston, lesion.volume_mm3) == pytest.approx((agatston_points, volume))
    # what is kept is all that counts for either
    assert np.count_nonzero(keep(scan, everything, rules).labels) == 6


def test_a_piece_between_the_two_philips_thresholds_has_volume_and_no_agatston_score():
    scan = painted(uniform(mass_factor=0.8), ((1, 4, slice(4, 8)), 127))
    everything = mask(scan, {Vessel.LAD: np.s_[:, :, :]})
    (lesion,) = lesions(scan, everything, definition_for("philips", 120))
    assert (lesion.agatston, lesion.volume_mm3) == (0, 12)
    found = score(scan, everything, definition_for("philips", 120))
    assert (found.regions["LAD"].lesions, found.vessels, found.density) == (1, 0, None)


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
    assert agatston(scan) == 12


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


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place",
    [
        grid((4, 16, 15)),
        grid(spacing_mm=(3.0, 1.0, 1.01)),
        grid(spacing_mm=(2.5, 1.0, 1.0)),
        grid(origin_lps_mm=(0.0, 0.5, 0.0)),
    ],
)
def test_a_mask_from_elsewhere_is_refused(place):
    elsewhere = CalciumMask(labels=np.zeros(place.shape, np.uint8), grid=place)
    for use in (score, lesions, keep):
        with pytest.raises(ValueError, match="grid of the volume"):
            use(uniform(), elsewhere, RULES)


def test_a_mask_whose_grid_differs_by_rounding_is_accepted():
    scan = painted(uniform(), ((1, 4, slice(4, 8)), 450))
    rounded = grid(origin_lps_mm=(0.0, 0.0, 1e-7))
    assert score(scan, CalciumMask(labels=bright(scan).labels, grid=rounded), RULES).regions["CAC"].agatston == 16


def test_a_label_of_no_vessel_is_refused():
    scan = painted(uniform(), ((1, 4, slice(4, 8)), 450))
    labels = (scan.hu >= 130).astype(np.uint8) * 7
    with pytest.raises(ValueError, match="label 7"):
        score(scan, CalciumMask(labels=labels, grid=scan.grid), RULES)


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


@given(st.integers(0, 2**32 - 1), st.sampled_from([RULES, definition_for("canon", 80)]))
@settings(max_examples=25, deadline=None)
def test_candidates_sum_to_the_score_of_everything_as_one_vessel(seed, rules):
    scan = speckled(seed)
    everything = mask(scan, {Vessel.TA: np.s_[:, :, :]})
    assert math.fsum(c.agatston for c in candidates(scan, rules)) == pytest.approx(
        score(scan, everything, rules).regions["AC"].agatston
    )


# --- phantoms ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hu", "factor"), [(150, 1), (250, 2), (350, 3), (450, 4)])
def test_cylinder_by_hand(hu, factor):
    # 2 mm across on 0.5 mm pixels whose centres lie at ±0.25, ±0.75 mm: of the 16 within ±0.75 the four corners are at
    # 1.06 mm, so 12 pixels of 0.25 mm² = 3 mm² in each of 2 slices
    scan = cylinder(hu, diameter_mm=2.0, length_mm=6.0)
    assert agatston(scan) == 2 * 3 * factor
    assert score(scan, bright(scan), RULES).regions["LAD"].volume_mm3 == 2 * 3 * 3


@pytest.mark.parametrize(
    ("density", "size", "measured"),
    [(800, 5, 246), (400, 5, 183), (200, 5, 77), (800, 3, 97), (400, 3, 37)],
)
def test_simulated_inserts_score_about_what_a_scanner_measured(density, size, measured):
    # Siemens, 120 kVp, 3 mm; where the insert lies between slices is not known
    assert agatston(blurred_insert(density, size)) == pytest.approx(measured, rel=0.25)


@pytest.mark.parametrize(
    ("density", "size", "true_mg"),
    [(200, 5, 19.63), (400, 5, 39.27), (800, 5, 78.54), (200, 3, 4.24), (400, 3, 8.48), (800, 3, 16.96)],
)
def test_mass_of_a_whole_insert_is_its_true_mass(density, size, true_mg):
    # in air of 0 HU with a threshold under all of the blur, nothing is lost: volume x mean HU x c is the mass put in
    scan = blurred_insert(density, size, background_hu=0)
    all_of_it = replace(ANY_SIZE, threshold_hu=1e-3)
    assert score(scan, bright(scan, floor_hu=1e-3), all_of_it).regions["CAC"].mass_mg == pytest.approx(
        true_mg, rel=2e-3
    )


# --- properties -------------------------------------------------------------------------------------------------------


def speckled(seed: int, spacing_mm=(2.5, 0.6, 0.9), mass_factor=0.8) -> CtVolume:
    """Calcium-like speckles of every class, dense enough to touch."""
    rng = np.random.default_rng(seed)
    values = rng.choice([40, 127, 130, 180, 200, 299, 300, 400, 900], size=(4, 9, 11), p=[0.5, 0.1] + [0.4 / 7] * 7)
    return replace(uniform((4, 9, 11), spacing_mm=spacing_mm, mass_factor=mass_factor), hu=values.astype(np.int16))


def strewn(seed: int) -> tuple[CtVolume, CalciumMask]:
    """Speckles with vessels in blocks that touch, and some unlabelled."""
    rng = np.random.default_rng(seed + 1)
    scan = speckled(seed)
    labels = np.kron(rng.integers(0, 7, (4, 3, 4)), np.ones((1, 3, 3)))[:, :9, :11].astype(np.uint8)
    sure = rng.random(np.count_nonzero(labels)).astype(np.float32)
    return scan, CalciumMask(labels=labels, grid=scan.grid, probability=sure)


def by_the_book(scan: CtVolume, labelled: CalciumMask, vessel: Vessel, rules) -> float:
    """Agatston as a plain loop over slices and components."""
    points = 0.0
    neighbours = np.ones((3, 3)) if rules.connectivity == 8 else None
    for hu, labels in zip(scan.hu, labelled.labels, strict=True):
        found, count = ndimage.label((labels == vessel.label) & (hu >= rules.threshold_hu), neighbours)
        for number in range(1, count + 1):
            pixels = int((found == number).sum())
            area = pixels * scan.grid.spacing_mm[1] * scan.grid.spacing_mm[2]
            if area < rules.minimum_area_mm2 or pixels < rules.minimum_pixels:
                continue
            points += area * (1 + sum(hu[found == number].max() >= limit for limit in rules.weight_limits_hu))
    return points * scan.grid.slice_spacing_mm / 3


SEEDS = st.integers(0, 2**31)
PROFILE_NAMES = st.sampled_from(["agatston-1990", "ge", "siemens", "philips", "canon"])
QUICK = settings(max_examples=40, deadline=None)


@given(SEEDS, PROFILE_NAMES, st.sampled_from([80, 120, 135]))
@QUICK
def test_runs_give_what_a_plain_loop_gives(seed, profile, kvp):
    scan, labelled = strewn(seed)
    rules = definition_for(profile, kvp)
    found = score(scan, labelled, rules)
    for vessel in Vessel:
        assert found.regions[vessel].agatston == pytest.approx(by_the_book(scan, labelled, vessel, rules))


@given(SEEDS, PROFILE_NAMES)
@QUICK
def test_lesions_sum_to_their_vessel(seed, profile):
    scan, labelled = strewn(seed)
    rules = definition_for(profile, 120)
    found, pieces = score(scan, labelled, rules), lesions(scan, labelled, rules)
    for vessel in Vessel:
        mine = [lesion for lesion in pieces if lesion.vessel is vessel]
        region = found.regions[vessel]
        assert len(mine) == region.lesions
        assert sum(lesion.agatston for lesion in mine) == pytest.approx(region.agatston)
        assert sum(lesion.volume_mm3 for lesion in mine) == pytest.approx(region.volume_mm3)
        assert sum(lesion.mass_mg or 0 for lesion in mine) == pytest.approx(region.mass_mg)


@given(SEEDS)
@QUICK
def test_lesions_are_the_3d_6_connected_pieces_of_the_kept_mask(seed):
    scan, labelled = strewn(seed)
    kept = keep(scan, labelled, RULES).labels
    counts = [ndimage.label(kept == vessel.label)[1] for vessel in Vessel]
    found = score(scan, labelled, RULES)
    assert [found.regions[vessel].lesions for vessel in Vessel] == counts


@given(SEEDS, PROFILE_NAMES)
@QUICK
def test_scoring_what_is_kept_changes_nothing(seed, profile):
    scan, labelled = strewn(seed)
    rules = definition_for(profile, 120)
    kept = keep(scan, labelled, rules)
    assert score(scan, kept, rules) == score(scan, labelled, rules)
    assert lesions(scan, kept, rules) == lesions(scan, labelled, rules)


@given(SEEDS, st.floats(0.5, 5))
@QUICK
def test_score_volume_and_mass_scale_with_slice_spacing(seed, times):
    scan, labelled = strewn(seed)
    z, y, x = scan.grid.spacing_mm
    stretched = replace(scan.grid, spacing_mm=(z * times, y, x))
    one = score(scan, labelled, RULES)
    other = score(replace(scan, grid=stretched), replace(labelled, grid=stretched), RULES)
    for name in REGIONS:
        assert other.regions[name].agatston == pytest.approx(one.regions[name].agatston * times)
        assert other.regions[name].volume_mm3 == pytest.approx(one.regions[name].volume_mm3 * times)
        assert other.regions[name].lesions == one.regions[name].lesions
    assert other.density == pytest.approx(one.density)


@given(SEEDS)
@QUICK
def test_vessels_add_up_and_do_not_disturb_each_other(seed):
    scan, labelled = strewn(seed)
    together = score(scan, labelled, RULES)
    for vessel in Vessel:
        alone = score(scan, mask(scan, {vessel: labelled.labels == vessel.label}), RULES)
        assert alone.regions[vessel] == together.regions[vessel]
    assert together.regions["CAC"].agatston == pytest.approx(sum(together.regions[v].agatston for v in CORONARIES))


@given(SEEDS, PROFILE_NAMES)
@QUICK
def test_eight_neighbours_never_score_less_than_four(seed, profile):
    scan, labelled = strewn(seed)
    rules = definition_for(profile, 120)
    four, eight = (score(scan, labelled, replace(rules, connectivity=n)) for n in (4, 8))
    for name in REGIONS:
        assert eight.regions[name].agatston >= four.regions[name].agatston - 1e-9


@given(SEEDS)
@QUICK
def test_at_or_above_never_scores_less_than_above(seed):
    # '>' at 130 on whole HU is '>=' at 131
    scan, labelled = strewn(seed)
    at, above = (score(scan, labelled, replace(RULES, threshold_hu=limit)) for limit in (130.0, 131.0))
    assert at.regions["CAC"].agatston >= above.regions["CAC"].agatston - 1e-9


@given(SEEDS, st.sampled_from([0, 1, 2]))
@QUICK
def test_turning_the_volume_over_changes_no_score(seed, axis):
    scan, labelled = strewn(seed)
    over = replace(scan, hu=np.flip(scan.hu, axis))
    flipped = CalciumMask(labels=np.flip(labelled.labels, axis), grid=scan.grid)
    one, other = score(scan, labelled, RULES), score(over, flipped, RULES)
    for name in REGIONS:
        assert other.regions[name].agatston == pytest.approx(one.regions[name].agatston)
        assert other.regions[name].mass_mg == pytest.approx(one.regions[name].mass_mg)
        assert other.regions[name].lesions == one.regions[name].lesions


@given(SEEDS)
@QUICK
def test_swapping_rows_and_columns_with_their_spacings_changes_no_score(seed):
    scan, labelled = strewn(seed)
    z, y, x = scan.grid.spacing_mm
    place = grid((4, 11, 9), (z, x, y))
    turned = replace(scan, hu=scan.hu.transpose(0, 2, 1), grid=place)
    other = score(turned, CalciumMask(labels=labelled.labels.transpose(0, 2, 1), grid=place), RULES)
    assert other.regions["CAC"].agatston == pytest.approx(score(scan, labelled, RULES).regions["CAC"].agatston)


@given(SEEDS)
@QUICK
def test_scores_stay_within_their_bounds(seed):
    found = score(*strewn(seed), RULES)
    assert all(r.agatston >= 0 and r.volume_mm3 >= 0 and (r.mass_mg or 0) >= 0 for r in found.regions.values())
    assert found.density is None or 1 <= found.density <= 4 + 1e-9
    assert found.diffusivity is None or 0 <= found.diffusivity <= 0.75 + 1e-9
    assert 0 <= found.vessels <= 4


@given(SEEDS)
@QUICK
def test_whole_numbers_score_alike_as_int16_and_float32(seed):
    scan, labelled = strewn(seed)
    same = replace(scan, hu=scan.hu.astype(np.float32))
    assert score(same, labelled, RULES) == score(scan, labelled, RULES)
    assert candidates(same, RULES) == candidates(scan, RULES)
