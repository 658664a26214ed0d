"""The ledger's outcomes: which object tells of which decision, and where it went."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import Connection, and_, select

from node.domain.records import WorkRecord, WrittenBack
from node.domain.work import Stage
from node.storage.columns import insert_once
from node.storage.engine import Store
from node.storage.queueing import work_record
from node.storage.review_tables import decisions, outcomes
from node.storage.tables import work


class OutcomesBook(Store):
    """What was written back of decisions."""

    def decided(self, decision_id: int) -> tuple[int, int] | None:
        """(case, version) of a decision by its number, None if there is none."""
        query = select(decisions.c.comparison_id, decisions.c.version).where(decisions.c.id == decision_id)
        with self._database.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else (row.comparison_id, row.version)

    def written_back(self, series_uid: str, generation: int) -> tuple[WrittenBack, ...]:
        """What tells of the decisions on a generation, in the order of the decisions."""
        same = (outcomes.c.series_uid == series_uid, outcomes.c.generation == generation)
        query = select(outcomes).where(*same).order_by(outcomes.c.decision_id)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return tuple(
            WrittenBack(
                decision_id=row.decision_id, series_uid=row.series_uid, generation=row.generation, sop_uid=row.sop_uid
            )
            for row in rows
        )

    def outcome_deliveries(self, comparison_id: int) -> Mapping[int, tuple[WorkRecord, ...]]:
        """The deliveries of what tells of the decisions on a case, by version; none where nobody asked for it."""
        made = outcomes.join(decisions, decisions.c.id == outcomes.c.decision_id)
        same = (work.c.series_uid == outcomes.c.series_uid, work.c.generation == outcomes.c.generation)
        sent = made.join(work, and_(work.c.stage == Stage.DELIVER, *same, work.c.object_uid == outcomes.c.sop_uid))
        query = select(decisions.c.version, work).select_from(sent).where(decisions.c.comparison_id == comparison_id)
        found: dict[int, tuple[WorkRecord, ...]] = {}
        with self._database.reading() as connection:
            for row in connection.execute(query.order_by(work.c.id)).all():
                found[row.version] = (*found.get(row.version, ()), work_record(row))
        return found


def record_written(connection: Connection, written: WrittenBack, now: datetime) -> None:
    """Record what tells of a decision, once."""
    values = {
        "decision_id": written.decision_id,
        "series_uid": written.series_uid,
        "generation": written.generation,
        "sop_uid": written.sop_uid,
        "recorded_at": now,
    }
    insert_once(connection, outcomes, values)
