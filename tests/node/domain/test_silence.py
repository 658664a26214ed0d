"""Unusual silence: weekday-aware, robust, and never said of a scanner that keeps to its habit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.domain.silence import SilenceRule, habit_of, passed, silence_of

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
RULE = SilenceRule(zone=UTC)
HOUR = timedelta(hours=1)


def worked(weeks: int = 6, hours=(8, 9, 10, 11, 13, 14, 15, 16), days=range(5), first=MONDAY):
    """A scanner that sends one study at each of these hours on these weekdays."""
    return [
        first + timedelta(weeks=week, days=day, hours=hour) for week in range(weeks) for day in days for hour in hours
    ]


def test_a_working_day_without_a_study_is_unusual():
    arrivals = worked()
    last = arrivals[-1]
    monday = last.replace(hour=0) + timedelta(days=3)
    assert silence_of("CT01", arrivals, monday + 10 * HOUR, RULE) is None
    silence = silence_of("CT01", arrivals, monday + 16 * HOUR, RULE)
    assert silence is not None
    assert (silence.sender, silence.since) == ("CT01", last)
    assert silence.usual_hours == pytest.approx(9.0)  # half an hour on Friday, half past seven to four on Monday


def test_nights_and_weekends_are_no_silence():
    arrivals = worked()
    for hours in range(1, 62):  # Friday 16:00 to Monday 06:00
        assert silence_of("CT01", arrivals, arrivals[-1] + hours * HOUR, RULE) is None


def test_a_scanner_of_weekends_only_is_judged_by_weekends():
    arrivals = worked(days=(5, 6))
    assert silence_of("CT01", arrivals, arrivals[-1] + timedelta(days=5), RULE) is None
    assert silence_of("CT01", arrivals, arrivals[-1] + timedelta(days=7), RULE) is not None


@pytest.mark.parametrize("arrivals", [[], worked(weeks=1), [MONDAY] * 100, worked(weeks=8, days=(), hours=())])
def test_without_enough_of_a_past_there_is_no_habit(arrivals):
    assert habit_of(arrivals, RULE) is None
    assert silence_of("CT01", arrivals, MONDAY + timedelta(weeks=52), RULE) is None


def test_one_study_a_day_is_a_habit_too():
    arrivals = worked(hours=(10,))
    assert silence_of("CT01", arrivals, arrivals[-1] + timedelta(days=5), RULE) is None
    assert silence_of("CT01", arrivals, arrivals[-1] + timedelta(days=10), RULE) is not None


def test_scattered_days_are_no_habit():
    assert habit_of([MONDAY + timedelta(days=9 * number) for number in range(6)], RULE) is None


@pytest.mark.parametrize("gone", [(2,), (1, 3)])
def test_a_week_off_or_a_burst_changes_little(gone):
    usual = worked(weeks=8)
    odd = [one for one in usual if (one - MONDAY).days // 7 not in gone]
    odd += [usual[-1] - timedelta(minutes=minute) for minute in range(1, 20)]
    one, other = habit_of(usual, RULE), habit_of(odd, RULE)
    assert one is not None
    assert other is not None
    assert other.windows == one.windows
    assert other.gap <= one.gap + HOUR


def test_the_clock_change_neither_adds_nor_takes_time():
    zone = ZoneInfo("Europe/Berlin")
    night = datetime(2026, 10, 24, 22, tzinfo=UTC)  # midnight in Berlin, a day of 25 hours
    windows = dict.fromkeys(range(7), (datetime.min.time(), datetime.max.time().replace(microsecond=0)))
    assert passed(night, night + 25 * HOUR, windows, zone) == pytest.approx(25 * HOUR, abs=timedelta(seconds=2))


moments = st.lists(st.integers(0, 60 * 24 * 60).map(lambda minute: MONDAY + timedelta(minutes=minute)), max_size=60)
factors = st.floats(1, 10)
waits = st.integers(0, 90 * 24).map(lambda hours: hours * HOUR)


@settings(max_examples=60, deadline=None)
@given(moments, factors, waits, waits)
def test_whoever_is_silent_stays_so_until_the_next_study(arrivals, factor, wait, more):
    rule = SilenceRule(factor=factor, zone=ZoneInfo("Europe/Berlin"))
    last = max(arrivals, default=MONDAY)
    early, late = (silence_of("CT01", arrivals, last + one, rule) for one in (wait, wait + more))
    if early is not None:
        assert late is not None
        assert late.usual_hours >= early.usual_hours
        assert late.since == early.since == last


@settings(max_examples=60, deadline=None)
@given(moments, waits, st.randoms())
def test_order_does_not_count_and_an_impatient_rule_finds_more(arrivals, wait, random):
    now = max(arrivals, default=MONDAY) + wait
    shuffled = list(arrivals)
    random.shuffle(shuffled)
    patient = silence_of("CT01", arrivals, now, SilenceRule(factor=5, zone=UTC))
    assert patient == silence_of("CT01", shuffled, now, SilenceRule(factor=5, zone=UTC))
    if patient is not None:
        assert silence_of("CT01", arrivals, now, SilenceRule(factor=1, least=HOUR, zone=UTC)) is not None


@settings(max_examples=40, deadline=None)
@given(
    st.sets(st.integers(0, 6), min_size=1), st.sets(st.integers(0, 23), min_size=1), st.integers(4, 9), st.floats(0, 1)
)
def test_a_scanner_that_keeps_to_its_week_is_never_silent(days, hours, weeks, share):
    arrivals = worked(weeks=weeks, days=sorted(days), hours=sorted(hours))
    following = worked(weeks=1, days=sorted(days), hours=sorted(hours), first=MONDAY + timedelta(weeks=weeks))
    now = arrivals[-1] + share * (following[0] - arrivals[-1])
    assert silence_of("CT01", arrivals, now, RULE) is None
    habit = habit_of(arrivals, RULE)
    if habit is not None:
        assert set(habit.windows) == days
        assert silence_of("CT01", arrivals, arrivals[-1] + timedelta(weeks=400), RULE) is not None
