import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from model.bundle import Calibration
from model.labels import Territory
from model.pooling import Verdict, decide, pool, softmax

PLAIN = Calibration()


def row(**shares: float):
    values = np.zeros(len(Territory), dtype=np.float32)
    for name, share in shares.items():
        values[Territory[name]] = share
    values[Territory.BACKGROUND] += 1 - values.sum()
    return values


def run(rows, component, near=None, calibration=PLAIN):
    component = np.array(component)
    near = np.ones((component.max() + 1, 2), dtype=bool) if near is None else np.array([near])
    return decide(np.stack(rows), component, near, calibration)


def vessels(found):
    return found.vessel[found.part].tolist()


def accepted(found):
    return found.accepted[found.part]


def test_a_component_is_decided_as_a_whole():
    found = run([row(LAD=0.9), row(LAD=0.6), row(LAD=0.3)], [0, 0, 0])
    assert vessels(found) == [2, 2, 2]
    assert accepted(found).all()
    np.testing.assert_allclose(found.probability[found.part], 0.6, atol=1e-6)


def test_a_component_that_is_mostly_background_is_not_calcium_but_may_be():
    found = run([row(LAD=0.3), row(LAD=0.2)], [0, 0])
    assert not accepted(found).any()
    assert found.coronary[found.part[0]] == pytest.approx(0.25)


def test_doubt_between_two_coronaries_is_no_doubt_that_it_is_coronary():
    found = run([row(LM=0.46, LAD=0.5)], [0])
    assert vessels(found) == [2]
    assert found.coronary[0] == pytest.approx(0.96)
    assert found.probability[0] == pytest.approx(0.5)


def test_a_confuser_that_outweighs_the_vessel_is_not_scored():
    assert not accepted(run([row(LCX=0.4, CONFUSER=0.5)], [0])).any()
    assert accepted(run([row(LCX=0.5, CONFUSER=0.4)], [0])).all()


@pytest.mark.parametrize("verdict", [None, Verdict(real=np.array([0.9]), accept_from=0.5, accept_aortic_from=0.5)])
def test_away_from_the_heart_nothing_is_coronary_or_valve_but_the_aorta_is(verdict):
    def far(near, **shares: float):
        found = decide(np.stack([row(**shares)]), np.zeros(1, np.int64), np.array([near]), PLAIN, verdict)
        return found.vessel[0], found.accepted[0], found.probability[0], found.coronary[0]

    for vessel in ("LM", "LAD", "LCX", "RCA", "AV"):
        _, taken, probability, coronary = far((False, True), **{vessel: 0.99})
        assert (taken, probability, coronary) == (False, 0, 0)
    assert far((False, True), TA=0.97)[:2] == (6, True)
    assert far((False, False), TA=0.99)[1:] == (False, 0, 0)


def test_a_component_is_cut_where_two_vessels_own_it():
    found = run([row(LM=0.9)] * 3 + [row(LAD=0.9)] * 3, [0] * 6)
    assert vessels(found) == [1, 1, 1, 2, 2, 2]
    assert accepted(found).all()


def test_a_sliver_of_another_vessel_is_not_cut_off():
    found = run([row(LAD=0.9)] * 9 + [row(LM=0.9)], [0] * 10)
    assert vessels(found) == [2] * 10


def test_a_lower_background_prior_finds_more():
    rows = [row(RCA=0.4)]
    assert not accepted(run(rows, [0])).any()
    assert accepted(run(rows, [0], calibration=Calibration(background_prior=0.4))).all()


def test_a_high_temperature_makes_less_sure():
    sure, unsure = (
        run([row(LAD=0.9, LM=0.1)], [0], calibration=Calibration(temperature=t)).probability[0] for t in (1.0, 3.0)
    )
    assert sure == pytest.approx(0.9)
    assert sure > unsure > 0.5


def test_probabilities_sum_to_one():
    logits = np.array([[0.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 90.0]], dtype=np.float32)
    np.testing.assert_allclose(softmax(logits).sum(), 1, atol=1e-6)


def judged(rows, real):
    component = np.arange(len(rows))
    verdict = Verdict(real=np.full(len(rows), real), accept_from=0.5, accept_aortic_from=0.5)
    return decide(np.stack(rows), component, np.ones((len(rows), 2), bool), PLAIN, verdict)


def test_a_judge_says_whether_and_the_shares_say_which():
    found = judged([row(LAD=0.06, LM=0.02)], 0.8)
    assert (vessels(found), accepted(found).tolist()) == ([2], [True])
    assert found.coronary[0] == pytest.approx(0.8)
    assert found.probability[0] == pytest.approx(0.8 * 0.75)
    assert not accepted(judged([row(LAD=0.99)], 0.4)).any()


def test_coronaries_in_doubt_outweigh_one_valve():
    found = judged([row(LM=0.3, LAD=0.3, AV=0.4)], 0.9)
    assert vessels(found)[0] in (1, 2)
    assert found.coronary[0] == pytest.approx(0.9 * 0.6)


def test_nothing_in_nothing_out():
    found = decide(np.zeros((0, 8), np.float32), np.zeros(0, np.int64), np.zeros((0, 2), bool), PLAIN)
    assert found.vessel.size == 0


@settings(deadline=None)
@given(
    groups=hnp.arrays(np.int64, st.integers(1, 40), elements=st.integers(0, 5)),
    data=st.data(),
)
def test_pooling_is_the_mean_of_each_group(groups, data):
    values = data.draw(hnp.arrays(np.float32, (groups.size, 3), elements=st.floats(0, 1, width=32)))
    pooled = pool(values, groups, 6)
    for group in range(6):
        mine = values[groups == group]
        np.testing.assert_allclose(pooled[group], mine.mean(axis=0) if mine.size else 0, atol=1e-5)


@settings(deadline=None)
@given(data=st.data(), count=st.integers(1, 30))
def test_every_decision_is_within_bounds(data, count):
    raw = data.draw(hnp.arrays(np.float32, (count, 8), elements=st.floats(0, 1, width=32)))
    component = np.sort(data.draw(hnp.arrays(np.int64, count, elements=st.integers(0, 4))))
    near = data.draw(hnp.arrays(np.bool_, (5, 2)))
    _, component = np.unique(component, return_inverse=True)
    real = data.draw(hnp.arrays(np.float64, 5, elements=st.floats(0, 1)))[: component.max() + 1]
    for verdict in (None, Verdict(real=real, accept_from=0.5, accept_aortic_from=0.5)):
        found = decide(softmax(raw * 8), component, near[: component.max() + 1], PLAIN, verdict)
        assert set(vessels(found)) <= {1, 2, 3, 4, 5, 6}
        assert ((found.probability >= 0) & (found.probability <= 1 + 1e-6)).all()
        assert ((found.coronary >= 0) & (found.coronary <= 1 + 1e-6)).all()


def test_the_aorta_has_a_limit_of_its_own():
    lad, aorta = np.zeros((2, len(Territory)), dtype=np.float32)
    lad[Territory.LAD] = aorta[Territory.TA] = 1.0
    verdict = Verdict(real=np.array([0.4, 0.4]), accept_from=0.3, accept_aortic_from=0.5)
    decision = decide(np.stack([lad, aorta]), np.array([0, 1]), np.ones((2, 2), np.bool_), Calibration(), verdict)
    assert decision.accepted[decision.part].tolist() == [True, False]
