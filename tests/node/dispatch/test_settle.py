from __future__ import annotations

import random
from datetime import timedelta

import pytest
import structlog

from node.dispatch.settle import Settler
from node.domain.errors import LeaseLost, LedgerBusy, Malformed, NotYet, PeerDown, Refused, StorageFull
from node.domain.records import Outcome
from node.domain.work import Backoff, Stage, WorkState
from tests.dicom_series import ct_series, thorax

BACKOFF = Backoff(first=timedelta(seconds=2), most=timedelta(seconds=60), attempts=3)


@pytest.fixture
def settler(rig):
    return Settler(rig.ledger, rig.clock, random.Random(1))


@pytest.fixture
def series(rig):
    return rig.close(ct_series(thorax(3)))


def row(rig, series):
    (found,) = rig.ledger.series_work(series, 1)
    return found


def test_an_outcome_is_recorded(rig, settler, series):
    settler.done(rig.claim(Stage.QUALIFY), Outcome(state=WorkState.DECLINED, reasons=("contrast",)))
    assert (row(rig, series).state, row(rig, series).reasons) == (WorkState.DECLINED, ("contrast",))


def test_an_outcome_whose_lease_was_lost_is_dropped(rig, settler, series):
    late = rig.claim(Stage.QUALIFY)
    rig.clock.advance(61)
    holder = rig.claim(Stage.QUALIFY)
    with structlog.testing.capture_logs() as said:
        settler.done(late, Outcome())
    assert "lease was lost" in said[0]["event"]
    assert row(rig, series).state is WorkState.CLAIMED
    settler.done(holder, Outcome())
    assert row(rig, series).state is WorkState.DONE


def test_a_result_waits_for_a_ledger_that_is_away(rig, series, monkeypatch):
    finish, busy = rig.ledger.finish, [LedgerBusy("locked"), StorageFull("full")]

    def away_twice(*given):
        if busy:
            raise busy.pop()
        finish(*given)

    monkeypatch.setattr(rig.ledger, "finish", away_twice)
    paused = []
    Settler(rig.ledger, rig.clock, random.Random(1), paused.append).done(rig.claim(Stage.QUALIFY), Outcome())
    assert row(rig, series).state is WorkState.DONE
    assert len(paused) == 2


def test_a_result_is_dropped_when_the_ledger_stays_away_longer_than_the_lease(rig, series, monkeypatch):
    def away(*_):
        raise LedgerBusy("locked")

    monkeypatch.setattr(rig.ledger, "finish", away)
    with structlog.testing.capture_logs() as said:
        Settler(rig.ledger, rig.clock, random.Random(1), rig.clock.advance).done(rig.claim(Stage.QUALIFY), Outcome())
    assert said[-1]["event"] == "result dropped: the ledger stayed away"
    assert row(rig, series).state is WorkState.CLAIMED


def test_what_may_go_through_later_waits_longer_every_time_and_then_is_parked(rig, settler, series):
    waits = []
    for _ in range(2):
        settler.failed(rig.claim(Stage.QUALIFY), PeerDown("no answer"), BACKOFF)
        found = row(rig, series)
        assert (found.state, found.error) == (WorkState.PENDING, "no answer")
        waits.append((found.not_before - rig.clock.now).total_seconds())
        rig.clock.advance(waits[-1])
    assert 1 <= waits[0] <= 2
    assert 2 <= waits[1] <= 4
    settler.failed(rig.claim(Stage.QUALIFY), PeerDown("no answer"), BACKOFF)
    (dead,) = rig.ledger.dead_letters()
    assert dead.error == "gave up after 3 attempts: no answer"


@pytest.mark.parametrize("error", [Refused("0122"), Malformed("cut off")])
def test_what_will_never_go_through_is_parked_at_once_with_its_reason(rig, settler, series, error):
    settler.failed(rig.claim(Stage.QUALIFY), error, BACKOFF)
    (dead,) = rig.ledger.dead_letters()
    assert dead.error == str(error)


def test_a_fault_of_the_program_is_parked_by_its_kind_alone(rig, settler, series):
    settler.failed(rig.claim(Stage.QUALIFY), ValueError("Doe^Jane"), BACKOFF)
    (dead,) = rig.ledger.dead_letters()
    assert dead.error == "a fault of this program: ValueError"


def test_waiting_for_something_else_counts_no_attempt(rig, settler, series):
    for _ in range(50):
        settler.failed(rig.claim(Stage.QUALIFY), NotYet("still arriving"), BACKOFF)
        assert row(rig, series).state is WorkState.PENDING
        rig.clock.advance(0.5)
    settler.failed(rig.claim(Stage.QUALIFY), StorageFull("no room"), BACKOFF)
    found = row(rig, series)
    assert (found.state, found.error) == (WorkState.PENDING, "no room")
    assert found.not_before - rig.clock.now <= timedelta(seconds=2)


def test_who_lost_the_lease_records_nothing(rig, settler, series):
    work = rig.claim(Stage.QUALIFY)
    settler.failed(work, LeaseLost("gone"), BACKOFF)
    assert row(rig, series).state is WorkState.CLAIMED
    rig.clock.advance(61)
    rig.claim(Stage.QUALIFY)
    for error in (PeerDown("x"), Refused("x"), ValueError("x"), NotYet("x")):
        settler.failed(work, error, BACKOFF)
        assert (row(rig, series).state, row(rig, series).error) == (WorkState.CLAIMED, "")


def test_a_ledger_that_is_away_is_survived_and_the_work_comes_back(rig, series, monkeypatch):
    work, settler = rig.claim(Stage.QUALIFY), Settler(rig.ledger, rig.clock, random.Random(1), rig.clock.advance)

    def busy(*_: object, **__: object) -> None:
        raise LedgerBusy("locked")

    with monkeypatch.context() as away:
        away.setattr(rig.ledger, "retry_later", busy)
        away.setattr(rig.ledger, "park", busy)
        settler.failed(work, PeerDown("x"), BACKOFF)
        settler.failed(work, Refused("x"), BACKOFF)
        settler.failed(work, ValueError("x"), BACKOFF)
    rig.clock.advance(61)
    assert rig.claim(Stage.QUALIFY).id == work.id


@pytest.mark.parametrize(("error", "state"), [(PeerDown("x"), WorkState.PENDING), (Refused("x"), WorkState.PARKED)])
def test_the_end_of_a_failed_attempt_waits_for_a_ledger_that_is_away(rig, series, monkeypatch, error, state):
    busy = [LedgerBusy("locked"), StorageFull("full")]

    def away_twice(record):
        def recording(*given):
            if busy:
                raise busy.pop()
            record(*given)

        return recording

    for name in ("retry_later", "park"):
        monkeypatch.setattr(rig.ledger, name, away_twice(getattr(rig.ledger, name)))
    paused = []
    with structlog.testing.capture_logs() as said:
        Settler(rig.ledger, rig.clock, random.Random(1), paused.append).failed(rig.claim(Stage.QUALIFY), error, BACKOFF)
    assert row(rig, series).state is state
    assert len(paused) == 2
    assert [line["event"] for line in said][-1] in ("will try again", "parked")
    assert len([line for line in said if line["event"] in ("will try again", "parked")]) == 1
