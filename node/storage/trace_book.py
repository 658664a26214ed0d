"""A study's whole way through the node, as the ledger has it: what happened when, and nothing of the patient."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, union

from node.domain.identity import short
from node.storage.engine import Store
from node.storage.review_tables import comparisons, decisions, human_reads, studies
from node.storage.tables import objects, readings, series, verdicts, work


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that happened. ``series`` is a short hash; "" where it is about the study as a whole."""

    at: datetime
    what: str
    series: str = ""
    detail: str = ""


class TraceBook(Store):
    """Studies by the ids that stand for them in logs."""

    def studies_named(self, name: str) -> tuple[str, ...]:
        """Study Instance UIDs of what ``name`` means: the UID of a study or series, or its short hash from the log."""
        every = union(select(series.c.study_uid, series.c.series_uid), select(studies.c.study_uid, studies.c.study_uid))
        with self._database.reading() as connection:
            rows = connection.execute(every).all()
        found = {row[0] for row in rows for uid in row if name in (uid, short(uid))}
        return tuple(sorted(found))

    def steps_of(self, study_uid: str) -> tuple[Step, ...]:
        """Everything that happened to a study, in order of time; work stands at its last change."""
        with self._database.reading() as connection:
            found = [*_of_series(connection, study_uid), *_of_reads(connection, study_uid)]
        return tuple(sorted(found, key=lambda step: step.at))


def _of_series(connection: Connection, study_uid: str) -> Iterator[Step]:
    for row in connection.execute(select(series).where(series.c.study_uid == study_uid)).all():
        name = short(row.series_uid)
        yield Step(at=row.first_received, what="first image", series=name)
        yield Step(at=row.last_received, what="last image", series=name, detail=f"{row.state}: {row.evidence}")
        of_it = [table.c.series_uid == row.series_uid for table in (verdicts, readings, objects, work)]
        for one in connection.execute(select(verdicts).where(of_it[0])).all():
            words = "eligible" if one.eligible else "declined"
            yield Step(at=one.recorded_at, what="verdict", series=name, detail=words)
        for one in connection.execute(select(readings).where(of_it[1])).all():
            detail = f"model {one.model_sha256[:12]}"
            yield Step(at=one.recorded_at, what="reading", series=name, detail=detail)
        for one in connection.execute(select(objects).where(of_it[2])).all():
            yield Step(at=one.recorded_at, what="object made", series=name, detail=one.role)
        for one in connection.execute(select(work).where(of_it[3])).all():
            where = f" to {one.destination}" if one.destination else ""
            detail = f"{one.state}, attempt {one.attempts}" + (f": {one.error}" if one.error else "")
            yield Step(at=one.changed_at, what=f"{one.stage}{where}", series=name, detail=detail)


def _of_reads(connection: Connection, study_uid: str) -> Iterator[Step]:
    for row in connection.execute(select(human_reads).where(human_reads.c.study_uid == study_uid)).all():
        detail = f"{row.source}, version {row.version}, {row.state}"
        yield Step(at=row.received_at, what=f"human read {row.id}", detail=detail)
    for row in connection.execute(select(comparisons).where(comparisons.c.study_uid == study_uid)).all():
        yield Step(at=row.made_at, what=f"case {row.id}", series=short(row.series_uid), detail=row.tier)
        for one in connection.execute(select(decisions).where(decisions.c.comparison_id == row.id)).all():
            yield Step(at=one.decided_at, what=f"case {row.id} decided", detail=one.outcome)
