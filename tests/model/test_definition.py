from __future__ import annotations

from dataclasses import replace

import pytest

from model.scoring import PROFILES, UnknownProfileError, UnsupportedKvpError, definition_for, weight

TABLES = {
    70: (207, 318, 477, 636),
    80: (177, 271, 408, 544),
    100: (145, 222, 334, 446),
    120: (130, 200, 300, 400),
    135: (119, 183, 274, 364),
}


def test_the_default_is_agatston_1990_at_120_kvp():
    rules = definition_for()
    assert (rules.profile, rules.connectivity, rules.minimum_area_mm2, rules.minimum_pixels) == (
        "agatston-1990",
        8,
        1.0,
        1,
    )
    assert (rules.threshold_hu, *rules.weight_limits_hu) == (130, 200, 300, 400)
    assert (rules.kvp, rules.kvp_adapted) == (120, False)


@pytest.mark.parametrize(
    ("profile", "connectivity", "area", "pixels", "text"),
    [
        ("agatston-1990", 8, 1.0, 1, "1 mm2"),
        ("ge", 4, 1.0, 1, "1 mm2"),
        ("siemens", 4, 0.0, 1, "none"),
        ("philips", 4, 0.5, 1, "0.5 mm2"),
        ("canon", 4, 0.0, 3, "3 pixels"),
    ],
)
def test_profiles_name_their_rules(profile, connectivity, area, pixels, text):
    rules = definition_for(profile, 120)
    assert (rules.connectivity, rules.minimum_area_mm2, rules.minimum_pixels) == (connectivity, area, pixels)
    assert rules.minimum_area_text == text


def test_both_area_rules_are_said_where_both_hold():
    assert replace(definition_for("ge", 120), minimum_pixels=3).minimum_area_text == "1 mm2 and 3 pixels"


def test_an_unknown_profile_is_refused_with_the_known_ones():
    with pytest.raises(UnknownProfileError, match="'toshiba'; there are agatston-1990, ge, siemens, philips, canon"):
        definition_for("toshiba", 120)


@pytest.mark.parametrize("kvp", TABLES)
@pytest.mark.parametrize("off", [-0.5, 0, 0.5])
@pytest.mark.parametrize("profile", PROFILES)
def test_limits_follow_the_tube_voltage_within_half_a_kilovolt(kvp, off, profile):
    rules = definition_for(profile, kvp + off)
    assert (rules.threshold_hu, *rules.weight_limits_hu) == TABLES[kvp]
    assert rules.kvp == kvp + off
    assert rules.kvp_adapted is (kvp != 120)


@pytest.mark.parametrize("kvp", [0, 60, 70.6, 90, 110, 119.4, 130, 140, float("nan")])
def test_a_voltage_without_a_table_is_declined_with_those_there_are(kvp):
    with pytest.raises(UnsupportedKvpError, match="tables for 70, 80, 100, 120, 135 kVp"):
        definition_for("agatston-1990", kvp)


def test_a_scan_that_hides_its_voltage_is_scored_at_120_and_says_so():
    rules = definition_for("agatston-1990", None)
    assert rules == replace(definition_for(), kvp=None)
    assert not rules.kvp_adapted


@pytest.mark.parametrize(
    ("peak", "expected"),
    [
        (-1024, 0),
        (129.99, 0),
        (130, 1),
        (199.99, 1),
        (200, 2),
        (299, 2),
        (299.99, 2),
        (300, 3),
        (399, 3),
        (400, 4),
        (3071, 4),
    ],
)
def test_a_limit_belongs_to_the_class_it_opens(peak, expected):
    assert weight(peak, definition_for()) == expected


@pytest.mark.parametrize(("kvp", "limits"), TABLES.items())
def test_weights_at_every_voltage(kvp, limits):
    rules = definition_for("agatston-1990", kvp)
    assert [weight(limit, rules) for limit in limits] == [1, 2, 3, 4]
    assert [weight(limit - 1, rules) for limit in limits] == [0, 1, 2, 3]


def test_philips_counts_volume_from_100_mg_per_ml():
    rules = definition_for("philips", 120)
    assert rules.volume_threshold_hu(0.8) == 125  # 100 mg/mL / (0.8 mg/mL per HU)
    assert rules.volume_rule_text(0.8) == "100 mgHA/mL = 125 HU"


def test_philips_without_calibration_falls_back_and_says_so():
    rules = definition_for("philips", 120)
    assert rules.volume_threshold_hu(None) == 130
    assert rules.volume_rule_text(None) == "130 HU (uncalibrated: 100 mgHA/mL cannot be found)"


@pytest.mark.parametrize("factor", [None, 0.8])
def test_elsewhere_volume_shares_the_agatston_threshold(factor):
    rules = definition_for("agatston-1990", 80)
    assert rules.volume_threshold_hu(factor) == 177
    assert rules.volume_rule_text(factor) == "177 HU"


def test_a_definition_that_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="4- or 8-connected"):
        replace(definition_for(), connectivity=6)
    with pytest.raises(ValueError, match="must rise"):
        replace(definition_for(), threshold_hu=250)
