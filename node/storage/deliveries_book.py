"""Deliveries to a destination that is no more: dropped, or sent to another. Both go into the audit trail."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, and_, exists, func, select, update

from node.domain.work import Stage, WorkState
from node.storage.audit_book import add_entry
from node.storage.engine import Store
from node.storage.facts import encode_texts
from node.storage.tables import work

_WAITING: Final = (WorkState.PENDING, WorkState.HELD, WorkState.CLAIMED, WorkState.PARKED)


class DeliveriesBook(Store):
    """What a person does with deliveries."""

    def waiting_deliveries(self) -> dict[str, int]:
        """How many deliveries to each destination have not gone out yet, dead letters included."""
        query = select(work.c.destination, func.count()).where(
            work.c.stage == Stage.DELIVER, work.c.state.in_(_WAITING)
        )
        with self._database.reading() as connection:
            return dict(connection.execute(query.group_by(work.c.destination).order_by(work.c.destination)).all())

    def drop_deliveries(self, destination: str, actor: str, now: datetime) -> int:
        """End every delivery to a destination that has not gone out; how many there were."""
        ended = {
            "state": WorkState.DECLINED,
            "claimed_until": None,
            "changed_at": now,
            "reasons": encode_texts((f"dropped by {actor}",)),
        }
        with self._database.writing() as connection:
            count = connection.execute(update(work).where(_waiting_for(destination)).values(ended)).rowcount
            if count:
                add_entry(connection, actor, "outbox.drop", f"destination:{destination}", {"deliveries": count}, now)
        return count

    def redirect_deliveries(self, destination: str, other: str, actor: str, now: datetime) -> int:
        """Have what has not gone out to one destination go to another, with fresh attempts; how many there were.

        What the other one gets anyway it gets once.
        """
        twin = work.alias("twin")
        same = and_(
            *(twin.c[name] == work.c[name] for name in ("stage", "series_uid", "generation", "object_uid")),
            twin.c.destination == other,
        )
        ended = {
            "state": WorkState.DECLINED,
            "claimed_until": None,
            "changed_at": now,
            "reasons": encode_texts((f"goes to {other} anyway",)),
        }
        moved = {"destination": other, "changed_at": now}
        fresh = {"state": WorkState.PENDING, "attempts": 0, "claimed_until": None, "not_before": now, "error": ""}
        with self._database.writing() as connection:
            waiting = _waiting_for(destination)
            count = connection.execute(update(work).where(waiting, exists().where(same)).values(ended)).rowcount
            held = and_(waiting, work.c.state == WorkState.HELD)
            count += connection.execute(update(work).where(held).values(moved)).rowcount
            count += connection.execute(update(work).where(waiting).values(moved | fresh)).rowcount
            if count:
                detail = {"deliveries": count, "to": other}
                add_entry(connection, actor, "outbox.redirect", f"destination:{destination}", detail, now)
        return count


def _waiting_for(destination: str) -> ColumnElement[bool]:
    return and_(work.c.stage == Stage.DELIVER, work.c.destination == destination, work.c.state.in_(_WAITING))
