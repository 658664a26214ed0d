"""Which study a read is of, and what follows from a match: all within one transaction.

By the study's UID, else by accession number, issuer and patient id together; never by a name or a date.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, or_, select, update

from node.domain.human_read import StudyKey
from node.domain.read_history import QuarantineCause, ReadState, StoredRead, effective_read, superseded
from node.domain.read_json import loads
from node.domain.records import Kept
from node.domain.studies import StudyFacts, contradiction, same_issuer
from node.domain.work import Stage
from node.storage.case_blocks import refresh
from node.storage.columns import alone, insert_once
from node.storage.queueing import repeat_work
from node.storage.review_tables import comparisons, human_reads, studies
from node.storage.tables import readings, series

_NO_STUDY = "no study here matches it yet"


@dataclass(frozen=True, slots=True)
class Match:
    """The study of a read, or why it has none."""

    study_uid: str | None = None
    cause: QuarantineCause | None = None
    reason: str = ""


def study_facts(row: Row[Any]) -> StudyFacts:
    """A row of ``studies`` as a plain value; what an older version wrote is read as well."""
    known = {one.name for one in fields(StudyFacts)}
    return StudyFacts(**{name: value for name, value in json.loads(row.facts).items() if name in known})


def stored_read(row: Row[Any]) -> StoredRead:
    """A row of ``human_reads`` as a plain value."""
    return StoredRead(
        id=row.id,
        read=loads(row.content),
        variant=row.variant,
        original=Kept(path=row.path, sha256=row.sha256, size=row.size),
        received_at=row.received_at,
        from_whom=row.from_whom,
        state=ReadState(row.state),
        study_uid=row.study_uid or "",
        cause=QuarantineCause(row.cause) if row.cause else None,
        reason=row.reason,
    )


def find_match(connection: Connection, key: StudyKey) -> Match:
    """The one study a key names."""
    if key.study_uid:
        return _by_uid(connection, key)
    same = and_(studies.c.accession == key.accession.strip(), studies.c.patient_id == key.patient_id.strip())
    rows = connection.execute(select(studies).where(same)).all()
    found = [facts for row in rows if same_issuer(key, facts := study_facts(row))]
    if len(found) > 1:
        return Match(None, QuarantineCause.AMBIGUOUS, f"{len(found)} studies have its accession number and patient id")
    return Match(found[0].study_uid) if found else Match(None, QuarantineCause.NO_STUDY, _NO_STUDY)


def _by_uid(connection: Connection, key: StudyKey) -> Match:
    row = connection.execute(select(studies).where(studies.c.study_uid == key.study_uid)).first()
    if row is None:
        return Match(None, QuarantineCause.NO_STUDY, _NO_STUDY)
    against = contradiction(key, study_facts(row))
    return Match(None, QuarantineCause.CONTRADICTION, against) if against else Match(key.study_uid)


def record_study(connection: Connection, facts: StudyFacts, now: datetime) -> None:
    """Record what a series says of its study, completing what is known, and match the reads that waited for it."""
    alone(connection)
    row = connection.execute(select(studies).where(studies.c.study_uid == facts.study_uid)).first()
    whole = facts if row is None else study_facts(row).completed_by(facts)
    values = {
        "study_uid": whole.study_uid,
        "accession": whole.accession.strip(),
        "patient_id": whole.patient_id.strip(),
        "facts": json.dumps(asdict(whole)),
        "recorded_at": now,
    }
    if row is None:
        insert_once(connection, studies, values)
    else:
        connection.execute(update(studies).where(studies.c.study_uid == whole.study_uid).values(values))
    waiting = and_(human_reads.c.state == ReadState.QUARANTINED, human_reads.c.cause != QuarantineCause.CONFLICT)
    for read in connection.execute(select(human_reads).where(waiting, _about(whole))).all():
        match = find_match(connection, loads(read.content).study)
        settle(connection, read.id, match, now)


def _about(study: StudyFacts) -> ColumnElement[bool]:
    named = human_reads.c.named_study_uid == study.study_uid
    if not study.accession.strip() or not study.patient_id.strip():
        return named
    keys = (
        human_reads.c.named_study_uid == "",
        human_reads.c.accession == study.accession.strip(),
        human_reads.c.patient_id == study.patient_id.strip(),
    )
    return or_(named, and_(*keys))


def settle(connection: Connection, read_id: int, match: Match, now: datetime) -> None:
    """Write where a read belongs, and have the study compared anew."""
    values = {
        "study_uid": match.study_uid,
        "state": ReadState.MATCHED if match.study_uid else ReadState.QUARANTINED,
        "cause": match.cause or "",
        "reason": match.reason,
    }
    connection.execute(update(human_reads).where(human_reads.c.id == read_id).values(values))
    if match.study_uid:
        reads_changed(connection, match.study_uid, now)


def reads_changed(connection: Connection, study_uid: str, now: datetime) -> None:
    """After any change of a study's reads: which versions count, and what is to be compared now."""
    rows = reads_of(connection, study_uid)
    old = superseded(rows)
    for row in rows:
        state = ReadState.SUPERSEDED if row.id in old else ReadState.MATCHED
        if state is not row.state and row.state is not ReadState.DISCARDED:
            connection.execute(update(human_reads).where(human_reads.c.id == row.id).values(state=state))
    if effective_read(rows) is None:  # withdrawn or discarded: there is nothing left to disagree with
        ended = and_(comparisons.c.study_uid == study_uid, comparisons.c.latest.is_(True))
        numbers = connection.scalars(select(comparisons.c.id).where(ended)).all()
        connection.execute(update(comparisons).where(comparisons.c.id.in_(numbers)).values(latest=False))
        refresh(connection, numbers)
    present = readings.join(
        series, and_(readings.c.series_uid == series.c.series_uid, readings.c.generation == series.c.generation)
    )
    query = select(readings.c.series_uid, readings.c.generation).select_from(present)
    for one in connection.execute(query.where(series.c.study_uid == study_uid)).all():
        repeat_work(connection, Stage.COMPARE, one.series_uid, one.generation, now)


def reads_of(connection: Connection, study_uid: str) -> tuple[StoredRead, ...]:
    """All reads of a study, in the order they came in."""
    query = select(human_reads).where(human_reads.c.study_uid == study_uid).order_by(human_reads.c.id)
    return tuple(stored_read(row) for row in connection.execute(query).all())


def paths_of_reads(connection: Connection) -> Iterable[str]:
    """Where the originals lie."""
    return connection.execute(select(human_reads.c.path).where(human_reads.c.path != "").distinct()).scalars()
