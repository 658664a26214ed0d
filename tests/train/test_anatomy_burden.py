"""Calcium burdens follow the cohorts they are drawn from."""

import numpy as np
import pytest

from model.lesions import Vessel
from train.anatomy.burden import draw_burden
from train.anatomy.ranges import Cohort

DRAWS = 1500


@pytest.fixture(scope="module")
def referred():
    return [draw_burden(np.random.default_rng([7, k]), Cohort.HIGH) for k in range(DRAWS)]


def test_categories_match_the_documented_cohort(referred) -> None:
    scores = np.array([burden.target_score for burden in referred])
    shares = [np.mean(scores == 0), np.mean((scores > 0) & (scores < 100)), np.mean((scores >= 100) & (scores < 400))]
    assert np.allclose(shares, [0.11, 0.11, 0.24], atol=0.035)
    assert abs(np.mean(scores >= 400) - 0.53) < 0.05


@pytest.mark.parametrize(("vessel", "share"), [(Vessel.LAD, 0.75), (Vessel.LCX, 0.57), (Vessel.RCA, 0.56)])
def test_vessel_prevalence_matches_the_documented_cohort(referred, vessel, share) -> None:
    found = np.mean([any(plaque.vessel is vessel for plaque in burden.plaques) for burden in referred])
    assert abs(found - share) < 0.05


def test_aortic_prevalence(referred) -> None:
    found = np.mean([burden.ascending + burden.descending > 0 for burden in referred])
    assert abs(found - 0.85) < 0.05


def test_planned_plaques_come_near_the_target(referred) -> None:
    ratio = [
        sum(plaque.agatston() for plaque in burden.plaques) / burden.target_score
        for burden in referred
        if burden.target_score > 50
    ]
    assert 0.8 < np.median(ratio) < 1.3


def test_no_burden_means_no_calcium() -> None:
    for seed in range(50):
        burden = draw_burden(np.random.default_rng(seed), Cohort.NONE)
        assert burden.plaques == ()
        assert burden.valve == burden.ascending == burden.descending == 0
