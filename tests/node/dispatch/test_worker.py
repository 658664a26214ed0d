from __future__ import annotations

import random
import threading
import time
from contextlib import contextmanager
from datetime import timedelta

import pytest

from node.dispatch import worker as worker_module
from node.dispatch.clock_watch import ClockWatch
from node.dispatch.local import LocalDispatcher
from node.dispatch.settle import Settler
from node.dispatch.worker import AssembleWorker, DeliveryWorker, NoticeWorker, StageWorker, Worker
from node.domain.errors import LedgerBusy, NotYet, PeerDown, Refused
from node.domain.policy import SeriesPolicy
from node.domain.records import NewWork, Outcome
from node.domain.series import SeriesState
from node.domain.work import Backoff, Stage, WorkState
from node.stages.assemble import Assembler
from tests.dicom_series import ct_series, thorax

SOON = 20.0  # seconds; only a hang takes so long
BACKOFF = Backoff(first=timedelta(seconds=2), most=timedelta(seconds=60), attempts=3)


@pytest.fixture
def settler(rig):
    return Settler(rig.ledger, rig.clock, random.Random(1), rig.clock.advance)


@pytest.fixture
def series(rig):
    return rig.close(ct_series(thorax(3)))


@pytest.fixture
def stage_worker(rig, settler):
    def make(handler, on_done=lambda: None):
        return StageWorker(
            "stages",
            ledger=rig.ledger,
            settler=settler,
            clock=rig.clock,
            handlers={Stage.QUALIFY: handler},
            on_done=on_done,
        )

    return make


@pytest.fixture
def delivery_worker(rig, settler):
    def make(carry, destination="pacs"):
        return DeliveryWorker(
            destination, ledger=rig.ledger, settler=settler, clock=rig.clock, carry=carry, backoff=BACKOFF
        )

    return make


@contextmanager
def running(*workers: Worker):
    for worker in workers:
        worker.start()
    try:
        yield
    finally:
        for worker in workers:
            worker.end()
        for worker in workers:
            worker.join(SOON)
            assert not worker.is_alive()


def states(rig, series):
    return [row.state for row in rig.ledger.series_work(series, 1)]


def test_a_stage_worker_does_one_piece_and_rings(rig, series, stage_worker):
    rung = []
    worker = stage_worker(lambda _: Outcome(), lambda: rung.append(1))
    assert worker.step() is True
    assert states(rig, series) == [WorkState.DONE]
    assert rung == [1]
    assert worker.step() is False


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (NotYet("x"), WorkState.PENDING),
        (PeerDown("x"), WorkState.PENDING),
        (Refused("x"), WorkState.PARKED),
        (ZeroDivisionError("x"), WorkState.PARKED),
    ],
)
def test_what_a_stage_raises_decides(rig, series, stage_worker, error, state):
    def failing(_):
        raise error

    assert stage_worker(failing).step() is True
    assert states(rig, series) == [state]


def deliveries(rig, series, count, destination="pacs"):
    rig.ledger.add_work(
        [
            NewWork(stage=Stage.DELIVER, series_uid=series, generation=1, object_uid=f"8.{n}", destination=destination)
            for n in range(count)
        ],
        rig.clock.now,
    )


def test_a_delivery_worker_takes_what_is_due_for_its_destination_only(rig, series, delivery_worker):
    deliveries(rig, series, 3)
    deliveries(rig, series, 2, "other")
    carried = []
    worker = delivery_worker(lambda works: carried.append(works) or [Outcome()] * len(works))
    assert worker.step() is True
    assert [work.object_uid for work in carried[0]] == ["8.0", "8.1", "8.2"]
    assert worker.step() is False
    assert rig.ledger.status()["deliveries"] == {"done": 3, "pending": 2}


def test_many_objects_go_in_several_associations(rig, series, delivery_worker):
    deliveries(rig, series, 20)
    sizes = []
    worker = delivery_worker(lambda works: sizes.append(len(works)) or [Outcome()] * len(works))
    while worker.step():
        pass
    assert sizes == [16, 4]


def test_each_delivery_ends_as_its_own_result_says(rig, series, delivery_worker):
    deliveries(rig, series, 4)
    delivery_worker(lambda _: [Outcome(), PeerDown("x"), Refused("x"), KeyError("Doe^Jane")]).step()
    assert rig.ledger.status()["deliveries"] == {"done": 1, "pending": 1, "parked": 2}
    assert [dead.error for dead in rig.ledger.dead_letters()] == ["x", "a fault of this program: KeyError"]


def test_a_way_that_breaks_down_fails_all_it_carried(rig, series, delivery_worker):
    deliveries(rig, series, 2)

    def broken(_):
        raise ZeroDivisionError

    delivery_worker(broken).step()
    assert rig.ledger.status()["deliveries"] == {"parked": 2}


def test_a_dead_destination_holds_up_no_other(rig, series, delivery_worker):
    deliveries(rig, series, 2, "dead")
    deliveries(rig, series, 2, "alive")
    hanging, done = threading.Event(), threading.Event()

    def hang(works):
        hanging.wait(SOON)
        return [PeerDown("x")] * len(works)

    def carry(works):
        done.set()
        return [Outcome()] * len(works)

    with running(delivery_worker(hang, "dead"), delivery_worker(carry, "alive")):
        assert done.wait(SOON)
        hanging.set()
    assert rig.ledger.status()["deliveries"] == {"done": 2, "pending": 2}


def test_a_ring_wakes_at_once(rig, stage_worker, monkeypatch):
    monkeypatch.setattr(worker_module, "_LOOK_SECONDS", 3600)
    done = threading.Event()
    worker = stage_worker(lambda _: Outcome(), done.set)
    with running(worker):
        time.sleep(0.2)  # it has looked and found nothing
        rig.close(ct_series(thorax(3)))
        assert not done.wait(0.2)
        worker.ring()
        assert done.wait(SOON)


def test_stopping_does_not_wait_for_the_next_look(rig, stage_worker, monkeypatch):
    monkeypatch.setattr(worker_module, "_LOOK_SECONDS", 3600)
    worker = stage_worker(lambda _: Outcome())
    worker.start()
    time.sleep(0.2)
    worker.end()
    worker.join(SOON)
    assert not worker.is_alive()


@pytest.mark.parametrize("error", [LedgerBusy("away"), ZeroDivisionError()])
def test_a_ledger_that_is_away_for_a_while_is_survived(rig, series, stage_worker, monkeypatch, error):
    monkeypatch.setattr(worker_module, "_SULK_SECONDS", 0.01)
    claim, asked, done = rig.ledger.claim, [], threading.Event()

    def away(*args: object):
        asked.append(1)
        if len(asked) <= 3:
            raise error
        return claim(*args)

    monkeypatch.setattr(rig.ledger, "claim", away)
    with running(stage_worker(lambda _: Outcome(), done.set)):
        assert done.wait(SOON)
    assert states(rig, series) == [WorkState.DONE]


def test_work_that_could_not_be_recorded_is_done_again_after_its_lease(rig, series, stage_worker, monkeypatch):
    def away(*_: object) -> None:
        raise LedgerBusy("away")

    worker = stage_worker(lambda _: Outcome())
    with monkeypatch.context() as broken:
        broken.setattr(rig.ledger, "finish", away)
        assert worker.step() is True  # it waits until the lease is over
    assert states(rig, series) == [WorkState.CLAIMED]
    assert worker.step() is True
    assert states(rig, series) == [WorkState.DONE]


def test_what_is_claimed_goes_out_though_the_ledger_goes_away(rig, series, delivery_worker, monkeypatch):
    deliveries(rig, series, 3)
    claim, calls = rig.ledger.claim, iter((True, True, False))

    def twice(*given: object) -> object:
        if not next(calls):
            raise LedgerBusy("away")
        return claim(*given)

    monkeypatch.setattr(rig.ledger, "claim", twice)
    assert delivery_worker(lambda works: [Outcome()] * len(works)).step() is True
    assert rig.ledger.status()["deliveries"] == {"done": 2, "pending": 1}


def test_the_assemble_worker_closes_and_rings(rig, settler):
    series, rung = rig.send(ct_series(thorax(24))), []
    worker = AssembleWorker(
        ledger=rig.ledger,
        settler=settler,
        clock=rig.clock,
        assembler=Assembler(rig.ledger, SeriesPolicy()),
        on_done=lambda: rung.append(1),
    )
    assert worker.step() is False
    assert rig.ledger.find_series(series).state is SeriesState.CLOSED
    assert rung == [1]
    worker.step()
    assert rung == [1]


def test_the_dispatcher_lets_work_in_hand_finish(rig, series, settler, stage_worker, delivery_worker):
    entered, leave = threading.Event(), threading.Event()

    def slow(_):
        entered.set()
        leave.wait(SOON)
        return Outcome()

    assembly = AssembleWorker(
        ledger=rig.ledger,
        settler=settler,
        clock=rig.clock,
        assembler=Assembler(rig.ledger, SeriesPolicy()),
        on_done=lambda: None,
    )
    dispatcher = LocalDispatcher(assembly, [stage_worker(slow)], [delivery_worker(lambda _: [])])
    dispatcher.start()
    assert entered.wait(SOON)
    assert dispatcher.stop(0.1) is False
    leave.set()
    assert dispatcher.stop(SOON) is True
    assert states(rig, series) == [WorkState.DONE]


def test_notices_go_one_by_one_and_only_those_of_the_channel(rig, settler, series):
    added = [
        NewWork(stage=stage, series_uid=series, generation=1, object_uid=str(number), destination=name)
        for number, (stage, name) in enumerate(
            [(Stage.NOTIFY, "desk"), (Stage.NOTIFY, "desk"), (Stage.NOTIFY, "hub"), (Stage.DELIVER, "desk")]
        )
    ]
    rig.ledger.add_work(added, rig.clock.now)
    carried = []

    def carry(works):
        carried.append([one.object_uid for one in works])
        return [Outcome() for _ in works]

    worker = NoticeWorker("desk", ledger=rig.ledger, settler=settler, clock=rig.clock, carry=carry, backoff=BACKOFF)
    assert worker.name == "notify-desk"
    assert [worker.step() for _ in range(3)] == [True, True, False]
    assert carried == [["0"], ["1"]]


def test_other_handlers_begin_between_two_pieces_of_work(rig, series, stage_worker):
    seen, ready = [], []

    def former(_):
        worker.hand_over({Stage.QUALIFY: latter}, prepare)
        seen.append("former")
        return Outcome()

    def latter(_):
        seen.append("latter")
        return Outcome()

    def prepare():
        seen.append("prepare")
        if not ready:
            ready.append(True)
            raise LedgerBusy("not now")

    worker = stage_worker(former)
    assert worker.step()
    rig.ledger.add_work([NewWork(stage=Stage.QUALIFY, series_uid=series, generation=2)], rig.clock.now)
    with pytest.raises(LedgerBusy):
        worker.step()
    assert worker.step()
    assert seen == ["former", "prepare", "prepare", "latter"]


def test_who_leaves_finishes_what_is_in_hand_and_who_joins_takes_the_rest(rig, settler, series, delivery_worker):
    added = [
        NewWork(stage=Stage.DELIVER, series_uid=series, generation=1, object_uid=str(number), destination="pacs")
        for number in range(20)
    ]
    rig.ledger.add_work(added, rig.clock.now)
    entered, leave, carried = threading.Event(), threading.Event(), []

    def slow(works):
        entered.set()
        leave.wait(SOON)
        carried.append([one.object_uid for one in works])
        return [Outcome() for _ in works]

    def quick(works):
        carried.append([one.object_uid for one in works])
        return [Outcome() for _ in works]

    assembly = AssembleWorker(
        ledger=rig.ledger,
        settler=settler,
        clock=rig.clock,
        assembler=Assembler(rig.ledger, SeriesPolicy()),
        on_done=lambda: None,
    )
    former, latter = delivery_worker(slow), delivery_worker(quick)
    dispatcher = LocalDispatcher(assembly, [], [former])
    dispatcher.start()
    assert entered.wait(SOON)
    dispatcher.exchange([former], [latter])
    until = time.monotonic() + SOON
    while not carried and time.monotonic() < until:
        time.sleep(0.01)
    assert carried == [["16", "17", "18", "19"]]
    assert dispatcher.stop(0.1) is False  # it waits for who has left, too
    leave.set()
    assert dispatcher.stop(SOON)
    assert [len(one) for one in carried] == [4, 16]
    assert {row.state for row in rig.ledger.series_work(series, 1)[1:]} == {WorkState.DONE}
    late = delivery_worker(quick)
    dispatcher.exchange([], [late])
    assert not late.is_alive()


def assembly_of(rig, settler):
    worker = AssembleWorker(
        ledger=rig.ledger,
        settler=settler,
        clock=rig.clock,
        assembler=Assembler(rig.ledger, SeriesPolicy(), since=rig.clock.now),
        on_done=lambda: None,
    )
    worker.watch = ClockWatch(rig.clock.steady)
    return worker


@pytest.mark.parametrize("step", [timedelta(days=1), timedelta(days=-365)])
def test_an_open_series_waits_for_quiet_and_no_longer_when_the_clock_is_set(rig, settler, step):
    images = ct_series(thorax(24))
    worker, series = assembly_of(rig, settler), rig.send(images[::2])
    worker.step()
    rig.clock.now += step
    for seconds, state in ((0, SeriesState.OPEN), (9, SeriesState.OPEN), (2, SeriesState.CLOSED)):
        rig.clock.advance(seconds)
        worker.step()
        assert rig.ledger.find_series(series).state is state


@pytest.mark.parametrize("step", [timedelta(days=1), timedelta(days=-365)])
def test_what_waits_goes_on_waiting_for_as_long_as_it_would_have(rig, settler, series, step):
    worker = assembly_of(rig, settler)
    worker.step()
    rig.ledger.retry_later(rig.claim(Stage.QUALIFY), rig.clock.now, rig.clock.now + timedelta(seconds=100), "x")
    rig.clock.now += step
    worker.step()
    assert rig.ledger.next_due() == rig.clock.now + timedelta(seconds=100)
    worker.step()
    assert rig.ledger.next_due() == rig.clock.now + timedelta(seconds=100)


def test_a_clock_that_was_set_back_while_no_node_ran_holds_nothing_up(rig, settler, series):
    worker = assembly_of(rig, settler)
    rig.clock.now -= timedelta(days=365)
    worker.step()
    assert rig.ledger.next_due() <= rig.clock.now
    assert rig.claim(Stage.QUALIFY)


def test_a_ledger_that_is_away_when_the_clock_is_set_hears_of_it_later(rig, settler, series, monkeypatch):
    def away(*_: object) -> None:
        raise LedgerBusy("away")

    worker = assembly_of(rig, settler)
    worker.step()
    due = rig.ledger.next_due()
    rig.clock.now -= timedelta(days=1)
    with monkeypatch.context() as broken:
        broken.setattr(rig.ledger, "shift_waits", away)
        with pytest.raises(LedgerBusy):
            worker.step()
    worker.step()
    assert rig.ledger.next_due() == due - timedelta(days=1)
