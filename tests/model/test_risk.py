from __future__ import annotations

import math
from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.risk import (
    CATEGORIES,
    Ethnicity,
    MesaCovariates,
    OutsideModelError,
    Sex,
    ValveFinding,
    aortic_valve_severity,
    arterial_age,
    cac_drs,
    category,
    mesa_risk,
)

SCORES = st.floats(0, 20_000)
NO_SCORE = pytest.mark.parametrize("score", [-0.1, float("nan"), float("inf")])


@pytest.mark.parametrize(
    ("cac", "expected"),
    [
        (0, "0"),
        (0.01, "1-99"),
        (0.6, "1-99"),
        (1, "1-99"),
        (99.6, "1-99"),
        (99.999, "1-99"),
        (100, "100-399"),
        (399.99, "100-399"),
        (400, ">=400"),
        (4000, ">=400"),
    ],
)
def test_category_goes_by_the_unrounded_score(cac, expected):
    assert category(cac) == expected


@given(SCORES, SCORES)
def test_category_never_falls_as_the_score_rises(one, other):
    low, high = sorted((one, other))
    assert CATEGORIES.index(category(low)) <= CATEGORIES.index(category(high))


@pytest.mark.parametrize(
    ("cac", "vessels", "expected"),
    [
        (0, 0, "A0/N0"),
        (0.3, 1, "A1/N1"),
        (99.9, 2, "A1/N2"),
        (100, 3, "A2/N3"),
        (299.9, 4, "A2/N4"),
        (300, 1, "A3/N1"),
    ],
)
def test_cac_drs(cac, vessels, expected):
    assert cac_drs(cac, vessels) == expected


@pytest.mark.parametrize(("cac", "vessels"), [(0, 1), (5, 0), (5, 5), (0, -1)])
def test_cac_drs_refuses_what_cannot_be(cac, vessels):
    with pytest.raises(ValueError, match=r"vessels|coronaries"):
        cac_drs(cac, vessels)


def test_arterial_age_by_hand():
    # 39.1 + 7.25 ln(1) and 39.1 + 7.25 ln(101) = 39.1 + 7.25 x 4.61512
    assert arterial_age(0) == 39.1
    assert arterial_age(100) == pytest.approx(72.5596, abs=1e-4)


@given(SCORES, SCORES)
def test_arterial_age_rises_with_the_score(one, other):
    low, high = sorted((one, other))
    assert arterial_age(low) <= arterial_age(high)


@pytest.mark.parametrize(
    ("score", "sex", "expected"),
    [
        (1999.9, Sex.MALE, ValveFinding.BELOW_SEVERE),
        (2000, Sex.MALE, ValveFinding.SEVERE_LIKELY),
        (1199.9, Sex.FEMALE, ValveFinding.BELOW_SEVERE),
        (1200, Sex.FEMALE, ValveFinding.SEVERE_LIKELY),
        (1199.9, None, ValveFinding.BELOW_SEVERE),
        (1200, None, ValveFinding.SEX_NEEDED),
        (1999.9, None, ValveFinding.SEX_NEEDED),
        (2000, None, ValveFinding.SEVERE_LIKELY),
    ],
)
def test_aortic_valve_thresholds_differ_by_sex(score, sex, expected):
    assert aortic_valve_severity(score, sex) is expected


PERSON = MesaCovariates(
    age=70,
    sex=Sex.MALE,
    ethnicity=Ethnicity.HISPANIC,
    diabetes=False,
    smoker=False,
    total_cholesterol_mg_dl=190,
    hdl_cholesterol_mg_dl=50,
    lipid_medication=False,
    systolic_mm_hg=130,
    hypertension_medication=True,
    family_history=False,
)


def test_mesa_risk_by_hand():
    # 70 x 0.0172 + 0.4079 - 0.0222 + 190 x 0.0043 - 50 x 0.0114 + 130 x 0.0066 + 0.2278 = 2.9225; e^2.9225 = 18.588;
    # 1 - 0.99833^18.588 = 3.06 %, the worked example of the R package CVrisk
    assert mesa_risk(0, PERSON) == pytest.approx(0.0306, abs=5e-5)


def test_mesa_risk_with_every_factor_by_hand():
    # 60 x 0.0172 + 0.0353 + 0.3892 + 0.3717 + 240 x 0.0043 - 40 x 0.0114 + 0.1206 + 150 x 0.0066 + 0.2278 + 0.3239
    # + ln(301) x 0.2743 = 5.6320; 1 - 0.99833^279.2 = 0.3729
    person = MesaCovariates(
        age=60,
        sex=Sex.FEMALE,
        ethnicity=Ethnicity.BLACK,
        diabetes=True,
        smoker=True,
        total_cholesterol_mg_dl=240,
        hdl_cholesterol_mg_dl=40,
        lipid_medication=True,
        systolic_mm_hg=150,
        hypertension_medication=True,
        family_history=True,
    )
    assert mesa_risk(300, person) == pytest.approx(0.3729, abs=5e-4)


@pytest.mark.parametrize("name", [field.name for field in fields(MesaCovariates)])
def test_no_mesa_risk_while_anything_is_unknown(name):
    person = replace(PERSON, **{name: None})
    assert person.missing() == (name,)
    assert mesa_risk(100, person) is None


@pytest.mark.parametrize("age", [44.9, 85, float("nan")])
def test_mesa_risk_is_for_the_ages_of_the_study(age):
    with pytest.raises(OutsideModelError, match="45 to 84"):
        mesa_risk(100, replace(PERSON, age=age))


def test_the_last_year_of_the_study_counts_to_its_end():
    assert mesa_risk(100, replace(PERSON, age=84.9)) is not None


@pytest.mark.parametrize("name", ["total_cholesterol_mg_dl", "hdl_cholesterol_mg_dl", "systolic_mm_hg"])
@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_mesa_risk_refuses_what_was_never_measured(name, value):
    with pytest.raises(OutsideModelError, match=name):
        mesa_risk(100, replace(PERSON, **{name: value}))


@given(SCORES, SCORES, st.sampled_from(Ethnicity), st.sampled_from(Sex))
def test_mesa_risk_is_a_probability_that_rises_with_calcium(one, other, ethnicity, sex):
    person = replace(PERSON, ethnicity=ethnicity, sex=sex)
    low, high = (mesa_risk(score, person) for score in sorted((one, other)))
    assert low is not None
    assert high is not None
    assert 0 < low <= high < 1


@NO_SCORE
def test_a_score_is_a_number_from_zero_up(score):
    for judge in (category, arterial_age):
        with pytest.raises(ValueError, match="0 or more"):
            judge(score)
    with pytest.raises(ValueError, match="0 or more"):
        cac_drs(score, 1)
    with pytest.raises(ValueError, match="0 or more"):
        aortic_valve_severity(score, Sex.MALE)
    with pytest.raises(ValueError, match="0 or more"):
        mesa_risk(score, PERSON)


def test_calcium_doubles_the_log_term_not_the_risk():
    # going from 0 to e - 1 adds exactly 0.2743 to the exponent
    before, after = mesa_risk(0, PERSON), mesa_risk(math.e - 1, PERSON)
    assert before is not None
    assert after is not None
    assert math.log(1 - after) / math.log(1 - before) == pytest.approx(math.exp(0.2743))
