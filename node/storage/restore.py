"""A copy of the ledger put back in its place, without losing a file that it does not name."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy.exc import DBAPIError

from node.domain.errors import Refused
from node.storage.durable import sync_directory
from node.storage.ledger import Ledger
from node.storage.migrations import current, upgrade

_MAGIC: Final = b"SQLite format 3\0"
FOLDERS: Final = ("spool", "quarantine", "outbox", "reads")


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a copy and the files under the storage root have to do with each other.

    Attributes
    ----------
    missing
        Files that the copy names and that are not there.
    unnamed
        Files that are there and that the copy does not name: what came in after it was made.
    set_aside
        The folder that those are in now, and the ledger that was replaced; None in a dry run.

    """

    missing: tuple[str, ...]
    unnamed: tuple[str, ...]
    set_aside: Path | None = None


def restore(copy: Path, root: Path, ledger: Path, *, over_newer: bool = False, dry_run: bool = False) -> Restored:
    """Put a copy of the ledger in its place. The caller holds the storage lock.

    The one that is there and every file that the copy does not name are set aside before, as links: whenever this is
    interrupted, either ledger is in place and nothing is lost.

    Raises
    ------
    Refused
        The copy is no whole ledger, is of a newer version of this software, or is older than the ledger in place.

    """
    draft = ledger.with_name(f"{ledger.name}.restoring")
    try:
        known = _checked(copy, draft)
        if ledger.exists() and not over_newer:
            _refuse_older(draft, ledger)
        present = frozenset(_files(root))
        missing = tuple(sorted(known - present))
        unnamed = tuple(sorted(present - known))
        if dry_run:
            return Restored(missing=missing, unnamed=unnamed)
        aside = root / f"set-aside-{datetime.now(UTC):%Y%m%dT%H%M%S%f}"
        aside.mkdir(mode=0o700)
        _link_aside(root, aside, unnamed, ledger)
        draft.replace(ledger)
        sync_directory(ledger.parent)
        for path in unnamed:
            (root / path).unlink()
    finally:
        for leftover in (draft, *_beside(draft)):
            leftover.unlink(missing_ok=True)
    return Restored(missing=missing, unnamed=unnamed, set_aside=aside)


def _checked(copy: Path, draft: Path) -> frozenset[str]:
    """A whole copy of the copy, brought to the present schema; returns the paths it names."""
    with copy.open("rb") as handle:
        if handle.read(len(_MAGIC)) != _MAGIC:
            raise Refused(f"{copy.name} is no copy of a ledger")
    for leftover in (draft, *_beside(draft)):
        leftover.unlink(missing_ok=True)
    draft.touch(mode=0o600)
    shutil.copyfile(copy, draft)
    url = f"sqlite:///{draft}"
    try:
        with Ledger(url) as opened:
            wrong = opened.integrity()
        if wrong or current(url) is None:
            raise Refused(f"{copy.name} is not whole: {wrong[0] if wrong else 'it holds no ledger'}")
        upgrade(url)
        with Ledger(url) as opened:
            tampered = opened.verify_audit()
            known = opened.known_paths()
    except (sqlite3.DatabaseError, DBAPIError) as error:
        raise Refused(f"{copy.name} is not whole: the database cannot read it") from error
    if tampered:
        raise Refused(f"the audit trail of {copy.name} is not whole: {tampered[0]}")
    with draft.open("rb") as handle:
        os.fsync(handle.fileno())
    return known


def _refuse_older(draft: Path, ledger: Path) -> None:
    try:
        there = _last_change(ledger)
    except sqlite3.DatabaseError:  # the ledger in place is what is to be got rid of
        return
    if there > _last_change(draft):
        raise Refused(f"the ledger in place is newer (last changed {there} UTC): say --over-newer to replace it")


def _last_change(path: Path) -> str:
    """When anything was last recorded, as the database writes times; they sort as text."""
    columns = (("work", "changed_at"), ("series", "last_received"), ("audit", "at"), ("human_reads", "received_at"))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        there = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        newest = [
            connection.execute(f"SELECT max({column}) FROM {table}").fetchone()[0]  # noqa: S608 - names from above
            for table, column in columns
            if table in there
        ]
    return max((one for one in newest if one), default="")


def _files(root: Path) -> Iterator[str]:
    for folder in FOLDERS:
        for path in (root / folder).rglob("*"):
            if path.is_file():
                yield path.relative_to(root).as_posix()


def _link_aside(root: Path, aside: Path, unnamed: tuple[str, ...], ledger: Path) -> None:
    for path in unnamed:
        target = aside / path
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.link(root / path, target)
        sync_directory(target.parent)
    if ledger.exists():
        with contextlib.suppress(sqlite3.DatabaseError), contextlib.closing(sqlite3.connect(ledger)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for part in _beside(ledger):  # of a ledger that cannot be opened; it must not be taken for that of the copy
            if part.exists():
                part.rename(aside / part.name)
        os.link(ledger, aside / ledger.name)
    sync_directory(aside)
    sync_directory(root)


def _beside(ledger: Path) -> tuple[Path, ...]:
    return tuple(ledger.with_name(ledger.name + ending) for ending in ("-wal", "-shm", "-journal"))
