from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from node.domain.errors import LedgerBusy, Refused
from node.storage.columns import metadata
from node.storage.engine import Database
from node.storage.ledger import Ledger
from node.storage.migrations import current, newest, upgrade
from tests.node.storage.builders import NOW, a_file, a_peer, an_instance


def test_from_empty_to_newest_and_again(url: str) -> None:
    assert current(url) is None
    assert upgrade(url) == newest()
    with Ledger(url) as ledger:
        ledger.add_instance(an_instance(), a_file(), a_peer(), NOW)
    assert upgrade(url) == newest() == current(url)
    with Ledger(url) as ledger:
        assert ledger.status()["instances"] == 1


def test_migrations_make_what_the_tables_say(ledger: Ledger) -> None:
    with ledger._database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_a_newer_schema_is_refused_and_left_alone(url: str) -> None:
    upgrade(url)
    database = Database(url)
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    with pytest.raises(Refused, match="newer"):
        upgrade(url)
    assert current(url) == "9999"


def test_a_place_that_cannot_be_written_is_busy(tmp_path: Path) -> None:
    with pytest.raises(LedgerBusy):
        upgrade(f"sqlite:///{tmp_path}/missing/ledger.sqlite")


def test_a_percent_sign_in_the_path(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/100% ledger.sqlite"
    assert upgrade(url) == current(url)
