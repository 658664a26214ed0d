from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from model.company import Company
from model.judgement import FEATURES, INPUTS, OF_NEIGHBOURS, RISING, Judge, inputs, rises

NAMES = list(FEATURES)
NONE = np.zeros((2, 0), np.int64)
HIDDEN = 5
WAYS = Company(slope=1.1, weight=0.6, bias=-1.0)
AMONG = {"coronary": WAYS, "aortic": Company(slope=0.9, weight=0.3, bias=-0.5)}


def judge(seed=0, company=()):
    rng = np.random.default_rng(seed)
    inner = rng.normal(size=(len(INPUTS), HIDDEN))
    inner[[rises(name) for name in INPUTS]] **= 2
    return Judge(
        centre=rng.normal(size=len(INPUTS)),
        scale=rng.uniform(0.5, 2, len(INPUTS)),
        inner=inner,
        inner_bias=rng.normal(size=HIDDEN),
        outer=rng.uniform(0, 1, HIDDEN),
        bias=0.3,
        company=dict(company),
    )


@settings(deadline=None, max_examples=100)
@given(
    features=hnp.arrays(np.float64, (3, len(FEATURES)), elements=st.floats(-5, 5)),
    which=st.sampled_from(sorted(RISING)),
    more=st.floats(0, 5),
    component=st.integers(0, 2),
    seed=st.integers(0, 3),
    among=st.sampled_from([{}, AMONG]),
)
def test_more_of_what_the_networks_say_for_calcium_never_makes_any_component_less_likely(
    features, which, more, component, seed, among
):
    changed = features.copy()
    changed[component, NAMES.index(which)] += more
    touching = np.array([[0], [1]])
    before, after = (judge(seed, among).probability(values, touching) for values in (features, changed))
    assert (after >= before - 1e-12).all()
    assert ((after >= 0) & (after <= 1)).all()


def test_the_highest_of_the_neighbours_counts_and_a_stranger_does_not():
    features = np.random.default_rng(1).normal(size=(4, len(FEATURES)))
    seen = inputs(features, np.array([[0, 2], [1, 0]]))
    assert seen.shape == (4, len(INPUTS))
    np.testing.assert_array_equal(seen[:, : len(FEATURES)], features)
    for column, name in enumerate(OF_NEIGHBOURS, start=len(FEATURES)):
        values = features[:, NAMES.index(name)]
        np.testing.assert_array_equal(seen[:, column], [max(values[1], values[2]), values[0], values[0], np.nan])
    assert seen[:, -1].tolist() == [0, 0, 0, 1]


def test_a_neighbour_that_is_not_there_counts_as_nothing_known():
    features = np.random.default_rng(1).normal(size=(1, len(FEATURES)))
    ours = judge()
    seen = inputs(features, NONE)
    as_usual = np.where(np.isnan(seen), ours.centre, seen)
    np.testing.assert_allclose(ours.probability(features, NONE), ours.of_inputs(as_usual))


def test_the_order_of_a_pair_does_not_matter():
    features = np.random.default_rng(1).normal(size=(3, len(FEATURES)))
    one, other = (judge().probability(features, np.array(pair)) for pair in ([[0], [1]], [[1], [0]]))
    np.testing.assert_array_equal(one, other)


def test_one_unit_by_hand():
    inner = np.zeros((len(INPUTS), 1))
    inner[NAMES.index("contrast")] = 0.5
    ours = Judge(
        centre=np.ones(len(INPUTS)),
        scale=np.full(len(INPUTS), 2.0),
        inner=inner,
        inner_bias=np.array([0.1]),
        outer=np.array([3.0]),
        bias=-1.0,
    )
    features = np.ones((2, len(FEATURES)))
    features[:, NAMES.index("contrast")] = [4.0, 1e9]
    # (4 - 1) / 2 standard deviations; what is beyond six counts as six
    expected = 1 / (1 + np.exp(1 - 3 * np.tanh(np.array([0.5 * 1.5, 0.5 * 6.0]) + 0.1)))
    np.testing.assert_allclose(ours.probability(features, NONE), expected)


def test_other_coronary_calcium_of_the_scan_makes_a_doubtful_component_likelier():
    features = np.zeros((3, len(FEATURES)))
    features[:, NAMES.index("log_area")] = np.log(20.0)
    features[2, NAMES.index("aortic")] = 1.0
    lonely, doubtful = features[:1], features
    alone = judge().of_inputs(inputs(doubtful, NONE))
    ours = judge(company=AMONG)
    # one other of 20 mm2 that may be coronary; the third is the aorta's, which counts for nothing and has no company
    with_one = WAYS.slope * np.log(alone[0] / (1 - alone[0])) + WAYS.weight * np.log1p(20 * alone[1]) + WAYS.bias
    np.testing.assert_allclose(ours.probability(doubtful, NONE)[0], 1 / (1 + np.exp(-with_one)))
    lonely_aortic = AMONG["aortic"].slope * np.log(alone[2] / (1 - alone[2])) + AMONG["aortic"].bias
    np.testing.assert_allclose(ours.probability(doubtful, NONE)[2], 1 / (1 + np.exp(-lonely_aortic)))
    assert ours.probability(lonely, NONE)[0] < ours.probability(doubtful, NONE)[0]


def test_calcium_of_the_valve_is_left_as_it_is():
    features = np.zeros((2, len(FEATURES)))
    features[:, NAMES.index("valve")] = 1.0
    np.testing.assert_array_equal(judge(company=AMONG).probability(features, NONE), judge().probability(features, NONE))


def test_no_component_no_probability():
    assert judge().probability(np.zeros((0, len(FEATURES))), NONE).shape == (0,)


@pytest.mark.parametrize("company", [{}, AMONG])
def test_what_is_written_is_what_is_read(company):
    ours = judge(company=company)
    theirs = Judge.of(ours.as_dict(), ours.arrays())
    features = np.random.default_rng(2).normal(size=(5, len(FEATURES)))
    np.testing.assert_array_equal(theirs.probability(features, NONE), ours.probability(features, NONE))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"centre": np.zeros(3)}, "centre needs"),
        ({"scale": np.zeros(len(INPUTS))}, "positive"),
        ({"inner": np.full((len(INPUTS), HIDDEN), np.nan)}, "inner needs"),
        ({"inner": np.zeros((len(INPUTS), HIDDEN + 1))}, "inner needs"),
        ({"inner": -np.ones((len(INPUTS), HIDDEN))}, "wrong sign: over_background"),
        ({"outer": -np.ones(HIDDEN)}, "wrong sign: outer"),
        ({"bias": np.inf}, "finite"),
        ({"company": {"valvular": WAYS}}, "kind valvular"),
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
        Judge.of(ours.as_dict() | {"inputs": NAMES[1:]}, ours.arrays())
    with pytest.raises(TypeError, match="company is a table"):
        Judge.of(ours.as_dict() | {"company": None}, ours.arrays())
    with pytest.raises(ValueError, match="arrays"):
        Judge.of(ours.as_dict(), {"centre": ours.centre})
