"""Scores by hand: what counts, how it is weighed, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from model.lesions import CalciumMask, Vessel
from model.scoring import definition_for, keep, lesions, score
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
