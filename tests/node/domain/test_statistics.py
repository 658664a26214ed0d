"""Figures over many cases, checked against published examples, other ways to the same number, and invariants."""

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.agreement import agreement, band_on_roots, icc, kappa, spread
from node.domain.drift import CusumRule, InputFacts, cusum, input_by_period
from node.domain.review import ReviewOutcome
from node.domain.statistics import (
    Observation,
    Period,
    Rates,
    pairs_of,
    period_for,
    rates,
    rates_by,
    rates_by_period,
    rates_by_tier,
    wilson,
)
from node.domain.tiers import Limits, Tier

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
SCORES = st.floats(0, 5000, allow_nan=False)
PAIRS = st.lists(st.tuples(SCORES, SCORES), max_size=30)


def case(number=1, ours=0.0, human=0.0, *, tier=Tier.CONCORDANT, outcome=None, days=0, scanner="A"):
    return Observation(
        id=number,
        made_at=START + timedelta(days=days),
        tier=tier,
        outcome=outcome,
        scanner=scanner,
        model_version="1",
        ours=ours,
        human=human,
    )


def test_kappa_is_cohens():
    table = ((20, 5), (10, 15))  # observed 0.7, expected 0.5
    assert kappa(table, 1) == pytest.approx(0.4)


def test_kappa_weighs_distance():
    near = ((10, 2, 0), (0, 10, 0), (0, 0, 10))
    far = ((10, 0, 2), (0, 10, 0), (0, 0, 10))
    assert kappa(near, 1) > kappa(far, 1)
    assert kappa(far, 2) < kappa(far, 1)


def test_kappa_of_one_category_is_unknown():
    assert kappa(((5, 0), (0, 0)), 1) is None


def test_icc_of_the_published_example():
    # The first two of the four judges of Shrout and Fleiss 1979, worked by hand from the mean squares:
    # cases 7.1333 (5 degrees), judges 48, rest 0.8 (5 degrees).
    pairs = [(9, 2), (6, 1), (8, 4), (7, 1), (10, 5), (6, 2)]
    rows = [sum(pair) / 2 for pair in pairs]
    grand = sum(rows) / 6
    cases = 2 * sum((row - grand) ** 2 for row in rows) / 5
    judges = 6 * sum((sum(pair[side] for pair in pairs) / 6 - grand) ** 2 for side in (0, 1))
    rest = (sum((value - grand) ** 2 for pair in pairs for value in pair) - cases * 5 - judges) / 5
    assert icc(pairs) == pytest.approx((cases - rest) / (cases + rest + 2 / 6 * (judges - rest)))


def test_icc_of_equal_reads_is_one_and_sees_a_shift():
    assert icc([(1, 1), (50, 50), (400, 400)]) == pytest.approx(1)
    assert icc([(11, 1), (60, 50), (410, 400)]) < 1
    assert icc([(0, 0), (0, 0)]) is None
    assert icc([(1, 2)]) is None


@given(PAIRS)
def test_icc_is_symmetric_and_at_most_one(pairs):
    here, there = icc(pairs), icc([(human, ours) for ours, human in pairs])
    assert (here is None) == (there is None)
    if here is not None:
        assert here <= 1 + 1e-9
        assert here == pytest.approx(there, abs=1e-6)


def test_limits_of_agreement():
    found = spread([1.0, 2.0, 3.0])
    assert (found.bias, found.sd) == (2, 1)
    assert (found.low, found.high) == pytest.approx((0.04, 3.96))
    assert spread([1.0]) is None


@given(PAIRS)
def test_agreement_turns_round_with_the_readers(pairs):
    limits = Limits()
    one, other = agreement(pairs, limits), agreement([(human, ours) for ours, human in pairs], limits)
    assert one.confusion.total == one.count == len(pairs)
    assert one.confusion.table == tuple(zip(*other.confusion.table, strict=True))
    assert one.within == other.within
    assert (one.zero_ours, one.zero_human) == (other.zero_human, other.zero_ours)
    assert (one.raw is None) == (len(pairs) < 2)
    if one.root is not None:
        assert one.root.bias == pytest.approx(-other.root.bias, abs=1e-9)


def test_same_counts_the_diagonal():
    found = agreement([(0, 0), (5, 0), (120, 130), (500, 900)], Limits())
    assert (found.confusion.same, found.confusion.total) == (3, 4)
    assert found.confusion.table[1][0] == 1


@given(SCORES, SCORES)
def test_the_band_on_roots_is_the_rule_on_scores(ours, human):
    limits = Limits()
    one, other = math.sqrt(ours), math.sqrt(human)
    beyond = abs(ours - human) - 4.93 * math.sqrt((ours + human) / 2)
    if abs(beyond) > 1e-6:  # on the line itself rounding decides
        assert (abs(one - other) > band_on_roots((one + other) / 2, 4.93) + 1e-12) == limits.beyond(ours, human)


def test_rates_count_what_they_say():
    cases = [
        case(1, 0, 0),
        case(2, 50, 0, tier=Tier.PRIORITY, outcome=ReviewOutcome.NODE_RIGHT),
        case(3, 50, 90, tier=Tier.REVIEW, outcome=ReviewOutcome.HUMAN_RIGHT),
        case(4, 50, 90, tier=Tier.REVIEW),
        case(5, 50, None),
        case(6, 50, 0, tier=Tier.NOT_COMPARABLE, outcome=ReviewOutcome.BOTH_WRONG),
    ]
    found = rates(cases)
    assert found == Rates(
        compared=5, not_comparable=1, flagged=3, settled=2, upheld=1, zero_ours=1, zero_human=2, paired=4
    )
    assert (found.flag_rate, found.upheld_rate, found.zero_rates) == (0.6, 0.5, (0.25, 0.5))
    low, high = found.upheld_range
    assert 0 < low < 0.5 < high < 1
    assert pairs_of(cases) == ((0, 0), (50, 0), (50, 90), (50, 90))


def test_nothing_has_no_rates():
    empty = Rates()
    assert (empty.flag_rate, empty.upheld_rate, empty.upheld_range, empty.zero_rates) == (
        None,
        None,
        None,
        (None, None),
    )


def test_rates_by_name_and_tier_add_up():
    cases = [case(n, scanner="AB"[n % 2], tier=tuple(Tier)[n % 5]) for n in range(20)]
    by_scanner = rates_by(cases, lambda one: one.scanner)
    assert list(by_scanner) == ["A", "B"]
    assert sum(one.compared + one.not_comparable for one in by_scanner.values()) == 20
    by_tier = rates_by_tier(cases[:1])
    assert list(by_tier) == list(Tier)
    assert by_tier[Tier.CONCORDANT].compared == 1
    assert by_tier[Tier.MINOR] == Rates()


def test_wilson_of_the_textbook():
    # 81 of 263, 95 %: 0.2553 to 0.3662 (Newcombe, Stat Med 1998;17:857-872, table I).
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0, 0.1611), abs=1e-4)
    assert wilson(0, 0) is None


def test_periods_are_named_so_that_they_sort():
    last = datetime(2027, 1, 1, 12, tzinfo=UTC)
    assert Period.WEEK.of(last, UTC) == "2026-W53"
    assert Period.DAY.of(last, UTC) == "2027-01-01"
    assert Period.MONTH.of(last, UTC) == "2027-01"
    assert list(rates_by_period([case(1, days=40), case(2)], Period.MONTH, UTC)) == ["2026-01", "2026-02"]


@pytest.mark.parametrize(
    ("days", "period"), [(0, Period.DAY), (45, Period.DAY), (90, Period.WEEK), (900, Period.MONTH)]
)
def test_a_chart_has_neither_few_nor_many_points(days, period):
    assert period_for([START, START + timedelta(days=days)]) is period


def test_without_cases_there_are_months():
    assert period_for([]) is Period.MONTH


def noisy(count, shift=0.0, begin=0):
    """Roots that differ by a fixed pattern of mean 0 and by a shift."""
    pattern = (0.5, -0.5, 0.2, -0.2, 0.8, -0.8)
    return [case(begin + n, (10 + pattern[n % 6] + shift) ** 2, 100, days=begin + n) for n in range(count)]


def test_cusum_is_quiet_while_nothing_moves():
    assert cusum(noisy(300)).alarms == ()


@pytest.mark.parametrize("sign", [1, -1])
def test_cusum_notices_a_lasting_shift_soon(sign):
    found = cusum([*noisy(120), *noisy(60, sign * 0.6, begin=120)])
    assert found.alarms
    first = found.alarms[0]
    assert 120 < first.case < 140
    assert (first.high > found.rule.h) if sign > 0 else (-first.low > found.rule.h)
    after = found.alarm_places[0] + 1
    assert max(found.high[after], -found.low[after]) < found.rule.h  # begins again


def test_cusum_takes_one_gross_miss_for_a_case_not_for_a_drift():
    cases = noisy(200)
    cases[150] = case(150, 2500, 0, days=150)
    assert cusum(cases).alarms == ()


def test_cusum_leaves_out_what_says_nothing():
    cases = [case(1), case(2, 5, None), case(3, 9, 0, tier=Tier.NOT_COMPARABLE), case(4, 9, 9)]
    found = cusum(cases, CusumRule(baseline=2))
    assert len(found.high) == len(found.low) == 1
    assert found.scale == 0.1
    assert cusum([]).high == []


def test_cusum_without_a_median_uses_all_that_differ():
    cases = [*(case(n, 100, 100) for n in range(5)), case(9, 121, 100), case(10, 144, 100)]
    assert cusum(cases).scale == pytest.approx(math.sqrt(5 / 7))


def test_drift_of_the_input_is_told_by_medians():
    facts = [
        InputFacts(made_at=START, noise_hu=20, kvp=120, slice_spacing_mm=3),
        InputFacts(made_at=START, noise_hu=30, kvp=120),
        InputFacts(made_at=START + timedelta(days=40), noise_hu=50),
    ]
    found = input_by_period(facts, Period.MONTH, UTC)
    january, february = found["2026-01"], found["2026-02"]
    assert (january.count, january.noise_hu, january.kvp, january.slice_spacing_mm) == (2, 25, 120, 3)
    assert (february.count, february.noise_hu, february.kvp) == (1, 50, None)
