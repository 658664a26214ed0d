from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from model.company import Company, company
from model.odds import logistic, odds

NONE = np.zeros((2, 0), np.int64)
WAYS = Company(slope=1.2, weight=0.5, bias=-2.0)


def test_a_lesion_is_no_company_to_itself():
    probability, area = np.array([0.5, 1.0, 0.25]), np.array([8.0, 4.0, 16.0])
    np.testing.assert_allclose(company(probability, area, NONE), np.log1p([8, 8, 8]))
    # the first two touch, and are one lesion
    np.testing.assert_allclose(company(probability, area, np.array([[0], [1]])), np.log1p([4, 4, 8]))


def test_another_scan_is_no_company():
    probability, area = np.ones(4), np.array([1.0, 2.0, 4.0, 8.0])
    apart = company(probability, area, NONE, np.array([0, 1, 0, 1]))
    np.testing.assert_allclose(apart, np.log1p([4, 8, 1, 2]))


def test_a_scan_without_components_has_no_company():
    assert company(np.zeros(0), np.zeros(0), NONE).shape == (0,)


def test_log_odds_are_weighed_as_it_says_and_those_of_the_aorta_are_left():
    said = WAYS.weigh(np.array([0.5, 0.5]), np.array([3.0, 3.0]), np.array([True, False]))
    np.testing.assert_allclose(said, [1 / (1 + np.exp(0.5)), 0.5])


@settings(deadline=None)
@given(
    alone=hnp.arrays(np.float64, 4, elements=st.floats(0.001, 0.999)),
    area=hnp.arrays(np.float64, 4, elements=st.floats(0.1, 100)),
    which=st.integers(0, 3),
    more=st.floats(0, 5),
    pair=st.tuples(st.integers(0, 3), st.integers(0, 3)),
)
def test_more_calcium_anywhere_never_makes_any_less_likely(alone, area, which, more, pair):
    touching = np.array(pair)[:, None]
    surer = alone.copy()
    surer[which] = logistic(odds(alone[which]) + more)
    before, after = (
        WAYS.weigh(values, company(values, area, touching), np.ones(4, np.bool_)) for values in (alone, surer)
    )
    assert (after >= before - 1e-9).all()


def test_what_is_written_is_what_is_read():
    assert Company.of(WAYS.as_dict()) == WAYS


@pytest.mark.parametrize("change", [{"slope": 0.0}, {"weight": -0.1}, {"bias": np.inf}, {"slope": np.nan}])
def test_company_that_could_make_calcium_less_likely_is_refused(change):
    with pytest.raises(ValueError, match="company needs"):
        replace(WAYS, **change)


def test_company_that_lacks_a_number_is_refused():
    with pytest.raises(KeyError):
        Company.of({"slope": 1.0})
    with pytest.raises(TypeError, match="slope, weight and bias"):
        Company.of(1.0)
