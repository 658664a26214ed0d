from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from model.judgement import FEATURES, Judge, logistic

NAMES = list(FEATURES)
NONE = np.zeros((2, 0), np.int64)


def judge(link=(1.0, 0.5, 0.2, -0.1), seed=0):
    rng = np.random.default_rng(seed)
    signs = np.array(list(FEATURES.values()))
    weight = rng.normal(size=len(FEATURES))
    weight = np.where(signs == 0, weight, signs * np.abs(weight))
    return Judge(
        centre=rng.normal(size=len(FEATURES)),
        scale=rng.uniform(0.5, 2, len(FEATURES)),
        weight=weight,
        bias=0.3,
        link=np.array(link),
    )


@settings(deadline=None, max_examples=50)
@given(
    features=hnp.arrays(np.float64, (3, len(FEATURES)), elements=st.floats(-5, 5)),
    which=st.sampled_from([name for name, sign in FEATURES.items() if sign]),
    more=st.floats(0, 5),
    component=st.integers(0, 2),
)
def test_more_of_what_speaks_for_calcium_never_makes_any_component_less_likely(features, which, more, component):
    changed = features.copy()
    changed[component, NAMES.index(which)] += more * FEATURES[which]
    touching = np.array([[0], [1]])
    before, after = (judge().probability(values, touching) for values in (features, changed))
    assert (after >= before - 1e-12).all()
    assert ((after >= 0) & (after <= 1)).all()


def test_a_likely_neighbour_makes_likelier_and_a_stranger_does_not():
    features = np.random.default_rng(1).normal(size=(3, len(FEATURES)))
    features[1] += 2.0 * np.array(list(FEATURES.values()))
    alone = judge(link=(1, 0.5, 0, 0)).probability(features, NONE)
    beside = judge(link=(1, 0.5, 0, 0)).probability(features, np.array([[0], [1]]))
    assert beside[0] > alone[0]
    assert beside[2] == alone[2]


def test_the_order_of_a_pair_does_not_matter():
    features = np.random.default_rng(1).normal(size=(3, len(FEATURES)))
    one, other = (judge().probability(features, np.array(pair)) for pair in ([[0], [1]], [[1], [0]]))
    np.testing.assert_array_equal(one, other)


def test_no_component_no_probability():
    assert judge().probability(np.zeros((0, len(FEATURES))), NONE).shape == (0,)


def test_what_is_written_is_what_is_read():
    ours = judge()
    theirs = Judge.of(ours.as_dict(), ours.arrays())
    features = np.random.default_rng(2).normal(size=(5, len(FEATURES)))
    np.testing.assert_array_equal(theirs.probability(features, NONE), ours.probability(features, NONE))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"centre": np.zeros(3)}, "centre needs"),
        ({"scale": np.zeros(len(FEATURES))}, "positive"),
        ({"weight": np.full(len(FEATURES), np.nan)}, "weight needs"),
        ({"weight": -np.ones(len(FEATURES))}, "wrong sign: over_background"),
        ({"link": np.array([1.0, -1.0, 0.0, 0.0])}, "wrong sign: link"),
        ({"bias": np.inf}, "finite"),
        ({"accept_from": 1.0}, "accept_"),
        ({"accept_aortic_from": 0.0}, "accept_"),
    ],
)
def test_impossible_judges_are_refused(change, says):
    with pytest.raises(ValueError, match=says):
        replace(judge(), **change)


def test_a_judge_by_other_features_is_refused():
    ours = judge()
    with pytest.raises(ValueError, match="other features"):
        Judge.of(ours.as_dict() | {"features": NAMES[1:]}, ours.arrays())
    with pytest.raises(ValueError, match="arrays"):
        Judge.of(ours.as_dict(), {"centre": ours.centre})


def test_log_odds_beyond_measure_do_not_overflow():
    np.testing.assert_allclose(logistic(np.array([-1e6, 0.0, 1e6])), [0, 0.5, 1])
