"""Whether a scanner has been silent for longer than is usual for it.

Time is counted only where a scanner usually works: on weekdays on which it sent in at least half of the weeks looked
at, from half an hour before the time when half of those days had begun to half an hour after half had ended. Nights
and free weekdays lengthen nothing. The gaps between the studies of the past, counted so, are its habit: silence is
unusual when it is ``factor`` times as long as nine in ten of them, and no shorter than ``least``. A scanner with too
short a past has no habit, and is never called silent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import pairwise
from statistics import median
from types import MappingProxyType
from typing import Final

_SHARE_OF_GAPS: Final = 0.9
_LEAST_DAYS: Final = 6
_LEAST_WEEKS: Final = 2
_DAY: Final = timedelta(days=1)
_MARGIN_SECONDS: Final = 1800  # a scanner that sends once a day has hours too


@dataclass(frozen=True, slots=True, kw_only=True)
class SilenceRule:
    """When silence is called unusual.

    Attributes
    ----------
    factor
        How many times as long as the scanner's usual gap, counted in its usual hours.
    least
        Shorter silence is never unusual, counted the same way.
    weeks
        How much of the past is looked at.
    zone
        In which weekdays and hours are counted.

    """

    factor: float = 3.0
    least: timedelta = timedelta(hours=4)
    weeks: int = 8
    zone: tzinfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Habit:
    """How a scanner usually sends: its hours (start, end) by weekday (0: Monday), and its usual gap in them."""

    windows: Mapping[int, tuple[time, time]]
    gap: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """A scanner that is silent. ``usual_hours`` of its working time have passed since ``since``."""

    sender: str
    since: datetime
    usual_hours: float


def habit_of(arrivals: Iterable[datetime], rule: SilenceRule) -> Habit | None:
    """The habit of a scanner, from when its studies began to arrive; None if that is too little to go by.

    Only what came before the last arrival, and no earlier than ``rule.weeks`` before it, counts: waiting changes no
    habit.
    """
    moments = sorted(arrivals)
    if not moments:
        return None
    recent = [one.astimezone(rule.zone) for one in moments if one > moments[-1] - timedelta(weeks=rule.weeks)]
    days = _by_day(recent)
    weeks = max(1, (recent[-1].date() - recent[0].date()).days // 7 + 1)
    if len(days) < _LEAST_DAYS or weeks < _LEAST_WEEKS:
        return None
    windows = _windows(days, weeks)
    if not windows:
        return None
    gaps = sorted(passed(earlier, later, windows, rule.zone) for earlier, later in pairwise(recent))
    return Habit(windows=MappingProxyType(windows), gap=gaps[min(len(gaps) - 1, int(_SHARE_OF_GAPS * len(gaps)))])


def silence_of(sender: str, arrivals: Sequence[datetime], now: datetime, rule: SilenceRule) -> Silence | None:
    """Whether a scanner is silent at ``now``, against its habit."""
    habit = habit_of(arrivals, rule)
    if habit is None:
        return None
    last = max(arrivals)
    waited = passed(last, now, habit.windows, rule.zone)
    if waited <= max(rule.least, rule.factor * habit.gap):
        return None
    return Silence(sender=sender, since=last, usual_hours=waited / timedelta(hours=1))


def passed(start: datetime, end: datetime, windows: Mapping[int, tuple[time, time]], zone: tzinfo) -> timedelta:
    """How much of the usual hours lies between two moments."""
    first, last = start.astimezone(UTC), end.astimezone(UTC)
    total, day, final = timedelta(0), start.astimezone(zone).date(), end.astimezone(zone).date()
    while day <= final:
        window = windows.get(day.weekday())
        if window is not None:  # in UTC: by the clock on the wall a night in October would pass twice
            opens, closes = (datetime.combine(day, at, zone).astimezone(UTC) for at in window)
            total += max(timedelta(0), min(closes, last) - max(opens, first))
        day += _DAY
    return total


def _by_day(moments: Iterable[datetime]) -> dict[date, tuple[time, time]]:
    """For each day, when the first and the last study came, by the clock on the wall."""
    found: dict[date, tuple[time, time]] = {}
    for moment in moments:
        at = moment.time()
        first, last = found.get(moment.date(), (at, at))
        found[moment.date()] = (min(first, at), max(last, at))
    return found


def _windows(days: Mapping[date, tuple[time, time]], weeks: int) -> dict[int, tuple[time, time]]:
    """The usual hours of every weekday that is usual."""
    by_weekday: dict[int, list[tuple[time, time]]] = defaultdict(list)
    for day, hours in days.items():
        by_weekday[day.weekday()].append(hours)
    return {
        weekday: (
            _clock(_middle([first for first, _ in hours]) - _MARGIN_SECONDS),
            _clock(_middle([last for _, last in hours]) + _MARGIN_SECONDS),
        )
        for weekday, hours in by_weekday.items()
        if 2 * len(hours) >= weeks
    }


def _middle(times: Sequence[time]) -> int:
    """The median, in seconds since midnight."""
    return int(median(one.hour * 3600 + one.minute * 60 + one.second for one in times))


def _clock(second: int) -> time:
    inside = min(max(second, 0), 86_399)
    return time(inside // 3600, inside // 60 % 60, inside % 60)
