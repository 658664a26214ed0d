"""What is measured of the ledger again and again: a few counts over what is unfinished, nothing over the whole past."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, case, func, select

from node.domain.cases import CaseState
from node.domain.work import Stage, WorkState
from node.storage.engine import Store
from node.storage.review_tables import comparisons
from node.storage.tables import objects, series, work

_WAITING: Final = (WorkState.PENDING, WorkState.CLAIMED)
_UNFINISHED: Final = (*_WAITING, WorkState.HELD, WorkState.PARKED)
_OF_A_SCAN: Final = (Stage.QUALIFY, Stage.READ, Stage.PUBLISH)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDepth:
    """Unfinished work of one kind.

    ``since`` is when the oldest of it began to wait: what was tried before waits since its scan came or its object
    was made, the rest since it was added. ``attempts`` is the most that any of it has had.
    """

    stage: str
    destination: str
    state: str
    count: int
    since: datetime
    attempts: int


class Gauges(Store):
    """The ledger as a gauge sees it."""

    def queue_depths(self) -> tuple[QueueDepth, ...]:
        """Unfinished work by stage, destination or channel, and state."""
        query = (
            select(
                work.c.stage,
                work.c.destination,
                work.c.state,
                func.count().label("count"),
                func.min(_since()).label("since"),
                func.max(work.c.attempts).label("attempts"),
            )
            .join(series, series.c.series_uid == work.c.series_uid)
            .outerjoin(objects, objects.c.sop_uid == work.c.object_uid)
            .where(work.c.state.in_(_UNFINISHED))
            .group_by(work.c.stage, work.c.destination, work.c.state)
        )
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return tuple(QueueDepth(**row._mapping) for row in rows)  # noqa: SLF001 - the public name for it

    def open_cases(self) -> Mapping[str, int]:
        """Cases that nobody has decided, by tier."""
        query = (
            select(comparisons.c.tier, func.count())
            .where(comparisons.c.latest.is_(True), comparisons.c.state == CaseState.OPEN)
            .group_by(comparisons.c.tier)
        )
        with self._database.reading() as connection:
            return {str(tier): count for tier, count in connection.execute(query).all()}

    def study_arrivals(self, since: datetime) -> Mapping[str, tuple[datetime, ...]]:
        """For each sender, when the first image of each of its studies came; a study that went on after ``since``."""
        began = func.min(series.c.first_received)
        query = (
            select(series.c.last_ae_title, began)
            .where(series.c.last_received >= since)
            .group_by(series.c.last_ae_title, series.c.study_uid)
            .order_by(began)
        )
        found: dict[str, list[datetime]] = {}
        with self._database.reading() as connection:
            for sender, moment in connection.execute(query).all():
                found.setdefault(sender, []).append(moment)
        return {sender: tuple(moments) for sender, moments in found.items()}

    def observed_by(self, observe: Callable[[str, float], None]) -> None:
        """Tell ``observe`` of every transaction from now on: "read" or "write", and how many seconds it took."""
        self._database.observe = observe

    def try_to_write(self) -> None:
        """Take the turn to write and give it back. Raises LedgerBusy where nothing could be written."""
        with self._database.writing():
            pass


def _since() -> ColumnElement[datetime]:
    tried = (work.c.attempts > 1) & work.c.state.in_(_WAITING)
    return case(
        (tried & work.c.stage.in_(_OF_A_SCAN), series.c.last_received),
        (tried & objects.c.recorded_at.is_not(None), objects.c.recorded_at),
        else_=work.c.changed_at,
    )
