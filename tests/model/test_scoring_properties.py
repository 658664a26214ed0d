"""What holds of scores for every scan and mask."""

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
from tests.phantoms import grid, mask, uniform

RULES = definition_for()


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


@given(st.integers(0, 2**32 - 1), st.sampled_from([RULES, definition_for("canon", 80)]))
@settings(max_examples=25, deadline=None)
def test_candidates_sum_to_the_score_of_everything_as_one_vessel(seed, rules):
    scan = speckled(seed)
    everything = mask(scan, {Vessel.TA: np.s_[:, :, :]})
    assert math.fsum(c.agatston for c in candidates(scan, rules)) == pytest.approx(
        score(scan, everything, rules).regions["AC"].agatston
    )
