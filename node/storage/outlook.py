"""What the charts and the page on the node's state ask of the ledger: narrow rows and counts, nothing per case."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import numpy as np
from sqlalchemy import func, select

from node.domain.cases import CaseState
from node.domain.records import Kept
from node.domain.work import Stage
from node.storage.case_blocks import CaseColumns, case_columns
from node.storage.facts import decode_kept
from node.storage.gauges import Gauges
from node.storage.review_tables import comparisons, decisions
from node.storage.tables import readings, series, work

_LATEST = comparisons.c.latest.is_(True)


class Outlook(Gauges):
    """The node seen as a whole."""

    def case_columns(
        self,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        scanner: str = "",
        model_version: str = "",
    ) -> CaseColumns:
        """Cases of a period (its end not included) for the charts, oldest first; of one scanner or model if given."""
        with self._database.reading() as connection:
            found = case_columns(connection, since, until)
        chosen = np.ones(len(found), np.bool_)
        if scanner:
            chosen &= np.array([name == scanner for name in found.scanner_names], np.bool_)[found.scanners]
        if model_version:
            chosen &= np.array([name == model_version for name in found.model_names], np.bool_)[found.models]
        return found.at(chosen)

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

    def deliveries(self, stage: Stage = Stage.DELIVER) -> Mapping[str, Mapping[str, int]]:
        """How many deliveries there are to each destination, by state; notices to each channel, for NOTIFY."""
        query = select(work.c.destination, work.c.state, func.count()).where(work.c.stage == stage)
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
