"""The ledger's tables of users, tokens, sessions and the audit trail. They change by a migration only."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, String, Table, Text, UniqueConstraint

from node.storage.columns import UtcDateTime, metadata, needed

pseudonyms = Table(  # of readers and users alike: the number is the pseudonym
    "pseudonyms",
    metadata,
    Column("id", Integer, primary_key=True),
    needed("name", String),
    UniqueConstraint("name", name="uq_pseudonyms_name"),
)

users = Table(
    "users",
    metadata,
    Column("id", Integer, primary_key=True),
    needed("name", String),
    needed("role", String),
    needed("password_hash", String),
    needed("active", Boolean),
    needed("failed_logins", Integer),
    Column("locked_until", UtcDateTime),
    needed("created_at", UtcDateTime),
    needed("changed_at", UtcDateTime),
    UniqueConstraint("name", name="uq_users_name"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Integer, primary_key=True),
    needed("name", String),
    needed("user_id", Integer, ForeignKey("users.id")),
    needed("role", String),
    needed("sha256", String),  # of the token, which nobody keeps
    needed("created_at", UtcDateTime),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),
    UniqueConstraint("sha256", name="uq_tokens_sha256"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("sha256", String, primary_key=True),  # of the secret in the cookie
    needed("user_id", Integer, ForeignKey("users.id")),
    needed("created_at", UtcDateTime),
    needed("expires_at", UtcDateTime),
    Index(None, "user_id"),
    Index(None, "expires_at"),
)

audit = Table(  # only ever added to
    "audit",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    needed("at", UtcDateTime),
    needed("actor", String),
    needed("action", String),
    needed("subject", String),
    needed("detail", Text),  # JSON
    needed("previous", String),
    needed("sha256", String),
    Index(None, "subject"),
    Index(None, "at"),
)
