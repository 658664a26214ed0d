"""Who uses the page and the API, and what they did: users, tokens, the chain of the audit trail."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum


class Role(StrEnum):
    """What a user may do, least first; each may also do what those before it may."""

    VIEWER = "viewer"
    REVIEWER = "reviewer"
    ADMIN = "admin"

    def allows(self, needed: Role) -> bool:
        """Whether this role may do what ``needed`` may."""
        order = tuple(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user as the ledger knows them. ``password_hash`` is opaque here; empty: no log-in by password."""

    id: int
    name: str
    role: Role
    password_hash: str
    pseudonym: str
    active: bool = True
    failed_logins: int = 0
    locked_until: datetime | None = None

    def locked(self, now: datetime) -> bool:
        """Whether log-ins are refused for a while."""
        return self.locked_until is not None and now < self.locked_until


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token of the API, without the token itself: only its hash is kept."""

    id: int
    name: str
    user_id: int
    role: Role
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    def valid(self, now: datetime) -> bool:
        """Whether it opens anything."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One thing somebody did; ``sha256`` covers it and, by ``previous``, all before it."""

    number: int
    at: datetime
    actor: str
    action: str
    subject: str
    detail: Mapping[str, object]
    previous: str
    sha256: str


GENESIS = "0" * 64
"""What stands before the first entry."""


def detail_text(detail: Mapping[str, object]) -> str:
    """The detail of an entry as it is kept and hashed."""
    return json.dumps(detail, sort_keys=True, separators=(",", ":"), allow_nan=False)


def chained(previous: str, *, number: int, at: datetime, deed: tuple[str, str, str], detail: str) -> str:
    """SHA-256 of an entry and the one before it; ``deed`` is actor, action and subject."""
    content = [previous, number, at.astimezone(UTC).isoformat(), *deed, detail]
    return hashlib.sha256(json.dumps(content).encode("ascii")).hexdigest()
