"""A disk that is really full, and a ledger that cannot be written: A700, no debris, and on it goes afterwards."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pynetdicom import AE
from sqlalchemy import event

from node.domain.errors import PeerDown
from node.domain.work import Stage, WorkState
from node.storage import engine
from tests.flow.site import a_node, a_study, deliver, send, settle, wait_until, work_of

FOLDERS = ("spool", "quarantine", "outbox", "reads")
_MIB = 1 << 20


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB; needs the right to mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("no right to mount a file system")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path, leave: int = 0) -> Path:
    """Fill a disk but for so many bytes; returns what is to be removed to have room again."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        while (room := os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - leave) > 0:
            file.write(b"x" * min(room, _MIB))
    return ballast


def no_debris(node, root: Path) -> bool:
    present = {
        path.relative_to(root).as_posix(): path.stat().st_size
        for folder in FOLDERS
        for under in (folder, f"{folder}.incoming")
        for path in (root / under).rglob("*")
        if path.is_file()
    }
    return set(present) == node.storage.ledger.known_paths() and all(present.values())


def out_of_resources(outcomes) -> bool:
    refused = [one.error for one in outcomes if one.error is not None]
    return bool(refused) and all(isinstance(error, PeerDown) and "A700" in str(error) for error in refused)


def answered_once(node, archive, study) -> None:
    archive.wait_for(3)
    settle(node)
    assert len(archive.of(study)) == 3
    states = {row.state for stage in Stage for row in work_of(node, study.series_uid, stage)}
    assert states <= {WorkState.DONE}


def test_the_spool_fills_up_in_the_middle_of_a_study(tmp_path, disk, finds_lad, archive):
    study, root = a_study("spool full"), disk / "node"
    storage = {"root": str(root), "database": f"sqlite:///{tmp_path}/ledger.sqlite"}
    with a_node(tmp_path, finds_lad, [archive.destination()], storage=storage, series={"quiet_seconds": 20.0}) as node:
        deliver(node.port, study.images[:5])
        ballast = fill(disk, leave=100_000)
        outcomes = send(node.port, study.images)
        assert out_of_resources(outcomes)
        kept = {one.sop_uid for one in outcomes if one.error is None}
        assert node.storage.ledger.status()["instances"] >= len(kept)
        assert no_debris(node, root)
        ballast.unlink()
        deliver(node.port, study.images)
        answered_once(node, archive, study)
        assert no_debris(node, root)


def test_the_disk_of_the_ledger_is_full(tmp_path, disk, finds_lad, archive):
    study, root = a_study("ledger full"), tmp_path / "node"
    storage = {"database": f"sqlite:///{disk}/ledger.sqlite"}
    with a_node(tmp_path, finds_lad, [archive.destination()], storage=storage, series={"quiet_seconds": 20.0}) as node:
        deliver(node.port, study.images[:5])
        ballast = fill(disk)
        outcomes = send(node.port, study.images)  # a little still fits into what the ledger has of the disk
        assert out_of_resources(outcomes)
        ballast.unlink()
        assert no_debris(node, root)
        deliver(node.port, study.images)
        answered_once(node, archive, study)
        assert node.storage.ledger.integrity() == ()
    with a_node(tmp_path, finds_lad, [archive.destination()], storage=storage) as node:
        assert no_debris(node, root)


def test_there_is_no_room_for_the_answers(tmp_path, disk, finds_lad, archive):
    study, root = a_study("outbox full"), disk / "node"
    storage = {"root": str(root), "database": f"sqlite:///{tmp_path}/ledger.sqlite"}
    with a_node(tmp_path, finds_lad, [archive.destination()], storage=storage, series={"quiet_seconds": 20.0}) as node:
        deliver(node.port, study.images[1:])
        deliver(node.port, study.images[:1])
        ballast = fill(disk)
        wait_until(lambda: [row for row in work_of(node, study.series_uid, Stage.READ) if row.error])
        (read,) = work_of(node, study.series_uid, Stage.READ)
        assert "no room left in outbox" in read.error
        assert read.state is not WorkState.PARKED
        assert no_debris(node, root)
        ballast.unlink()
        answered_once(node, archive, study)
        assert no_debris(node, root)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_BUSY_MS", 200)


@pytest.mark.usefixtures("impatient")
def test_a_ledger_that_somebody_has_locked(tmp_path, finds_lad, archive):
    study = a_study("locked")
    with a_node(tmp_path, finds_lad, [archive.destination()]) as node:
        holder = sqlite3.connect(tmp_path / "node" / "ledger.sqlite", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        assert all(isinstance(one.error, PeerDown) for one in send(node.port, study.images[:2]))
        assert node.storage.ledger.status()["instances"] == 0
        assert no_debris(node, tmp_path / "node")
        holder.execute("ROLLBACK")
        holder.close()
        deliver(node.port, study.images)
        answered_once(node, archive, study)


@pytest.mark.usefixtures("impatient")
def test_a_ledger_that_can_only_be_read(tmp_path, finds_lad, archive):
    study = a_study("read-only")
    with a_node(tmp_path, finds_lad, [archive.destination()]) as node:
        pool = node.storage.ledger._database.engine

        def only_read(connection, _entry, _proxy) -> None:
            connection.execute("PRAGMA query_only = ON")

        def writable(connection, _entry, _proxy) -> None:
            connection.execute("PRAGMA query_only = OFF")

        event.listen(pool, "checkout", only_read)
        outcomes = send(node.port, study.images[:3])
        assert all(isinstance(one.error, PeerDown) for one in outcomes)
        assert node.storage.ledger.status()["instances"] == 0
        event.remove(pool, "checkout", only_read)
        event.listen(pool, "checkout", writable)
        deliver(node.port, study.images)
        answered_once(node, archive, study)


def test_below_the_reserve_nobody_may_store_and_echo_is_answered(tmp_path, disk, finds_lad, archive):
    study, root = a_study("reserve"), disk / "node"
    storage = {"root": str(root), "reserve_gib": 4 / 1024, "database": f"sqlite:///{tmp_path}/ledger.sqlite"}
    with a_node(tmp_path, finds_lad, [archive.destination()], storage=storage) as node:
        ballast = fill(disk, leave=3 * _MIB)
        outcomes = send(node.port, study.images)
        assert all(isinstance(one.error, PeerDown) and "A700" not in str(one.error) for one in outcomes)
        assert node.listener.open_associations == 0
        entity = AE("CT01")
        entity.add_requested_context("1.2.840.10008.1.1")
        association = entity.associate("127.0.0.1", node.port, ae_title="CALCIUM2R")
        assert association.is_established
        assert association.send_c_echo().Status == 0
        association.release()
        ballast.unlink()
        deliver(node.port, study.images)
        answered_once(node, archive, study)
