"""The audit trail: only ever added to, each entry holding the hash of the one before it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from node.domain.audit_chain import Link, chain_faults
from node.domain.people import GENESIS, AuditEntry, chained, detail_text
from node.storage.columns import alone
from node.storage.engine import Store
from node.storage.people_tables import audit


class AuditBook(Store):
    """Who did what."""

    def add_audit(
        self, actor: str, action: str, subject: str, now: datetime, detail: Mapping[str, object] | None = None
    ) -> None:
        """Add an entry; ``detail`` holds what JSON can."""
        with self._database.writing() as connection:
            add_entry(connection, actor, action, subject, detail or {}, now)

    def audit_entries(
        self, *, subject: str = "", actor: str = "", limit: int = 100, offset: int = 0
    ) -> tuple[AuditEntry, ...]:
        """Entries, newest first; of one subject or one actor only, where that is given."""
        query = select(audit).order_by(audit.c.number.desc()).limit(limit).offset(offset)
        if subject:
            query = query.where(audit.c.subject == subject)
        if actor:
            query = query.where(audit.c.actor == actor)
        with self._database.reading() as connection:
            return tuple(_entry(row) for row in connection.execute(query).all())

    def verify_audit(self) -> tuple[str, ...]:
        """What is wrong with the chain, each in words; empty while nobody has changed or removed an entry.

        Entries cut off at the end cannot be seen from inside: keep :meth:`audit_head` elsewhere.
        """
        with self._database.reading() as connection:
            rows = connection.execute(select(audit).order_by(audit.c.number))
            return tuple(chain_faults(_link(row) for row in rows))

    def audit_hashes(self, numbers: Collection[int]) -> dict[int, str]:
        """The hashes of entries by number; of those that are there."""
        query = select(audit.c.number, audit.c.sha256)
        with self._database.reading() as connection:
            rows = connection.execute(query)
            return {row.number: row.sha256 for row in rows if row.number in numbers}

    def audit_head(self) -> tuple[int, str]:
        """Number and hash of the last entry."""
        with self._database.reading() as connection:
            return _head(connection)


def add_entry(
    connection: Connection, actor: str, action: str, subject: str, detail: Mapping[str, object], now: datetime
) -> None:
    """Add an entry within a transaction: what was done and its trace are recorded together or not at all."""
    alone(connection)
    number, previous = _head(connection)
    text = detail_text(detail)
    values: dict[str, Any] = {
        "number": number + 1,
        "at": now,
        "actor": actor,
        "action": action,
        "subject": subject,
        "detail": text,
        "previous": previous,
        "sha256": chained(previous, number=number + 1, at=now, deed=(actor, action, subject), detail=text),
    }
    connection.execute(insert(audit).values(values))


def _head(connection: Connection) -> tuple[int, str]:
    row = connection.execute(select(audit.c.number, audit.c.sha256).order_by(audit.c.number.desc()).limit(1)).first()
    return (0, GENESIS) if row is None else (row.number, row.sha256)


def _link(row: Row[Any]) -> Link:
    found = chained(
        row.previous, number=row.number, at=row.at, deed=(row.actor, row.action, row.subject), detail=row.detail
    )
    return Link(number=row.number, previous=row.previous, sha256=row.sha256, found=found)


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        number=row.number,
        at=row.at,
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        detail=json.loads(row.detail),
        previous=row.previous,
        sha256=row.sha256,
    )
