"""The ledger's tables. They change by a migration only; a test compares the two."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Dialect,
    Executable,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import postgresql, sqlite
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


def _needed(name: str, kind: Any, *more: Any) -> Column[Any]:  # noqa: ANN401 any column type and constraint
    return Column(name, kind, *more, nullable=False)


series = Table(
    "series",
    metadata,
    Column("series_uid", String, primary_key=True),
    _needed("study_uid", String),
    _needed("state", String),
    _needed("generation", Integer),
    _needed("first_received", UtcDateTime),
    _needed("last_received", UtcDateTime),
    _needed("last_ae_title", String),
    _needed("evidence", String),  # why it was last closed
    _needed("conflicts", Integer),
    Index(None, "study_uid"),
    Index(None, "state"),
    Index(None, "last_received"),
)

instances = Table(
    "instances",
    metadata,
    Column("sop_uid", String, primary_key=True),
    _needed("series_uid", String, ForeignKey("series.series_uid")),
    _needed("facts", Text),  # JSON of the Instance
    _needed("path", String),
    _needed("sha256", String),
    _needed("size", BigInteger),
    _needed("received_at", UtcDateTime),
    _needed("ae_title", String),
    _needed("host", String),
    _needed("association", String),
    _needed("conflicted", Boolean),
    Column("generation", Integer),  # the first generation it belongs to; null until its series is closed
    Index(None, "series_uid", "generation"),
)

quarantined = Table(
    "quarantined",
    metadata,
    Column("sop_uid", String, primary_key=True),
    Column("sha256", String, primary_key=True),
    _needed("series_uid", String),  # of the instance it contradicts
    _needed("path", String),
    _needed("size", BigInteger),
    _needed("received_at", UtcDateTime),
    _needed("ae_title", String),
    _needed("host", String),
    Index(None, "series_uid"),
)

associations = Table(
    "associations",
    metadata,
    Column("association", String, primary_key=True),
    _needed("ae_title", String),
    _needed("host", String),
    _needed("opened_at", UtcDateTime),
)

senders = Table(  # which open association has delivered to which series
    "senders",
    metadata,
    Column("series_uid", String, primary_key=True),
    Column("association", String, primary_key=True),
    Index(None, "association"),
)

work = Table(
    "work",
    metadata,
    Column("id", Integer, primary_key=True),
    _needed("stage", String),
    _needed("series_uid", String, ForeignKey("series.series_uid")),
    _needed("generation", Integer),
    _needed("object_uid", String),
    _needed("destination", String),
    _needed("state", String),
    _needed("attempts", Integer),
    _needed("claim", Integer),
    _needed("not_before", UtcDateTime),
    Column("claimed_until", UtcDateTime),
    _needed("changed_at", UtcDateTime),
    _needed("error", Text),
    _needed("reasons", Text),  # JSON list
    UniqueConstraint("stage", "series_uid", "generation", "object_uid", "destination", name="uq_work_subject"),
    Index(None, "state", "stage", "not_before"),
    Index(None, "series_uid", "generation"),
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("series_uid", String, ForeignKey("series.series_uid"), primary_key=True),
    Column("generation", Integer, primary_key=True),
    _needed("eligible", Boolean),
    _needed("reasons", Text),  # JSON list
    _needed("recorded_at", UtcDateTime),
)

readings = Table(
    "readings",
    metadata,
    Column("series_uid", String, ForeignKey("series.series_uid"), primary_key=True),
    Column("generation", Integer, primary_key=True),
    _needed("findings", Text),  # JSON of the Kept
    Column("mask", Text),  # JSON of the Kept; null without calcium
    _needed("model_sha256", String),
    _needed("settings_sha256", String),
    _needed("recorded_at", UtcDateTime),
)

objects = Table(
    "objects",
    metadata,
    Column("sop_uid", String, primary_key=True),
    _needed("series_uid", String, ForeignKey("series.series_uid")),  # the source series
    _needed("generation", Integer),
    _needed("role", String),
    _needed("sop_class_uid", String),
    _needed("transfer_syntax_uid", String),
    _needed("made_series_uid", String),  # the object's own series
    _needed("path", String),
    _needed("sha256", String),
    _needed("size", BigInteger),
    _needed("recorded_at", UtcDateTime),
    Index(None, "series_uid", "generation"),
)


def insert_once(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Insert a row unless one with its key is there; whether it was inserted. One statement, so no race."""
    # Asked by what it returns: drivers disagree on the row count of an insert.
    return connection.execute(_insert_once(table, connection.dialect.name), values).first() is not None


@cache
def _insert_once(table: Table, dialect: str) -> Executable:
    insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(table).on_conflict_do_nothing().returning(next(iter(table.primary_key)))
