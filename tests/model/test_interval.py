import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.interval import Claims, score_interval

NONE = np.zeros((2, 0), np.int64)


def claims(*pairs):
    points, probability = np.array(pairs, dtype=float).reshape(-1, 2).T
    return Claims(points=points, probability=probability)


def test_nothing_in_doubt_nothing_to_add():
    assert score_interval(Claims.none(), 0.0) == (0.0, 0.0)
    assert score_interval(claims((100, 1.0), (30, 0.0)), 100.0) == (100.0, 100.0)


def test_one_lesion_in_doubt_by_hand():
    assert score_interval(claims((100, 1.0), (30, 0.5)), 130.0) == pytest.approx((100, 130))
    # absent with 4 %: that is below the fifth percentile
    assert score_interval(claims((100, 1.0), (30, 0.96)), 130.0) == pytest.approx((130, 130))
    assert score_interval(claims((100, 1.0), (30, 0.04)), 100.0) == pytest.approx((100, 100))


@settings(deadline=None, max_examples=100)
@given(
    lesions=st.lists(st.tuples(st.floats(1, 500), st.floats(0.01, 0.99)), min_size=1, max_size=7), score=st.floats(0, 9)
)
def test_it_holds_what_counting_every_case_gives_and_little_more(lesions, score):
    found = claims(*lesions)
    sums, chances = [], []
    for there in itertools.product((0, 1), repeat=len(lesions)):
        sums.append(float(np.dot(there, found.points)))
        chances.append(float(np.prod(np.where(there, found.probability, 1 - found.probability))))
    order = np.argsort(sums)
    below = np.cumsum(np.array(chances)[order])
    if np.abs(below[:, None] - (0.05, 0.95)).min() < 1e-6:
        return
    low, high = score_interval(found, score)
    first, last = (sums[order[np.searchsorted(below, level)]] for level in (0.05, 0.95))
    assert low <= min(first, score) + 1e-9
    assert high >= max(last, score) - 1e-9
    # no wider than by a step for each lesion
    step = len(lesions) * found.points.sum() / 4096
    assert low == pytest.approx(min(first, score), abs=step)
    assert high == pytest.approx(max(last, score), abs=step)


def test_rounding_leaves_no_score_out_that_has_its_chance():
    # a patient of whom every lesion is doubtful, and real
    found = claims((53.043, 0.3), (60.1, 0.97), (54.386, 0.98))
    assert score_interval(found, 114.486)[1] >= 53.043 + 60.1 + 54.386 - 1e-9


@settings(deadline=None, max_examples=60)
@given(
    lesions=st.lists(st.tuples(st.floats(0, 500), st.floats(0, 1)), max_size=20),
    score=st.floats(0, 3000),
)
def test_it_holds_the_score_and_no_more_than_everything(lesions, score):
    found = claims(*lesions)
    low, high = score_interval(found, score)
    assert low <= score <= high
    assert low >= 0
    assert high <= max(score, found.points.sum()) + 1e-6


def test_pieces_that_touch_are_there_or_not_together():
    points, probability = np.array([60.0, 40.0, 10.0]), np.array([0.9, 0.4, 0.5])
    joined = Claims.joined(points, probability, np.array([[0], [1]]))
    assert joined.points.tolist() == [100.0, 10.0]
    assert joined.probability == pytest.approx([0.7, 0.5])
    assert (joined.points * joined.probability).sum() == pytest.approx((points * probability).sum())
    assert Claims.joined(np.zeros(0), np.zeros(0), NONE).points.size == 0
