"""Disks and ledgers that are away for a while: senders are put off, work waits, nothing is parked or lost."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from node.domain.errors import PeerDown
from node.domain.work import Stage, WorkState
from node.storage import engine
from tests.flow.site import Archive, a_node, a_study, deliver, send, settle, wait_until, work_of

PATIENCE = 120.0


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path / "archive") as running:
        yield running


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """A folder whose file system takes no writes, as after an error of its disk; needs the right to mount."""
    bind = ["mount", "--bind", str(folder), str(folder)]
    if os.geteuid() != 0 or subprocess.run(bind, check=False, capture_output=True).returncode:
        pytest.skip("no right to mount a file system")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def answered_once(node, archive, study) -> None:
    archive.wait_for(3, PATIENCE)
    settle(node, PATIENCE)
    assert len(archive.of(study)) == 3
    rows = [row for stage in Stage for row in work_of(node, study.series_uid, stage)]
    assert {row.state for row in rows} == {WorkState.DONE}


def test_a_spool_that_turns_read_only_puts_senders_off_and_takes_them_again(tmp_path, reader, archive):
    study, root = a_study("read-only spool"), tmp_path / "node"
    with a_node(tmp_path, reader, [archive.destination()], series={"quiet_seconds": 60.0}) as node:
        deliver(node.port, study.images[:5])
        with read_only(root / "spool.incoming"):
            outcomes = send(node.port, study.images[5:9])
            assert all(isinstance(one.error, PeerDown) and "A700" in str(one.error) for one in outcomes)
            deliver(node.port, study.images[:5])  # what it has already, it has still
        assert node.storage.ledger.status()["instances"] == 5
        deliver(node.port, study.images)
        answered_once(node, archive, study)


def test_an_outbox_that_turns_read_only_keeps_the_reading_waiting(tmp_path, reader, archive):
    study, root = a_study("read-only outbox"), tmp_path / "node"
    with a_node(tmp_path, reader, [archive.destination()]) as node:
        with read_only(root / "outbox.incoming"):
            deliver(node.port, study.images)
            wait_until(lambda: [row for row in work_of(node, study.series_uid, Stage.READ) if row.error], PATIENCE)
            (read,) = work_of(node, study.series_uid, Stage.READ)
            assert "outbox cannot be written" in read.error
            assert read.state is not WorkState.PARKED
        answered_once(node, archive, study)


def test_a_ledger_that_is_locked_for_long_loses_neither_a_reading_nor_a_delivery(
    tmp_path, reader, archive, monkeypatch
):
    """Locked again and again, each time for longer than anybody waits, while the study is read and delivered."""
    monkeypatch.setattr(engine, "_BUSY_MS", 100)
    study = a_study("locked for long")
    with a_node(tmp_path, reader, [archive.destination()]) as node:

        def hold() -> None:
            holder = sqlite3.connect(tmp_path / "node" / "ledger.sqlite", isolation_level=None, timeout=30)
            for _ in range(5):
                holder.execute("BEGIN IMMEDIATE")
                time.sleep(0.6)
                holder.execute("ROLLBACK")
                time.sleep(0.1)
            holder.close()

        deliver(node.port, study.images)
        holding = threading.Thread(target=hold)
        holding.start()
        holding.join()
        answered_once(node, archive, study)
        rows = [row for stage in Stage for row in work_of(node, study.series_uid, stage)]
        assert {row.work.attempts for row in rows} == {1}  # nothing was done twice either
