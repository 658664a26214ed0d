"""When the node lets go of data: at its hour, when it missed that, and when room is needed."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from node.dispatch.clock_watch import ClockWatch
from node.dispatch.retention import RetentionWorker, next_hour
from node.dispatch.settle import Settler
from node.domain.retention import RetentionRule
from node.stages.retain import Retainer
from tests.dicom_series import ct_series, thorax
from tests.node.rig import Rig

RULE = RetentionRule(images=timedelta(days=30), free_bytes=100)


class Watched(Retainer):
    """Says when it ran."""

    def __init__(self, rig: Rig, rule: RetentionRule = RULE) -> None:
        self.bytes = 100
        self.ran: list[tuple[datetime, bool]] = []
        self.aged: list[bool] = []
        super().__init__(rig.storage, rule, free=lambda: self.bytes)

    def run(self, now, *, by_clock=True, by_age=True, proceed=lambda: True):
        self.ran.append((now, by_clock))
        self.aged.append(by_age)
        return super().run(now, by_clock=by_clock, by_age=by_age, proceed=proceed)


def worker_of(rig: Rig, retainer: Retainer, hour: int = 3) -> RetentionWorker:
    settler = Settler(rig.ledger, rig.clock, random.Random(0))
    worker = RetentionWorker(
        ledger=rig.ledger, settler=settler, clock=rig.clock, retainer=retainer, hour=hour, zone=UTC
    )
    worker.watch = ClockWatch(rig.clock.steady)
    return worker


@pytest.mark.parametrize(
    ("now", "zone", "expected"),
    [
        ("2026-03-01T02:59:00+00:00", UTC, "2026-03-01T03:00:00+00:00"),
        ("2026-03-01T03:00:00+00:00", UTC, "2026-03-02T03:00:00+00:00"),
        ("2026-07-01T12:00:00+00:00", ZoneInfo("Europe/Berlin"), "2026-07-02T01:00:00+00:00"),
        ("2026-03-28T12:00:00+00:00", ZoneInfo("Europe/Berlin"), "2026-03-29T01:00:00+00:00"),  # clocks go forward
    ],
)
def test_the_hour_is_that_of_the_clock_on_the_wall(now, zone, expected):
    assert next_hour(datetime.fromisoformat(now), 3, zone) == datetime.fromisoformat(expected)


def test_once_a_day_at_the_hour(rig):
    retainer = Watched(rig)
    worker = worker_of(rig, retainer, hour=9)  # it is 8
    for _ in range(49):
        worker.step()
        rig.clock.advance(3600)
    assert [(when.hour, by_clock) for when, by_clock in retainer.ran] == [(9, True)] * 2


def test_a_node_that_was_off_at_the_hour_catches_up(rig):
    worker_of(rig, Watched(rig)).step()
    Watched(rig).run(rig.clock.now)
    rig.clock.advance(20 * 3600)
    early = Watched(rig)
    worker_of(rig, early).step()
    assert early.ran == []
    rig.clock.advance(5 * 3600)
    late = Watched(rig)
    worker_of(rig, late).step()
    assert len(late.ran) == 1


def test_when_room_is_needed_it_does_not_wait_and_says_nothing_if_nothing_goes(rig):
    retainer = Watched(rig)
    worker = worker_of(rig, retainer)
    worker.step()
    retainer.bytes = 99
    for _ in range(121):
        worker.step()
        rig.clock.advance(1)
    assert [by_clock for _, by_clock in retainer.ran] == [False, False]
    assert rig.ledger.audit_entries() == ()


def test_settings_that_keep_everything_never_run(rig):
    retainer = Watched(rig, RetentionRule())
    worker = worker_of(rig, retainer)
    for _ in range(50):
        worker.step()
        rig.clock.advance(3600)
    assert retainer.ran == []


@pytest.mark.parametrize("step", [timedelta(days=400), timedelta(days=-400), timedelta(hours=2)])
def test_for_a_day_after_the_clock_was_set_nothing_goes_by_its_age(rig, step):
    retainer = Watched(rig)
    worker = worker_of(rig, retainer, hour=9)  # it is 8
    worker.step()
    rig.clock.now += step
    retainer.bytes = 99  # room is needed all the same
    for _ in range(50):
        worker.step()
        rig.clock.advance(3600)
    by_clock = [when for when, clock in retainer.ran if clock]
    assert by_clock[0] - (rig.clock.now - timedelta(hours=50)) >= timedelta(days=1)
    assert by_clock[0] - (rig.clock.now - timedelta(hours=50)) <= timedelta(days=2)
    doubted = [aged for (when, _), aged in zip(retainer.ran, retainer.aged, strict=True) if when < by_clock[0]]
    assert not any(doubted[:24])
    assert len(doubted) >= 24
    assert retainer.aged[-1]


@pytest.mark.parametrize(("away", "caught_up"), [(timedelta(days=6), True), (timedelta(days=8), False)])
def test_a_node_that_starts_long_after_anything_happened_waits_a_day(rig, away, caught_up):
    rig.send(ct_series(thorax(3)))
    Watched(rig).run(rig.clock.now)
    rig.clock.now += away
    retainer = Watched(rig)
    worker = worker_of(rig, retainer)
    worker.step()
    assert bool(retainer.ran) is caught_up
    for _ in range(48):
        rig.clock.advance(3600)
        worker.step()
    assert retainer.ran


def test_small_steps_of_the_clock_change_nothing(rig):
    retainer = Watched(rig)
    worker = worker_of(rig, retainer, hour=9)
    worker.step()
    rig.clock.now += timedelta(minutes=59)
    rig.clock.advance(120)
    worker.step()
    assert [when.hour for when, _ in retainer.ran] == [9]
