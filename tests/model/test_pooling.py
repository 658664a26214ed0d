import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from model.bundle import Calibration
from model.labels import Territory
from model.pooling import decide, pool, softmax

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


def test_a_component_is_decided_as_a_whole():
    found = run([row(LAD=0.9), row(LAD=0.6), row(LAD=0.3)], [0, 0, 0])
    assert found.vessel.tolist() == [2, 2, 2]
    assert found.accepted.all()
    np.testing.assert_allclose(found.probability, 0.6, atol=1e-6)


def test_a_component_that_is_mostly_background_is_not_calcium_but_possible():
    found = run([row(LAD=0.3), row(LAD=0.2)], [0, 0])
    assert not found.accepted.any()
    assert found.possible.all()
    assert not run([row(LAD=0.03)], [0]).possible.any()


def test_doubt_between_two_coronaries_is_no_doubt_that_it_is_coronary():
    found = run([row(LM=0.46, LAD=0.5)], [0])
    assert found.vessel.tolist() == [2]
    assert found.certain.all()
    assert found.probability[0] == pytest.approx(0.5)


def test_a_confuser_that_outweighs_the_vessel_is_not_scored():
    assert not run([row(LCX=0.4, CONFUSER=0.5)], [0]).accepted.any()
    assert run([row(LCX=0.5, CONFUSER=0.4)], [0]).accepted.all()


def test_away_from_the_heart_nothing_is_coronary_or_valve_but_the_aorta_is():
    for vessel in ("LM", "LAD", "LCX", "RCA", "AV"):
        assert not run([row(**{vessel: 0.99})], [0], near=(False, True)).possible.any()
    assert run([row(TA=0.97)], [0], near=(False, True)).certain.all()
    assert not run([row(TA=0.99)], [0], near=(False, False)).possible.any()


def test_a_component_is_cut_where_two_vessels_own_it():
    found = run([row(LM=0.9)] * 3 + [row(LAD=0.9)] * 3, [0] * 6)
    assert found.vessel.tolist() == [1, 1, 1, 2, 2, 2]
    assert found.accepted.all()


def test_a_sliver_of_another_vessel_is_not_cut_off():
    found = run([row(LAD=0.9)] * 9 + [row(LM=0.9)], [0] * 10)
    assert found.vessel.tolist() == [2] * 10


def test_a_lower_background_prior_finds_more():
    rows = [row(RCA=0.4)]
    assert not run(rows, [0]).accepted.any()
    assert run(rows, [0], calibration=Calibration(background_prior=0.4)).accepted.all()


def test_a_high_temperature_makes_less_sure():
    logits = np.array([[0.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]], dtype=np.float32)
    sure, unsure = softmax(logits, 1.0), softmax(logits, 4.0)
    assert sure[0, 1] > unsure[0, 1] > 1 / 8
    np.testing.assert_allclose([sure.sum(), unsure.sum()], 1, atol=1e-6)


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
def test_certain_is_accepted_and_accepted_is_possible(data, count):
    raw = data.draw(hnp.arrays(np.float32, (count, 8), elements=st.floats(0, 1, width=32)))
    component = np.sort(data.draw(hnp.arrays(np.int64, count, elements=st.integers(0, 4))))
    near = data.draw(hnp.arrays(np.bool_, (5, 2)))
    _, component = np.unique(component, return_inverse=True)
    found = decide(softmax(raw * 8, 1.0), component, near[: component.max() + 1], PLAIN)
    assert (found.certain <= found.accepted).all()
    assert (found.accepted <= found.possible).all()
    assert set(found.vessel.tolist()) <= {1, 2, 3, 4, 5, 6}
    assert ((found.probability >= 0) & (found.probability <= 1)).all()
