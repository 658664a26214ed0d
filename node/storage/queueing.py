"""Rows of work: adding them, reading them, and the fence that only the holder of a claim passes."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, update

from node.domain.errors import LeaseLost
from node.domain.records import NewWork, Released, WorkRecord
from node.domain.release import OUT_OF_TIME
from node.domain.work import Stage, Work, WorkState
from node.storage.columns import insert_once
from node.storage.facts import decode_texts, encode_texts
from node.storage.tables import work

FOREVER: Final = datetime(9999, 1, 1, tzinfo=UTC)
"""When a hold without an end ends."""


_NOT_BY_A_READ: Final = (encode_texts(()), encode_texts((OUT_OF_TIME,)))


def add_work(connection: Connection, added: Iterable[NewWork], now: datetime) -> None:
    """Insert pending work; what is there already, in whatever state, stays as it is."""
    for new in added:
        values = {
            "stage": new.stage,
            "series_uid": new.series_uid,
            "generation": new.generation,
            "object_uid": new.object_uid,
            "destination": new.destination,
            "state": WorkState.HELD if new.held else WorkState.PENDING,
            "attempts": 0,
            "claim": 0,
            "not_before": new.not_before or (FOREVER if new.held else now),
            "changed_at": now,
            "error": "",
            "reasons": encode_texts((new.held,) if new.held else ()),
        }
        if not insert_once(connection, work, values) and new.repeat:
            repeat_work(connection, new.stage, new.series_uid, new.generation, now)


def repeat_work(connection: Connection, stage: Stage, series_uid: str, generation: int, now: datetime) -> None:
    """Have a stage run (again) for a generation.

    Who is at it just now loses the claim: what it knows may be out of date.
    """
    same = (work.c.stage == stage, work.c.series_uid == series_uid, work.c.generation == generation)
    fresh = {
        "state": WorkState.PENDING,
        "attempts": 0,
        "claimed_until": None,
        "not_before": now,
        "changed_at": now,
        "error": "",
    }
    if connection.execute(update(work).where(*same).values(fresh)).rowcount == 0:
        add_work(connection, [NewWork(stage=stage, series_uid=series_uid, generation=generation)], now)


def release_work(connection: Connection, subject: Work, released: Released, now: datetime) -> None:
    """Send what is held for one destination, go on holding it, or end it without sending.

    What has been ended without need is sent after all when a later comparison asks for it.
    """
    waiting = [
        work.c.stage == Stage.DELIVER,
        work.c.series_uid == subject.series_uid,
        work.c.generation == subject.generation,
        work.c.destination == released.destination,
    ]
    if released.again:
        # without a reason: never held, such as what tells how a case was settled
        waiting += [work.c.state == WorkState.PENDING, work.c.reasons.not_in(_NOT_BY_A_READ)]
    else:
        waiting.append(work.c.state.in_((WorkState.HELD, WorkState.DECLINED)))
    values: dict[str, Any] = {"reasons": encode_texts((released.reason,) if released.reason else ())}
    if released.send:
        values |= {"state": WorkState.PENDING, "attempts": 0, "not_before": now, "changed_at": now}
    elif released.ended:
        values |= {"state": WorkState.DECLINED, "changed_at": now}
    else:  # held as before: since when does not change
        values |= {"changed_at": now} if released.again else {}
        values |= {"state": WorkState.HELD, "not_before": released.until or FOREVER}
    connection.execute(update(work).where(*waiting).values(values))


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
