import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from train.evaluation.agreement import Estimate, bland_altman, bootstrapped, icc, kappa, proportion, spearman

# Shrout & Fleiss, Psychol Bull 1979;86:420-428, table 2: six targets, four judges
SHROUT_FLEISS = np.array(
    [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=np.float64
)
# Bland & Altman, Lancet 1986;i:307-310, table 1: peak flow by a large and by a mini meter, first readings, L/min
LARGE = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]
# Fleiss, Statistical Methods for Rates and Proportions, 2nd ed. 1981, table 13.1: per cent of 100 diagnoses
DIAGNOSES = np.array([[75, 1, 4], [5, 4, 1], [0, 0, 10]])

SCORES = hnp.arrays(np.float64, st.integers(3, 20), elements=st.integers(0, 2000).map(float))
TABLES = hnp.arrays(np.int64, (4, 4), elements=st.integers(0, 30))


def test_icc_of_shrout_and_fleiss():
    found = icc(SHROUT_FLEISS)
    assert found.value == pytest.approx(0.29, abs=0.005)
    assert found.low == pytest.approx(0.019, abs=0.001)
    assert found.high == pytest.approx(0.761, abs=0.001)


def test_icc_counts_a_constant_shift_as_disagreement():
    truth = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    # mean squares by hand: cases 5, raters 10, rest 0; 5 / (5 + 2 * 10 / 5)
    assert icc(np.stack([truth, truth + 2], axis=1)).value == pytest.approx(5 / 9)


@given(SCORES)
def test_icc_of_a_measurement_with_itself_is_one(scores):
    found = icc(np.stack([scores, scores], axis=1))
    if np.ptp(scores) == 0:
        assert math.isnan(found.value)
    else:
        assert found == Estimate(pytest.approx(1), pytest.approx(1), pytest.approx(1))


@given(SCORES, st.integers(0, 2**32 - 1))
def test_icc_does_not_ask_who_rated_first_and_lies_in_its_interval(scores, seed):
    other = scores + np.random.default_rng(seed).normal(0, 50, scores.size)
    pair = np.stack([scores, other], axis=1)
    found = icc(pair)
    assert found.value == pytest.approx(icc(pair[:, ::-1]).value, nan_ok=True)
    assert found.value <= 1
    assert found.low <= found.value <= found.high


def test_bland_and_altman_of_their_own_peak_flows():
    found = bland_altman(np.array(MINI, dtype=np.float64), np.array(LARGE, dtype=np.float64))
    assert found.bias.value == pytest.approx(-2.1, abs=0.05)
    assert found.sd == pytest.approx(38.8, abs=0.05)
    # the paper takes two standard deviations and rounds; 1999 gives 1.96 as here
    assert (found.low.value, found.high.value) == (pytest.approx(-78.1, abs=0.1), pytest.approx(73.9, abs=0.1))
    assert (found.bias.low, found.bias.high) == (pytest.approx(-22.0, abs=0.15), pytest.approx(17.8, abs=0.15))


def test_one_case_has_no_limits():
    found = bland_altman(np.array([1.0]), np.array([2.0]))
    assert found.cases == 1
    assert math.isnan(found.sd)


def test_kappa_of_fleiss_diagnoses():
    assert kappa(DIAGNOSES, 0) == pytest.approx(0.68, abs=0.005)
    # by hand: observed squared distance 0.23, by chance 0.94
    assert kappa(DIAGNOSES, 2) == pytest.approx(1 - 0.23 / 0.94)


@given(TABLES, st.sampled_from([0, 1, 2]))
def test_kappa_is_bounded_symmetric_and_one_on_the_diagonal(table, power):
    value = kappa(table, power)
    assert math.isnan(value) or -1 - 1e-9 <= value <= 1 + 1e-9
    assert kappa(table.T, power) == pytest.approx(value, nan_ok=True)
    diagonal = np.diag(np.diag(table))
    if np.count_nonzero(diagonal) > 1:
        assert kappa(diagonal, power) == pytest.approx(1)


def test_kappa_of_one_category_tells_nothing():
    assert math.isnan(kappa(np.diag([9, 0, 0]), 2))
    assert math.isnan(kappa(np.zeros((3, 3), dtype=np.int64), 2))


def test_spearman_by_hand_and_with_ties():
    # d² of the ranks of (106, 100, 86, 101, 99, 103, 97, 113, 112, 110) and (7, 27, 2, 50, 28, 29, 20, 12, 6, 17): 194
    first = np.array([106, 100, 86, 101, 99, 103, 97, 113, 112, 110], dtype=np.float64)
    second = np.array([7, 27, 2, 50, 28, 29, 20, 12, 6, 17], dtype=np.float64)
    assert spearman(first, second) == pytest.approx(1 - 6 * 194 / (10 * 99))
    # ranks 1.5, 1.5, 3, 4 and 1, 2, 3, 4
    assert spearman(np.array([0.0, 0, 5, 9]), np.array([0.0, 1, 5, 9])) == pytest.approx(4.5 / math.sqrt(4.5 * 5))
    assert math.isnan(spearman(np.zeros(5), np.arange(5.0)))


def test_the_bootstrap_holds_the_value_and_repeats():
    rng = np.random.default_rng(1)
    truth = rng.uniform(0, 1000, 40)
    read = truth + rng.normal(0, 200, 40)
    found = bootstrapped(spearman, truth, read)
    assert found.low < found.value < found.high
    assert found == bootstrapped(spearman, truth, read)
    assert math.isnan(bootstrapped(spearman, truth[:2], read[:2]).value)


def test_wilson_by_hand():
    # 81 of 263: 0.255 to 0.366 (Newcombe, Stat Med 1998;17:857-872, table I); 0 of 20: 0 to 0.1611
    assert proportion(81, 263) == Estimate(
        pytest.approx(0.308, abs=5e-4), pytest.approx(0.2553, abs=1e-4), pytest.approx(0.3662, abs=1e-4)
    )
    assert proportion(0, 20) == Estimate(0, 0, pytest.approx(0.1611, abs=1e-4))
    assert math.isnan(proportion(0, 0).value)


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_share_lies_in_its_interval(counts):
    found = proportion(*counts)
    assert 0 <= found.low <= found.value <= found.high <= 1
