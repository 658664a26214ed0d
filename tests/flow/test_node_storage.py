"""Storage that is full, or that somebody has been at: said, parked, and the rest goes on."""

from __future__ import annotations

import shutil

import pytest
import structlog

from node.domain.errors import PeerDown
from node.domain.work import Stage, WorkState
from tests.flow.site import (
    Archive,
    a_node,
    a_study,
    deliver,
    destination,
    free_port,
    send,
    settle,
    wait_until,
    work_of,
)


def states(node, study):
    return sorted(row.state for row in work_of(node, study.series_uid, Stage.DELIVER))


def test_below_the_reserve_nobody_stores_and_nothing_is_kept(tmp_path, finds_lad, archive):
    study = a_study("full disk")
    full = shutil.disk_usage(tmp_path).total / (1 << 30) + 1
    with a_node(tmp_path, finds_lad, [archive.destination()], storage={"reserve_gib": full}) as node:
        outcomes = send(node.port, study.images)
        assert all(isinstance(one.error, PeerDown) for one in outcomes)
        assert node.storage.ledger.status()["instances"] == 0
        assert not [path for path in (tmp_path / "node").rglob("*.dcm*") if path.is_file()]
    with a_node(tmp_path, finds_lad, [archive.destination()]) as node:  # somebody has made room
        deliver(node.port, study.images)
        archive.wait_for(3)
        settle(node)


def spooled(node, study):
    """The file of one slice of a study."""
    stored = node.storage.ledger.instances(study.series_uid)[7]
    return node.storage.spool.path(stored.path)


def test_a_received_file_that_vanished_parks_the_reading_and_sending_it_again_heals(tmp_path, finds_lad, archive):
    study = a_study("vanished")
    quiet = {"quiet_seconds": 30.0}
    with a_node(tmp_path, finds_lad, [archive.destination()], series=quiet) as node:
        deliver(node.port, study.images[1:])  # without the first, the series waits
        spooled(node, study).unlink()
        deliver(node.port, study.images[:1])
        wait_until(lambda: work_of(node, study.series_uid, Stage.READ))
        settle(node)
        (read,) = work_of(node, study.series_uid, Stage.READ)
        assert read.state is WorkState.PARKED
        assert "missing" in read.error
        deliver(node.port, study.images)
        assert node.storage.ledger.revive(node._clock()) == 1
        node._wake()
        archive.wait_for(3)
        settle(node)
        assert states(node, study) == [WorkState.DONE] * 3


def cut(data):
    return data[:-5000]


def with_one_bit_turned(data):
    return data[:-3001] + bytes([data[-3001] ^ 1]) + data[-3000:]


def emptied(data):
    return b""


@pytest.mark.parametrize("damage", [cut, with_one_bit_turned, emptied])
def test_a_received_file_that_was_changed_is_not_read_until_it_is_sent_again(damage, tmp_path, finds_lad, archive):
    study = a_study("changed on disk")
    with a_node(tmp_path, finds_lad, [archive.destination()], series={"quiet_seconds": 30.0}) as node:
        deliver(node.port, study.images[1:])  # without the first, the series waits
        damaged = spooled(node, study)
        damaged.write_bytes(damage(damaged.read_bytes()))
        deliver(node.port, study.images[:1])
        wait_until(lambda: work_of(node, study.series_uid, Stage.READ))
        settle(node)
        (read,) = work_of(node, study.series_uid, Stage.READ)
        assert read.state is WorkState.PARKED
        name = damaged.relative_to(tmp_path / "node").as_posix()
        assert read.error == f"{name} is not what was received: remove it, have it sent again, then retry"
        assert archive.stored == []
        damaged.unlink()
        deliver(node.port, study.images)
        assert node.storage.ledger.revive(node._clock()) == 1
        node._wake()
        archive.wait_for(3)
        settle(node)
        assert states(node, study) == [WorkState.DONE] * 3


def test_a_damaged_answer_is_not_sent(tmp_path, finds_lad):
    study, port = a_study("damaged answer"), free_port()
    with a_node(tmp_path, finds_lad, [destination(port)]) as node:
        deliver(node.port, study.images)
        wait_until(lambda: [row for row in work_of(node, study.series_uid, Stage.DELIVER) if row.error])
        (report,) = (one for one in node.storage.ledger.objects(study.series_uid, 1) if one.role == "sr")
    path = tmp_path / "node" / report.kept.path
    path.write_bytes(path.read_bytes()[:-2] + b"xx")
    with Archive(tmp_path / "late", port=port) as late, a_node(tmp_path, finds_lad, [destination(port)]) as node:
        settle(node)
        assert states(node, study) == [WorkState.DONE, WorkState.DONE, WorkState.PARKED]
        (dead,) = node.storage.ledger.dead_letters()
        assert dead.error == "a made file in the outbox is not what was kept"
        assert dead.work.object_uid == report.sop_uid
    assert report.sop_uid not in {one.sop_uid for one in late.stored}


def test_a_destination_that_left_the_settings_holds_up_nothing(tmp_path, finds_lad, archive):
    old, new = a_study("before"), a_study("after")
    with a_node(tmp_path, finds_lad, [destination(free_port(), "gone")]) as node:
        deliver(node.port, old.images)
        wait_until(lambda: [row for row in work_of(node, old.series_uid, Stage.DELIVER) if row.error])
    with (
        structlog.testing.capture_logs() as said,
        a_node(tmp_path, finds_lad, [archive.destination()]) as node,
    ):
        deliver(node.port, new.images)
        archive.wait_for(3)
        wait_until(lambda: states(node, new) == [WorkState.DONE] * 3)
        assert set(states(node, old)) == {WorkState.PENDING}
    (warning,) = (line for line in said if "do not name" in line["event"])
    assert warning["destinations"] == ["gone"]
