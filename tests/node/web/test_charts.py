"""Charts of whatever comes: well formed, within their frame, and the same in the table beside."""

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.domain.agreement import agreement
from node.domain.drift import InputSummary, cusum
from node.domain.statistics import Observation, Period, rates_by_period
from node.domain.tiers import Limits, Tier
from node.web.charts.agreement import bland_altman, bland_altman_roots, category_names, confusion_matrix
from node.web.charts.courses import cusum_chart, flag_rates, input_charts, zero_rates
from node.web.charts.drawing import HEIGHT, WIDTH, Scale, number_text, ticks

SCORES = st.one_of(st.just(0.0), st.floats(0, 50_000))
PLACES = {"x": WIDTH, "x1": WIDTH, "x2": WIDTH, "cx": WIDTH, "y": HEIGHT, "y1": HEIGHT, "y2": HEIGHT, "cy": HEIGHT}


def check(chart):
    root = ET.fromstring(chart.svg)  # noqa: S314 - made here
    assert root[0].text == chart.title
    for one in root.iter():
        assert "style" not in one.attrib
        for name, most in PLACES.items():
            assert -1 <= float(one.get(name, 0)) <= most + 1, (chart.key, one.tag, one.attrib)
        for pair in one.get("points", "").split():
            x, y = map(float, pair.split(","))
            assert 0 <= x <= WIDTH
            assert 0 <= y <= HEIGHT
    assert all(len(row) == len(chart.header) for row in chart.rows)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(SCORES, SCORES), max_size=12))
def test_every_chart_stays_within_its_frame(pairs):
    limits = Limits()
    cases = [
        Observation(
            id=number,
            made_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=9 * number),
            tier=tuple(Tier)[number % 5],
            outcome=None,
            scanner="A",
            model_version="1",
            ours=ours,
            human=human,
        )
        for number, (ours, human) in enumerate(pairs)
    ]
    found = agreement(pairs, limits)
    periods = rates_by_period(cases, Period.WEEK, UTC)
    for chart in (
        bland_altman(pairs, found, limits),
        bland_altman_roots(pairs, found, limits),
        confusion_matrix(found.confusion, limits),
        cusum_chart(cusum(cases)),
        flag_rates(periods),
        zero_rates(periods),
    ):
        check(chart)


@pytest.mark.parametrize("values", [(None, None), (20.0, None), (20.0, 20.0), (120.0, 70.0)])
def test_medians_that_are_missing_or_equal_do_no_harm(values):
    periods = {
        str(number): InputSummary(count=1, noise_hu=value, kvp=value, slice_spacing_mm=value)
        for number, value in enumerate(values)
    }
    for chart in input_charts(periods):
        check(chart)


def test_many_cases_are_thinned_and_said_to_be():
    pairs = [(float(number), float(number + 1)) for number in range(5000)]
    chart = bland_altman(pairs, agreement(pairs, Limits()), Limits())
    assert chart.svg.count("<circle") <= 1500
    assert "of 5000 cases are drawn" in chart.caption


def test_categories_are_named_by_the_limits():
    assert category_names(Limits()) == ("0", "1–99", "100–399", "≥ 400")
    assert category_names(Limits(category_limits=(), crucial_limits=())) == ("0", "above 0")


def test_ticks_are_round_and_few():
    assert [text for _, text in ticks(Scale(0, 1, 0, 100))] == ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    assert number_text(-3.14159, 0.1) == "−3.1"
    for high in (1e-3, 7, 1234, 5e4):
        assert 3 <= len(ticks(Scale(-high, high, 0, 100))) <= 12
