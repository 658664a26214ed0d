from __future__ import annotations

from collections import Counter
from datetime import timedelta

import pytest

from node.dicom.listener import Closed
from node.domain.policy import SeriesPolicy
from node.domain.series import SeriesState
from node.domain.work import Stage
from node.stages import assemble
from node.stages.assemble import Assembler
from tests.dicom_series import Style, ct_series, thorax
from tests.node.rig import a_peer

POLICY = SeriesPolicy(quiet=timedelta(seconds=10), association_hold=timedelta(seconds=60))


@pytest.fixture
def assembler(rig):
    return Assembler(rig.ledger, POLICY)


@pytest.fixture
def looks(rig, monkeypatch):
    """How often the instances of each series were read."""
    counted: Counter[str] = Counter()
    plain = rig.ledger.instances

    def counting(series_uid):
        counted[series_uid] += 1
        return plain(series_uid)

    monkeypatch.setattr(rig.ledger, "instances", counting)
    return counted


def test_a_complete_series_goes_on_at_once(rig, assembler):
    series = rig.send(ct_series(thorax(24)))
    assert assembler.run(rig.clock.now) == 1
    record = rig.ledger.find_series(series)
    assert (record.state, record.generation) == (SeriesState.CLOSED, 1)
    assert len(rig.ledger.members(series, 1)) == 24
    work = rig.claim(Stage.QUALIFY)
    assert (work.series_uid, work.generation) == (series, 1)
    assert assembler.run(rig.clock.now) == 0


def test_a_series_with_a_hole_waits_for_quiet_and_is_not_read_again(rig, assembler, looks):
    images = ct_series(thorax(24))
    series = rig.send(images[:11] + images[12:])
    for _ in range(5):
        assert assembler.run(rig.clock.now) == 0
        rig.clock.advance(1)
    assert looks[series] == 1
    rig.clock.advance(6)
    assert assembler.run(rig.clock.now) == 1
    assert looks[series] == 2
    (overview,) = rig.ledger.recent_series(1)
    assert "nothing arrived" in overview.evidence


def test_a_new_slice_makes_it_look_again(rig, assembler, looks):
    images = ct_series(thorax(24))
    series = rig.send(images[:23])
    rig.send(images[23:], "a2")  # complete only now
    assert assembler.run(rig.clock.now) == 1
    assert looks[series] == 1

    others = ct_series(thorax(24), Style(name="other"))
    other = rig.send(others[:10] + others[11:])
    assert assembler.run(rig.clock.now) == 0
    rig.clock.advance(1)
    rig.send([others[10]], "a3")
    assert assembler.run(rig.clock.now) == 1
    assert looks[other] == 2


def test_an_open_association_holds_its_series_back(rig, assembler):
    images = ct_series(thorax(24))
    peer = a_peer()
    rig.receiver.opened(peer)
    for image in images:
        rig.store(image, peer)
    assert assembler.run(rig.clock.now) == 0
    rig.ledger.association_closed(peer)
    assert assembler.run(rig.clock.now) == 1


@pytest.mark.parametrize("how", [Closed.ABORTED, Closed.LOST])
def test_slices_of_an_association_that_was_cut_off_wait_for_the_rest(how, rig, assembler):
    images, peer = ct_series(thorax(24)), a_peer()
    rig.receiver.opened(peer)
    for image in images[:22]:
        rig.store(image, peer)
    rig.receiver.closed(peer, how)
    assert assembler.run(rig.clock.now) == 0
    rig.clock.advance(5)
    series = rig.send(images, "a2")
    assert assembler.run(rig.clock.now) == 1
    assert rig.ledger.find_series(series).generation == 1
    assert len(rig.ledger.members(series, 1)) == 24


def test_a_late_slice_makes_a_second_generation_of_everything(rig, assembler):
    images = ct_series(thorax(25))
    series = rig.send(images[:24])
    assert assembler.run(rig.clock.now) == 1
    rig.clock.advance(100)
    rig.send(images[24:], "a2")
    assert assembler.run(rig.clock.now) == 1
    assert rig.ledger.find_series(series).generation == 2
    assert len(rig.ledger.members(series, 1)) == 24
    assert len(rig.ledger.members(series, 2)) == 25
    assert {rig.claim(Stage.QUALIFY).generation for _ in range(2)} == {1, 2}


def test_one_series_that_trips_the_program_does_not_hold_up_the_others(rig, assembler, monkeypatch):
    bad = rig.send(ct_series(thorax(24), Style(name="bad")))
    good = rig.send(ct_series(thorax(24), Style(name="good")), "a2")
    judge = assemble.judge_completeness

    def tripping(instances, record, now, policy):
        if record.series_uid == bad:
            raise ZeroDivisionError
        return judge(instances, record, now, policy)

    monkeypatch.setattr(assemble, "judge_completeness", tripping)
    assert assembler.run(rig.clock.now) == 1
    assert rig.ledger.find_series(good).state is SeriesState.CLOSED
    assert rig.ledger.find_series(bad).state is SeriesState.OPEN
    rig.clock.advance(61)
    assert assembler.run(rig.clock.now) == 1
    assert rig.ledger.find_series(bad).state is SeriesState.CLOSED
