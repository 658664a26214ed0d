from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from node.dispatch.clock_watch import ClockWatch

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("shown", "passed", "jump"),
    [
        (10.0, 10.0, 0.0),
        (11.5, 10.0, 0.0),  # slewed
        (8.5, 10.0, 0.0),
        (3610.0, 10.0, 3600.0),
        (-86_390.0, 10.0, -86_400.0),
        (60.0, 0.0, 60.0),  # the machine slept: the steady clock did too
    ],
)
def test_what_the_clock_shows_beyond_what_has_passed(shown, passed, jump):
    seconds = iter([5.0, 5.0 + passed])
    watch = ClockWatch(lambda: next(seconds))
    assert watch.jump(START) == timedelta(0)
    assert watch.jump(START + timedelta(seconds=shown)) == timedelta(seconds=jump)


def test_each_jump_is_told_once():
    seconds = iter(range(4))
    watch = ClockWatch(lambda: next(seconds))
    shown = [0, 1, 101, 102]
    assert [watch.jump(START + timedelta(seconds=at)).total_seconds() for at in shown] == [0, 0, 99, 0]
