from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from node.domain.errors import LedgerBusy, NodeError, Refused, StorageFull
from node.domain.records import Arrival
from node.storage import engine, upkeep
from node.storage.ledger import Ledger
from node.storage.migrations import upgrade
from tests.node.storage.builders import NOW, a_file, a_peer, an_instance


def fill(ledger: Ledger, count: int = 200) -> int:
    """Add instances until it fails or ``count`` are in."""
    for number in range(count):
        ledger.add_instance(an_instance(f"1.2.{number}"), a_file(str(number)), a_peer(), NOW)
    return count


@pytest.mark.parametrize(
    ("pragma", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 10_000)]
)
def test_every_connection_is_prepared(sqlite_ledger: Ledger, pragma: str, value: object) -> None:
    def ask(_: int) -> object:
        with sqlite_ledger._database.reading() as connection:
            return connection.exec_driver_sql(f"PRAGMA {pragma}").scalar()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(ask, range(8))) == {value}


def test_transactions_that_gather_are_one_and_what_fails_fails_alone(sqlite_ledger: Ledger) -> None:
    database, began = sqlite_ledger._database, []
    event.listen(database.engine, "begin", began.append)
    first_has_the_turn, go = threading.Event(), threading.Event()

    def slow(_: Connection) -> int:
        first_has_the_turn.set()
        go.wait(20)
        return -1

    def insert(number: int) -> Callable[[Connection], int]:
        def work(connection: Connection) -> int:
            row = (str(number), "CT01", "::1", "2026-01-01 00:00:00.000000")
            connection.exec_driver_sql("INSERT INTO associations VALUES (?, ?, ?, ?)", row)
            if number == 3:
                raise ValueError("of its own")
            return number

        return work

    with ThreadPoolExecutor(8) as pool:
        held = pool.submit(database.together, slow)
        assert first_has_the_turn.wait(20)
        waiting = [pool.submit(database.together, insert(number)) for number in (1, 2, 4, 5)]
        wait_for(lambda: len(database._jobs) == 4)
        go.set()
        assert [held.result(20), *(one.result(20) for one in waiting)] == [-1, 1, 2, 4, 5]
        assert len(began) == 2
        go.clear()
        first_has_the_turn.clear()
        held = pool.submit(database.together, slow)
        assert first_has_the_turn.wait(20)
        waiting = [pool.submit(database.together, insert(number)) for number in (3, 6, 5)]
        wait_for(lambda: len(database._jobs) == 3)
        go.set()
        with pytest.raises(ValueError, match="of its own"):
            waiting[0].result(20)
        assert waiting[1].result(20) == 6
        with pytest.raises(IntegrityError):
            waiting[2].result(20)
    with database.reading() as connection:
        found = connection.exec_driver_sql("SELECT association FROM associations ORDER BY 1").scalars().all()
    assert found == ["1", "2", "4", "5", "6"]


def test_who_gives_up_waiting_is_never_done_behind_its_back(
    sqlite_ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was told that nothing is recorded, and has removed its file."""
    monkeypatch.setattr(engine, "_TURN_SECONDS", 0.1)
    database, done = sqlite_ledger._database, []
    with ThreadPoolExecutor(1) as pool, database.writing(), pytest.raises(LedgerBusy, match="too many wait"):
        pool.submit(database.together, lambda _: done.append("given up")).result(20)
    assert not database._jobs
    database.together(lambda _: done.append("next"))
    assert done == ["next"]


def test_who_waits_for_what_is_being_done_gets_its_result(
    sqlite_ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_TURN_SECONDS", 1.0)
    database, begun, go = sqlite_ledger._database, threading.Event(), threading.Event()

    def slow(_: Connection) -> str:
        begun.set()
        go.wait(20)
        return "slow"

    with ThreadPoolExecutor(2) as pool:
        with database.writing():
            both = [pool.submit(database.together, slow), pool.submit(database.together, lambda _: "quick")]
            wait_for(lambda: len(database._jobs) == 2)
        assert begun.wait(20)
        time.sleep(1.2)  # the one that does not lead has waited too long by now
        go.set()
        assert sorted(one.result(20) for one in both) == ["quick", "slow"]


def test_a_ledger_that_is_away_is_asked_once_for_all_that_gathered(
    sqlite_ledger: Ledger, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sqlite_ledger._database.reading() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 10")
    database, asked = sqlite_ledger._database, []
    do = database._do
    monkeypatch.setattr(database, "_do", lambda jobs: (asked.append(len(jobs)), do(jobs)))
    other = sqlite3.connect(root / "ledger.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(4) as pool:
        with database._turn:
            waiting = [pool.submit(database.together, lambda _: None) for _ in range(4)]
            wait_for(lambda: len(database._jobs) == 4)
        for one in waiting:
            with pytest.raises(LedgerBusy, match="locked"):
                one.result(20)
    assert asked == [4]
    other.execute("ROLLBACK")
    other.close()


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_rows_of_many_threads_are_each_durable_before_they_are_acknowledged(sqlite_ledger: Ledger) -> None:
    path = str(sqlite_ledger._database.url.database)

    def add(number: int) -> bool:
        sqlite_ledger.add_instance(an_instance(f"1.2.{number}"), a_file(str(number)), a_peer(), NOW)
        with contextlib.closing(sqlite3.connect(path)) as other:  # sees what is committed, and nothing else
            return bool(other.execute("SELECT 1 FROM instances WHERE sop_uid = ?", (f"1.2.{number}",)).fetchone())

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(add, range(80)))
    assert sqlite_ledger.status()["instances"] == 80


def test_a_full_database_is_storage_full_and_nothing_is_half_recorded(sqlite_ledger: Ledger) -> None:
    with sqlite_ledger._database.reading() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 5}")
    with pytest.raises(StorageFull):
        fill(sqlite_ledger)
    kept = sqlite_ledger.status()["instances"]
    assert kept == len(sqlite_ledger.instances("1.2")) > 0
    with sqlite_ledger._database.reading() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 100000")
    assert sqlite_ledger.add_instance(an_instance("1.2.999"), a_file("z"), a_peer(), NOW) is Arrival.NEW
    assert sqlite_ledger.integrity() == ()


def test_a_full_disk_is_storage_full_and_ends_with_the_shortage(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        url = f"sqlite:///{disk}/ledger.sqlite"
        upgrade(url)
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(300_000))
        with Ledger(url) as ledger:
            with pytest.raises(StorageFull):
                fill(ledger, 2000)
            kept = ledger.status()["instances"]
            ballast.unlink()
            assert ledger.add_instance(an_instance("1.9"), a_file("z"), a_peer(), NOW) is Arrival.NEW
            assert ledger.status()["instances"] == int(str(kept)) + 1
            assert ledger.integrity() == ()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_locked_database_is_busy(sqlite_ledger: Ledger, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sqlite_ledger._database.reading() as connection:
        connection.exec_driver_sql("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(root / "ledger.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerBusy, match="locked"):
        fill(sqlite_ledger, 1)
    assert sqlite_ledger.status()["instances"] == 0  # readers go on
    other.execute("COMMIT")
    other.close()
    assert fill(sqlite_ledger, 1) == 1


def test_whoever_waits_too_long_for_the_turn_to_write_is_told(
    sqlite_ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_TURN_SECONDS", 0.05)
    with ThreadPoolExecutor(1) as pool, sqlite_ledger._database.writing():
        with pytest.raises(LedgerBusy, match="too many wait"):
            pool.submit(fill, sqlite_ledger, 1).result(20)
        assert pool.submit(sqlite_ledger.status).result(20)["instances"] == 0  # readers go on
    assert fill(sqlite_ledger, 1) == 1


def test_a_read_only_database_is_busy(sqlite_ledger: Ledger, root: Path) -> None:
    fill(sqlite_ledger, 1)
    with Ledger(f"sqlite:///file:{root}/ledger.sqlite?mode=ro&uri=true") as readonly:
        assert readonly.status()["instances"] == 1
        with pytest.raises(LedgerBusy, match="readonly"):
            fill(readonly, 2)


def test_a_database_that_cannot_be_opened_is_busy(tmp_path: Path) -> None:
    with Ledger(f"sqlite:///{tmp_path}/missing/ledger.sqlite") as ledger, pytest.raises(LedgerBusy):
        ledger.status()


def test_a_bug_stays_a_bug_and_says_nothing_of_patients(sqlite_ledger: Ledger) -> None:
    fill(sqlite_ledger, 1)
    with pytest.raises(DBAPIError) as caught, sqlite_ledger._database.writing() as connection:
        connection.exec_driver_sql("INSERT INTO instances (sop_uid) VALUES (?)", ("DOE^JANE",))
    assert not isinstance(caught.value, NodeError)
    assert "DOE" not in str(caught.value)


@pytest.mark.parametrize(
    ("state", "lost", "meaning"),
    [
        ("53100", False, StorageFull),
        ("53300", False, LedgerBusy),
        ("08006", False, LedgerBusy),
        ("57P01", False, LedgerBusy),
        ("40001", False, LedgerBusy),
        ("25006", False, LedgerBusy),
        (None, True, LedgerBusy),
        ("42703", False, None),
    ],
)
def test_postgresql_states(state: str | None, lost: bool, meaning: type | None) -> None:  # noqa: FBT001 a table column
    error = OperationalError("SELECT", {}, SimpleNamespace(sqlstate=state), connection_invalidated=lost)  # type: ignore[arg-type]
    found = engine._meaning(error)
    assert (found if found is None else type(found)) is meaning


def test_no_free_connection_is_busy() -> None:
    with pytest.raises(LedgerBusy, match="in use"), engine._translated():
        raise PoolTimeout


def test_a_backup_is_the_whole_ledger_and_may_be_repeated(sqlite_ledger: Ledger, tmp_path: Path) -> None:
    target = tmp_path / "backup.sqlite"
    for count in (3, 7):
        fill(sqlite_ledger, count)
        sqlite_ledger.backup(target)
        with Ledger(f"sqlite:///{target}") as copy:
            assert copy.status() == sqlite_ledger.status()
            assert copy.integrity() == ()
    assert target.stat().st_mode & 0o077 == 0
    assert not (tmp_path / "backup.sqlite.part").exists()


def test_a_failed_backup_leaves_the_older_one(
    sqlite_ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "backup.sqlite"
    target.write_bytes(b"older")

    def fails(self: object, draft: Path) -> None:
        draft.write_bytes(b"cut sh")
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    monkeypatch.setattr(upkeep.Upkeep, "_copy", fails)
    with pytest.raises(StorageFull):
        sqlite_ledger.backup(target)
    assert target.read_bytes() == b"older"
    assert not (tmp_path / "backup.sqlite.part").exists()


def test_another_servers_database_is_not_copied(
    sqlite_ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_ledger._database, "is_sqlite", False)
    with pytest.raises(Refused):
        sqlite_ledger.backup(tmp_path / "backup.sqlite")
    assert sqlite_ledger.integrity() == ()


def test_integrity_tells_of_rows_without_their_series(sqlite_ledger: Ledger, root: Path) -> None:
    fill(sqlite_ledger, 1)
    with sqlite3.connect(root / "ledger.sqlite") as raw:  # a plain connection does not enforce foreign keys
        raw.execute("DELETE FROM series")
    raw.close()
    assert sqlite_ledger.integrity() == ("foreign key of instances row 1",)
