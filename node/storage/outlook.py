"""What the charts and the page on the node's state ask of the ledger: narrow rows and counts, nothing per case."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, func, select

from node.domain.cases import CaseState
from node.domain.records import Kept
from node.domain.review import ReviewOutcome
from node.domain.statistics import Observation
from node.domain.tiers import Tier
from node.domain.work import Stage
from node.storage.engine import Store
from node.storage.facts import decode_kept
from node.storage.review_tables import comparisons, decisions
from node.storage.tables import readings, series, work

_LATEST = comparisons.c.latest.is_(True)
_CHARTED = (
    comparisons.c.id,
    comparisons.c.made_at,
    comparisons.c.tier,
    comparisons.c.outcome,
    comparisons.c.scanner,
    comparisons.c.model_version,
    comparisons.c.ours,
    comparisons.c.human,
)
_TIERS: Mapping[str, Tier] = {str(tier): tier for tier in Tier}
_OUTCOMES: Mapping[str, ReviewOutcome] = {str(outcome): outcome for outcome in ReviewOutcome}


class Outlook(Store):
    """The node seen as a whole."""

    def observations(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        scanner: str = "",
        model_version: str = "",
    ) -> tuple[Observation, ...]:
        """Cases of a period (its end not included) for the charts, oldest first; of one scanner or model if given."""
        conditions: list[ColumnElement[bool]] = [_LATEST]
        if since is not None:
            conditions.append(comparisons.c.made_at >= since)
        if until is not None:
            conditions.append(comparisons.c.made_at < until)
        if scanner:
            conditions.append(comparisons.c.scanner == scanner)
        if model_version:
            conditions.append(comparisons.c.model_version == model_version)
        query = select(*_CHARTED).where(*conditions).order_by(comparisons.c.made_at, comparisons.c.id)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return tuple(
            Observation(
                id=number,
                made_at=made_at,
                tier=_TIERS[tier],
                outcome=_OUTCOMES.get(outcome),
                scanner=made_by,
                model_version=version,
                ours=ours,
                human=human,
            )
            for number, made_at, tier, outcome, made_by, version, ours, human in rows
        )

    def case_stamp(self) -> tuple[int, int, int]:
        """What changes whenever a case comes, is compared anew or is decided."""
        newest = select(func.max(comparisons.c.id))
        decided = select(func.max(decisions.c.id))
        undecided = select(func.count()).where(_LATEST, comparisons.c.state == CaseState.OPEN)
        with self._database.reading() as connection:
            return tuple(int(connection.execute(one).scalar() or 0) for one in (newest, decided, undecided))  # type: ignore[return-value]

    def recent_findings(
        self, limit: int, since: datetime | None = None, until: datetime | None = None
    ) -> tuple[tuple[datetime, Kept], ...]:
        """When the latest readings of a period were made, and where they lie, oldest first."""
        query = select(readings.c.recorded_at, readings.c.findings).order_by(readings.c.recorded_at.desc())
        if since is not None:
            query = query.where(readings.c.recorded_at >= since)
        if until is not None:
            query = query.where(readings.c.recorded_at < until)
        with self._database.reading() as connection:
            rows = connection.execute(query.limit(limit)).all()
        return tuple((row.recorded_at, decode_kept(row.findings)) for row in reversed(rows))

    def deliveries(self) -> Mapping[str, Mapping[str, int]]:
        """How many deliveries there are to each destination, by state."""
        query = select(work.c.destination, work.c.state, func.count()).where(work.c.stage == Stage.DELIVER)
        found: dict[str, dict[str, int]] = {}
        with self._database.reading() as connection:
            for destination, state, count in connection.execute(query.group_by(work.c.destination, work.c.state)):
                found.setdefault(destination, {})[state] = count
        return found

    def last_by_sender(self) -> Mapping[str, datetime]:
        """When each sender was last heard of, by its AE title."""
        query = select(series.c.last_ae_title, func.max(series.c.last_received)).group_by(series.c.last_ae_title)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(series.c.last_ae_title)).all()
        return {row[0]: row[1] for row in rows}
