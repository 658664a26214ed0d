"""Statements that go past the library: what they give, and what their failures mean."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlalchemy import Connection, bindparam, event, select, text
from sqlalchemy.exc import DBAPIError

from node.domain.errors import LedgerBusy, StorageFull
from node.storage.columns import inserting_once
from node.storage.engine import Database
from node.storage.ledger import Ledger
from node.storage.prepared import Prepared
from node.storage.tables import associations
from tests.node.storage.builders import NOW

_ADD = Prepared(lambda dialect: inserting_once(associations, dialect))
_TIMES = Prepared(lambda _: select(associations.c.association, associations.c.opened_at))
_FORGET = Prepared(lambda _: associations.delete().where(associations.c.ae_title == bindparam("whose")))


@pytest.fixture
def database(ledger: Ledger) -> Database:
    return ledger._database


def row(association: str, ae_title: str = "CT01", at: datetime = NOW) -> dict[str, object]:
    return {"association": association, "ae_title": ae_title, "host": "10.1.0.5", "opened_at": at}


def test_rows_and_counts(database: Database) -> None:
    with database.writing() as connection:
        assert [len(_ADD.rows(connection, row(name))) for name in ("a1", "a2", "a1")] == [1, 1, 0]
        _ADD.rows(connection, row("a3", "CT02"))
    with database.glancing() as connection:
        assert [found[0] for found in _TIMES.rows(connection, {})] == ["a1", "a2", "a3"]
    with database.writing() as connection:
        assert [_FORGET.count(connection, {"whose": who}) for who in ("CT01", "CT01")] == [2, 0]


def test_values_are_stored_as_the_library_stores_them(database: Database) -> None:
    with database.writing() as connection:
        _ADD.rows(connection, row("a1"))
        assert connection.execute(select(associations.c.opened_at)).scalar_one() == NOW.astimezone(UTC)


def test_what_is_not_stored_is_said_and_leaves_nothing(database: Database) -> None:
    def both(connection: Connection) -> None:
        _ADD.rows(connection, row("a1"))
        _ADD.rows(connection, row("a2", at=datetime(2026, 1, 1)))  # noqa: DTZ001 - that is the point

    with pytest.raises(ValueError, match="without a zone"):
        database.together(both)
    with database.glancing() as connection:
        assert _TIMES.rows(connection, {}) == []


def test_a_bug_stays_a_bug_and_quotes_nothing(database: Database) -> None:
    wrong = Prepared(lambda _: text("SELECT :name FROM nowhere"))
    with pytest.raises(DBAPIError) as caught, database.glancing() as connection:
        wrong.rows(connection, {"name": "DOE^JANE"})
    assert "DOE" not in str(caught.value)


class Failing:
    """A cursor whose driver fails."""

    def __init__(self, code: int) -> None:
        self.error = sqlite3.OperationalError("of the driver")
        self.error.sqlite_errorcode = code

    def execute(self, *_: object) -> None:
        raise self.error

    def close(self) -> None:
        """Nothing is open."""


def times(database: Database, cursor: Callable[[], Failing]) -> None:
    with database.glancing() as connection:
        connection.connection.cursor = cursor  # type: ignore[method-assign, assignment]
        _TIMES.rows(connection, {})


@pytest.mark.parametrize(("code", "meaning"), [(sqlite3.SQLITE_FULL, StorageFull), (sqlite3.SQLITE_IOERR, LedgerBusy)])
def test_failures_mean_what_they_mean_elsewhere(sqlite_ledger: Ledger, code: int, meaning: type[Exception]) -> None:
    with pytest.raises(meaning):
        times(sqlite_ledger._database, lambda: Failing(code))


@pytest.mark.parametrize("lost", [False, True])
def test_a_connection_that_is_lost_is_not_used_again(
    sqlite_ledger: Ledger,
    monkeypatch: pytest.MonkeyPatch,
    lost: bool,  # noqa: FBT001 a table column
) -> None:
    database, gone = sqlite_ledger._database, []
    monkeypatch.setattr(database.engine.dialect, "is_disconnect", lambda *_: lost)
    event.listen(database.engine, "invalidate", lambda *_: gone.append(1))
    with pytest.raises(LedgerBusy):
        times(database, lambda: Failing(sqlite3.SQLITE_IOERR))
    assert len(gone) == lost


def test_a_connection_that_gives_no_cursor_is_busy(sqlite_ledger: Ledger) -> None:
    def closed() -> Failing:
        raise Failing(sqlite3.SQLITE_CANTOPEN).error

    with pytest.raises(LedgerBusy):
        times(sqlite_ledger._database, closed)
