"""Backup under load, and the way back."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from node.domain.errors import Refused
from node.storage import restore as module
from node.storage.ledger import Ledger
from node.storage.migrations import newest
from node.storage.restore import restore
from node.storage.spool import Spool
from tests.node.storage.builders import a_peer, after, an_instance, dataset_of, receive


def add(ledger: Ledger, spool: Spool, sop: str) -> None:
    instance = an_instance(sop)
    assert receive(spool, ledger, instance, dataset_of(sop), a_peer())
    ledger.add_audit("test", "added", sop, after(float(sop.rpartition(".")[2])))


def files(root: Path) -> set[str]:
    return {path.relative_to(root).as_posix() for path in (root / "spool").rglob("*") if path.is_file()}


def instances(path: Path) -> int:
    connection = sqlite3.connect(path)
    count: int = connection.execute("SELECT count(*) FROM instances").fetchone()[0]
    connection.close()
    return count


@pytest.fixture
def copied(sqlite_ledger: Ledger, spool: Spool, root: Path, tmp_path: Path) -> Path:
    """A copy made after the first of two instances; the node is stopped."""
    add(sqlite_ledger, spool, "1.2.1")
    copy = tmp_path / "copy.sqlite"
    sqlite_ledger.backup(copy)
    add(sqlite_ledger, spool, "1.2.2")
    sqlite_ledger.close()
    return copy


def test_there_and_back(copied: Path, root: Path) -> None:
    ledger, before = root / "ledger.sqlite", files(root)
    found = restore(copied, root, ledger, over_newer=True)
    assert found.missing == ()
    assert len(found.unnamed) == 1
    assert files(root) == before - set(found.unnamed)
    with Ledger(f"sqlite:///{ledger}") as opened:
        assert opened.known_paths() == files(root)
        assert opened.integrity() == opened.verify_audit() == ()
        assert opened.find_instance("1.2.1") is not None
        assert opened.find_instance("1.2.2") is None
    assert found.set_aside is not None
    (aside,) = (found.set_aside / one for one in found.unnamed)
    assert dataset_of("1.2.2") in aside.read_bytes()
    assert instances(found.set_aside / "ledger.sqlite") == 2
    assert ledger.stat().st_mode & 0o077 == 0
    # and forth again: the one that was set aside is as good a copy
    again = restore(found.set_aside / "ledger.sqlite", root, ledger)
    assert instances(ledger) == 2
    assert again.missing == found.unnamed
    assert not list(root.glob("*.restoring*"))


def test_a_dry_run_changes_nothing(copied: Path, root: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}
    found = restore(copied, root, root / "ledger.sqlite", over_newer=True, dry_run=True)
    assert (found.missing, len(found.unnamed), found.set_aside) == ((), 1, None)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()} == before


def test_a_newer_ledger_is_not_replaced_unless_told(copied: Path, root: Path) -> None:
    with pytest.raises(Refused, match="--over-newer"):
        restore(copied, root, root / "ledger.sqlite")
    assert instances(root / "ledger.sqlite") == 2


def test_missing_files_are_named(copied: Path, root: Path) -> None:
    with Ledger(f"sqlite:///{copied}") as opened:
        (gone,) = opened.known_paths()
    (root / gone).unlink()
    found = restore(copied, root, root / "ledger.sqlite", over_newer=True)
    assert found.missing == (gone,)
    assert len(found.unnamed) == 1


def test_a_ledger_that_is_lost_or_broken_is_replaced(copied: Path, root: Path) -> None:
    ledger = root / "ledger.sqlite"
    ledger.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 40)
    restore(copied, root, ledger)
    assert instances(ledger) == 1
    ledger.unlink()
    restore(copied, root, ledger)
    assert instances(ledger) == 1


def damaged(data: bytes) -> bytes:
    return data[:8192] + b"\xaa" * 4096 + data[12288:]


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def other(data: bytes) -> bytes:
    return b"no database " + data


@pytest.mark.parametrize("damage", [damaged, cut, other])
def test_a_copy_that_is_not_whole_is_refused(damage, copied: Path, root: Path) -> None:
    copied.write_bytes(damage(copied.read_bytes()))
    with pytest.raises(Refused):
        restore(copied, root, root / "ledger.sqlite", over_newer=True)
    assert instances(root / "ledger.sqlite") == 2
    assert not list(root.glob("*.restoring*"))


def change(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("statement", "why"),
    [
        ("UPDATE alembic_version SET version_num = '9999'", "newer"),
        ("DELETE FROM alembic_version", "no ledger"),
        ("UPDATE audit SET action = 'other' WHERE number = 1", "audit trail"),
    ],
)
def test_a_copy_of_another_version_or_with_a_changed_trail_is_refused(
    statement: str, why: str, copied: Path, root: Path
) -> None:
    change(copied, statement)
    with pytest.raises(Refused, match=why):
        restore(copied, root, root / "ledger.sqlite", over_newer=True)
    assert instances(root / "ledger.sqlite") == 2


def test_an_older_copy_is_brought_to_the_present_schema(copied: Path, root: Path) -> None:
    change(copied, "DROP TABLE commitments")
    change(copied, "DROP TABLE removals")
    change(copied, "ALTER TABLE series DROP COLUMN interrupted")
    change(copied, "UPDATE alembic_version SET version_num = '0005'")
    restore(copied, root, root / "ledger.sqlite", over_newer=True)
    with Ledger(f"sqlite:///{root}/ledger.sqlite") as opened:
        assert opened.marked() == ()
    assert newest() > "0005"


def test_interrupted_before_the_exchange_nothing_has_changed(
    copied: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(root)

    def power_cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module.Path, "replace", power_cut)
        with pytest.raises(KeyboardInterrupt):
            restore(copied, root, root / "ledger.sqlite", over_newer=True)
    assert files(root) == before
    assert instances(root / "ledger.sqlite") == 2


def test_a_backup_under_load_is_whole_and_has_what_was_acknowledged_before(
    sqlite_ledger: Ledger, spool: Spool, tmp_path: Path
) -> None:
    ending, counts = threading.Event(), [0, 0]

    def write(which: int) -> None:
        while not ending.is_set():
            add(sqlite_ledger, spool, f"1.2.{which}.{counts[which] + 1}")
            counts[which] += 1

    threads = [threading.Thread(target=write, args=(which,)) for which in (0, 1)]
    for thread in threads:
        thread.start()
    for number in range(5):
        before = sum(counts)
        copy = tmp_path / f"{number}.sqlite"
        sqlite_ledger.backup(copy)
        assert before <= instances(copy) <= sum(counts) + 2
        with Ledger(f"sqlite:///{copy}") as opened:
            assert opened.integrity() == opened.verify_audit() == ()
            assert all(spool.holds(path) for path in opened.known_paths())
    ending.set()
    for thread in threads:
        thread.join()
    assert sum(counts) > 5
