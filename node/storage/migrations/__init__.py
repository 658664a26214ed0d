"""The ledger's schema, step by step; run by the node itself, no alembic.ini needed."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import func, inspect, select, text

from node.domain.errors import Refused
from node.storage.engine import Database

_ROWS_PER_SECOND: Final = 5_000  # a cautious guess, not a measurement: rows are read, packed and written again
_SECONDS_OF_A_STEP: Final = 1.0
_ONE_AT_A_TIME = threading.Lock()  # Alembic keeps the migration under way in globals of its modules


def upgrade(url: str) -> str:
    """Bring the database at ``url`` to the newest schema and return its revision. Repeating it is harmless.

    Raises
    ------
    Refused
        The schema is of a newer version of this software.
    LedgerBusy, StorageFull
        The database cannot be written.

    """
    config = _config()
    scripts = ScriptDirectory.from_config(config)
    database = Database(url)
    try:
        with database.writing() as connection:
            present = MigrationContext.configure(connection).get_current_revision()
            if present is not None and present not in {script.revision for script in scripts.walk_revisions()}:
                raise Refused(f"the ledger's schema {present} is newer than this software")
            config.attributes["connection"] = connection
            with _ONE_AT_A_TIME:
                command.upgrade(config, "head")
    finally:
        database.close()
    return newest()


def current(url: str) -> str | None:
    """The revision of the schema at ``url``, None for an empty database."""
    database = Database(url)
    try:
        with database.reading() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        database.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A migration that is to run: what for, how many rows it goes through, and about how long that takes."""

    revision: str
    words: str
    rows: int
    seconds: float


def steps(url: str | None) -> tuple[Step, ...]:
    """What :func:`upgrade` would do, in order; ``url`` None is a database that is not there yet. Changes nothing.

    Raises
    ------
    Refused
        The schema is of a newer version of this software.

    """
    scripts = ScriptDirectory.from_config(_config())
    present = None if url is None else current(url)
    if present is not None and present not in {script.revision for script in scripts.walk_revisions()}:
        raise Refused(f"the ledger's schema {present} is newer than this software")
    ahead = list(scripts.iterate_revisions("head", present or "base"))
    return tuple(_step(script, None if present is None else url) for script in reversed(ahead))


def _step(script: Script, url: str | None) -> Step:
    tables = getattr(script.module, "rewrites", ())  # those a migration goes through row by row
    rows = 0 if url is None else sum(_rows(url, table) for table in tables)
    seconds = _SECONDS_OF_A_STEP + rows / _ROWS_PER_SECOND
    return Step(revision=script.revision, words=script.doc.split("\n")[0], rows=rows, seconds=seconds)


def _rows(url: str, table: str) -> int:
    database = Database(url)
    try:
        with database.reading() as connection:
            there = inspect(connection).has_table(table)
            return int(connection.scalar(select(func.count()).select_from(text(table))) or 0) if there else 0
    finally:
        database.close()


def newest() -> str:
    """The revision this software needs."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
