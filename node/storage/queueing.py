"""Rows of work: adding them, reading them, and the fence that only the holder of a claim passes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, update

from node.domain.errors import LeaseLost
from node.domain.records import NewWork, WorkRecord
from node.domain.work import Stage, Work, WorkState
from node.storage.facts import decode_texts, encode_texts
from node.storage.tables import insert_once, work


def add_work(connection: Connection, added: Iterable[NewWork], now: datetime) -> None:
    """Insert pending work; what is there already, in whatever state, stays as it is."""
    for new in added:
        values = {
            "stage": new.stage,
            "series_uid": new.series_uid,
            "generation": new.generation,
            "object_uid": new.object_uid,
            "destination": new.destination,
            "state": WorkState.PENDING,
            "attempts": 0,
            "claim": 0,
            "not_before": new.not_before or now,
            "changed_at": now,
            "error": "",
            "reasons": encode_texts(()),
        }
        insert_once(connection, work, values)


def change_claimed(connection: Connection, claimed: Work, **values: Any) -> None:  # noqa: ANN401 any column
    """Change the row of a claim that still holds.

    Raises
    ------
    LeaseLost
        Somebody else has claimed it since, or its outcome is recorded.

    """
    held = (work.c.id == claimed.id, work.c.state == WorkState.CLAIMED, work.c.claim == claimed.claim)
    if connection.execute(update(work).where(*held).values(**values)).rowcount != 1:
        raise LeaseLost(f"{claimed.stage} {claimed.id} is no longer ours")


def work_of(row: Row[Any]) -> Work:
    """A row of ``work`` as claimed."""
    return Work(
        id=row.id,
        stage=Stage(row.stage),
        series_uid=row.series_uid,
        generation=row.generation,
        object_uid=row.object_uid,
        destination=row.destination,
        attempts=row.attempts,
        claimed_until=row.claimed_until,
        claim=row.claim,
    )


def work_record(row: Row[Any]) -> WorkRecord:
    """A row of ``work`` with where it stands."""
    return WorkRecord(
        work=work_of(row),
        state=WorkState(row.state),
        not_before=row.not_before,
        changed_at=row.changed_at,
        error=row.error,
        reasons=decode_texts(row.reasons),
    )
