"""The ledger's schema, step by step; run by the node itself, no alembic.ini needed."""

from __future__ import annotations

import threading
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from node.domain.errors import Refused
from node.storage.engine import Database

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


def newest() -> str:
    """The revision this software needs."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config
