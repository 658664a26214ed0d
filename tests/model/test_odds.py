import numpy as np

from model.odds import logistic, odds


def test_log_odds_beyond_measure_do_not_overflow():
    np.testing.assert_allclose(logistic(np.array([-1e6, 0.0, 1e6])), [0, 0.5, 1])


def test_odds_are_the_way_back_and_finite_at_both_ends():
    np.testing.assert_allclose(odds(logistic(np.array([-5.0, 0.0, 3.0]))), [-5, 0, 3])
    assert np.isfinite(odds(np.array([0.0, 1.0]))).all()
