from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.storage.engine import Database
from node.storage.ledger import Ledger
from node.storage.migrations import upgrade
from node.storage.spool import Spool

POSTGRESQL = os.environ.get("SECOND_READER_TEST_POSTGRESQL", "")  # an SQLAlchemy URL; the database is emptied


def empty(url: str) -> None:
    database = Database(url)
    with database.writing() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    database.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "node"


@pytest.fixture
def spool(root: Path) -> Spool:
    return Spool(root, 0)


@pytest.fixture
def url(root: Path) -> str:
    root.mkdir(exist_ok=True)
    return f"sqlite:///{root}/ledger.sqlite"


@pytest.fixture
def sqlite_ledger(url: str) -> Iterator[Ledger]:
    upgrade(url)
    with Ledger(url) as opened:
        yield opened


@pytest.fixture(params=["sqlite", "postgresql"] if POSTGRESQL else ["sqlite"])
def ledger(request: pytest.FixtureRequest, root: Path) -> Iterator[Ledger]:
    """The contract is one; the databases are those that are there."""
    root.mkdir(exist_ok=True)
    url = f"sqlite:///{root}/ledger.sqlite"
    if request.param == "postgresql":
        url = POSTGRESQL
        empty(url)
    upgrade(url)
    with Ledger(url) as opened:
        yield opened
