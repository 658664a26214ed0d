"""What tables are made of: their catalogue, times with a zone, and the insert that never races."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import Column, Connection, DateTime, Dialect, Executable, MetaData, Table, insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert
from sqlalchemy.types import TypeDecorator

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime, stored in UTC; a naive one is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 SQLAlchemy's signature
        """Towards the database."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone has no place in the ledger")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 SQLAlchemy's signature
        """From the database; SQLite has no zones and gives back the UTC time naive."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def needed(name: str, kind: Any, *more: Any) -> Column[Any]:  # noqa: ANN401 any column type and constraint
    """A column that is never null."""
    return Column(name, kind, *more, nullable=False)


def insert_once(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Insert a row unless one with its key is there; whether it was inserted. One statement, so no race."""
    # Asked by what it returns: drivers disagree on the row count of an insert.
    return connection.execute(inserting_once(table, connection.dialect.name), values).first() is not None


@cache
def inserting_once(table: Table, dialect: str) -> ReturningInsert[Any]:
    """The statement of :func:`insert_once`: it returns a row if it has inserted one."""
    build = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return build(table).on_conflict_do_nothing().returning(next(iter(table.primary_key)))


def insert_row(connection: Connection, table: Table, values: dict[str, Any]) -> int:
    """Insert a row and return the number it got."""
    return int(connection.execute(_insert_row(table), values).scalar_one())


def alone(connection: Connection) -> None:
    """Let no other transaction pass here until this one has ended.

    Reads, readings and studies wait for each other; of two that come at the same time, the second has to see the
    first. SQLite has one writer anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(5171205)")


@cache
def _insert_row(table: Table) -> Executable:
    return insert(table).returning(table.c.id)
