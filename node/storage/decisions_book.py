"""The ledger's decisions: versions on a case, never overwritten; undoing is a version too."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, exists, select, update

from node.domain.cases import CaseState
from node.domain.errors import Refused
from node.domain.records import NewWork
from node.domain.review import Decision, Radpeer, ReviewOutcome
from node.domain.tiers import Tier
from node.domain.work import Stage
from node.storage.audit_book import add_entry
from node.storage.case_blocks import refresh
from node.storage.columns import alone, insert_row
from node.storage.engine import Store
from node.storage.queueing import add_work
from node.storage.review_tables import comparisons, decisions
from node.storage.tables import series


class DecisionsBook(Store):
    """What persons have decided."""

    def add_decision(self, comparison_id: int, decision: Decision) -> None:
        """Record the next version of the decision on a case; goes into the audit trail.

        That of a flagged case is written back, as far as its series is still here.

        Raises
        ------
        Refused
            There is no such case, a withdrawal of nothing, or somebody else has decided in between: the version
            is not the one that follows.

        """
        with self._database.writing() as connection:
            alone(connection)
            row = connection.execute(select(comparisons).where(comparisons.c.id == comparison_id)).first()
            if row is None:
                raise Refused("there is no such case")
            if not row.latest:
                raise Refused("the reads of this study were compared anew in the meantime: decide on that")
            history = decisions_of(connection, comparison_id)
            if decision.version != len(history) + 1:
                raise Refused("somebody else has decided on this case in the meantime: look at it again")
            if decision.withdrawn and (not history or history[-1].withdrawn):
                raise Refused("there is no decision to withdraw")
            number = insert_row(connection, decisions, _values(comparison_id, decision))
            case = {
                "state": CaseState.OPEN if decision.withdrawn else CaseState.DECIDED,
                "outcome": decision.outcome or "",
            }
            connection.execute(update(comparisons).where(comparisons.c.id == comparison_id).values(case))
            refresh(connection, (comparison_id,))
            add_entry(
                connection,
                decision.reviewer,
                "case.withdraw" if decision.withdrawn else "case.decide",
                f"case:{comparison_id}",
                {"version": decision.version, "outcome": decision.outcome, "radpeer": decision.radpeer},
                decision.decided_at,
            )
            if Tier(row.tier).flagged:
                _write_back(connection, number, row, decision.decided_at)

    def decisions(self, comparison_id: int) -> tuple[Decision, ...]:
        """Every version on a case, oldest first."""
        with self._database.reading() as connection:
            return decisions_of(connection, comparison_id)

    def all_decisions(
        self, since: datetime | None = None, until: datetime | None = None
    ) -> tuple[tuple[int, Decision], ...]:
        """(case, decision) of every version made within a period, in the order they were made: for the export."""
        query = select(decisions).order_by(decisions.c.decided_at, decisions.c.id)
        if since is not None:
            query = query.where(decisions.c.decided_at >= since)
        if until is not None:
            query = query.where(decisions.c.decided_at < until)
        with self._database.reading() as connection:
            return tuple((row.comparison_id, _decision(row)) for row in connection.execute(query).all())


def decisions_of(connection: Connection, comparison_id: int) -> tuple[Decision, ...]:
    """Every version on a case, oldest first."""
    query = select(decisions).where(decisions.c.comparison_id == comparison_id).order_by(decisions.c.version)
    return tuple(_decision(row) for row in connection.execute(query).all())


def _write_back(connection: Connection, number: int, case: Row[Any], now: datetime) -> None:
    """Have a decision told to those who ask for it; comparisons outlive the series they are about."""
    if not connection.execute(select(exists().where(series.c.series_uid == case.series_uid))).scalar_one():
        return
    told = NewWork(
        stage=Stage.WRITE_BACK, series_uid=case.series_uid, generation=case.generation, object_uid=str(number)
    )
    add_work(connection, [told], now)


def _decision(row: Row[Any]) -> Decision:
    return Decision(
        version=row.version,
        outcome=ReviewOutcome(row.outcome) if row.outcome else None,
        radpeer=Radpeer(row.radpeer) if row.radpeer else None,
        comment=row.comment,
        reviewer=row.reviewer,
        decided_at=row.decided_at,
        blind=row.blind,
        withdrawn=row.withdrawn,
    )


def _values(comparison_id: int, decision: Decision) -> dict[str, Any]:
    return {
        "comparison_id": comparison_id,
        "version": decision.version,
        "outcome": decision.outcome or "",
        "radpeer": decision.radpeer or "",
        "comment": decision.comment,
        "reviewer": decision.reviewer,
        "decided_at": decision.decided_at,
        "blind": decision.blind,
        "withdrawn": decision.withdrawn,
    }
