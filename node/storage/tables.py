"""The ledger's tables of the flow. They change by a migration only; a test compares the two."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from node.storage.columns import UtcDateTime, metadata, needed

series = Table(
    "series",
    metadata,
    Column("series_uid", String, primary_key=True),
    needed("study_uid", String),
    needed("state", String),
    needed("generation", Integer),
    needed("first_received", UtcDateTime),
    needed("last_received", UtcDateTime),
    needed("last_ae_title", String),
    needed("evidence", String),  # why it was last closed
    needed("conflicts", Integer),
    needed("interrupted", Boolean),  # the last association that delivered to it and ended was cut off
    Index(None, "study_uid"),
    Index(None, "state"),
    Index(None, "last_received"),
)

instances = Table(
    "instances",
    metadata,
    Column("sop_uid", String, primary_key=True),
    needed("series_uid", String, ForeignKey("series.series_uid")),
    needed("facts", Text),  # JSON of the Instance
    needed("path", String),
    needed("sha256", String),
    needed("size", BigInteger),
    needed("received_at", UtcDateTime),
    needed("ae_title", String),
    needed("host", String),
    needed("association", String),
    needed("conflicted", Boolean),
    Column("generation", Integer),  # the first generation it belongs to; null until its series is closed
    Index(None, "series_uid", "generation"),
)

quarantined = Table(
    "quarantined",
    metadata,
    Column("sop_uid", String, primary_key=True),
    Column("sha256", String, primary_key=True),
    needed("series_uid", String),  # of the instance it contradicts
    needed("path", String),
    needed("size", BigInteger),
    needed("received_at", UtcDateTime),
    needed("ae_title", String),
    needed("host", String),
    Index(None, "series_uid"),
)

associations = Table(
    "associations",
    metadata,
    Column("association", String, primary_key=True),
    needed("ae_title", String),
    needed("host", String),
    needed("opened_at", UtcDateTime),
)

senders = Table(  # which open association has delivered to which series
    "senders",
    metadata,
    Column("series_uid", String, primary_key=True),
    Column("association", String, primary_key=True),
    Index(None, "association"),
)

removals = Table(  # files that are being let go: no row names them any more, and they may still be there
    "removals",
    metadata,
    Column("path", String, primary_key=True),
    needed("marked_at", UtcDateTime),
)

work = Table(
    "work",
    metadata,
    Column("id", Integer, primary_key=True),
    needed("stage", String),
    needed("series_uid", String, ForeignKey("series.series_uid")),
    needed("generation", Integer),
    needed("object_uid", String),
    needed("destination", String),
    needed("state", String),
    needed("attempts", Integer),
    needed("claim", Integer),
    needed("not_before", UtcDateTime),
    Column("claimed_until", UtcDateTime),
    needed("changed_at", UtcDateTime),
    needed("error", Text),
    needed("reasons", Text),  # JSON list
    UniqueConstraint("stage", "series_uid", "generation", "object_uid", "destination", name="uq_work_subject"),
    Index(None, "state", "stage", "not_before"),
    Index(None, "series_uid", "generation"),
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("series_uid", String, ForeignKey("series.series_uid"), primary_key=True),
    Column("generation", Integer, primary_key=True),
    needed("eligible", Boolean),
    needed("reasons", Text),  # JSON list
    needed("recorded_at", UtcDateTime),
)

readings = Table(
    "readings",
    metadata,
    Column("series_uid", String, ForeignKey("series.series_uid"), primary_key=True),
    Column("generation", Integer, primary_key=True),
    needed("findings", Text),  # JSON of the Kept
    Column("mask", Text),  # JSON of the Kept; null without calcium
    needed("model_sha256", String),
    needed("settings_sha256", String),
    needed("recorded_at", UtcDateTime),
)

objects = Table(
    "objects",
    metadata,
    Column("sop_uid", String, primary_key=True),
    needed("series_uid", String, ForeignKey("series.series_uid")),  # the source series
    needed("generation", Integer),
    needed("role", String),
    needed("sop_class_uid", String),
    needed("transfer_syntax_uid", String),
    needed("made_series_uid", String),  # the object's own series
    needed("path", String),
    needed("sha256", String),
    needed("size", BigInteger),
    needed("recorded_at", UtcDateTime),
    Index(None, "series_uid", "generation"),
)

commitments = Table(  # who asked whether instances are kept, until it has been told
    "commitments",
    metadata,
    Column("id", Integer, primary_key=True),
    needed("transaction_uid", String),
    needed("ae_title", String),
    needed("host", String),
    needed("instances", Text),  # JSON list of pairs: SOP class, SOP instance
    needed("state", String),
    needed("attempts", Integer),
    needed("not_before", UtcDateTime),
    needed("requested_at", UtcDateTime),
    needed("changed_at", UtcDateTime),
    needed("error", Text),
    UniqueConstraint("transaction_uid", "ae_title", name="uq_commitments_asked"),
    Index(None, "state", "not_before"),
)
