"""The ledger's human reads: recorded once, matched to studies, kept in quarantine where that is not possible."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from node.domain.errors import Refused
from node.domain.faults import fault
from node.domain.human_read import HumanRead, ReadSource
from node.domain.read_history import (
    QuarantineCause,
    ReadArrival,
    ReadState,
    Recorded,
    StoredRead,
    effective_read,
)
from node.domain.read_json import content_sha256, dumps, loads
from node.domain.records import Kept
from node.domain.studies import StudyFacts
from node.storage.audit_book import add_entry
from node.storage.columns import alone, insert_row
from node.storage.engine import Store
from node.storage.matching import (
    Match,
    find_match,
    reads_changed,
    reads_of,
    record_study,
    settle,
    stored_read,
    study_facts,
)
from node.storage.review_tables import human_reads, studies

_CONFLICT = "the same version of this read came with other content"


class ReadsBook(Store):
    """Human reads and the studies they belong to."""

    def record_study(self, facts: StudyFacts, now: datetime) -> None:
        """Record what is known of a study; reads that waited for it are matched and compared."""
        with self._database.writing() as connection:
            record_study(connection, facts, now)

    def study(self, study_uid: str) -> StudyFacts | None:
        """What is known of a study, None if nothing is."""
        with self._database.reading() as connection:
            row = connection.execute(select(studies).where(studies.c.study_uid == study_uid)).first()
        return None if row is None else study_facts(row)

    def studies_by_accession(self, accession: str, limit: int = 50) -> tuple[StudyFacts, ...]:
        """Studies a person may assign a read to."""
        query = select(studies).where(studies.c.accession == accession.strip()).order_by(studies.c.study_uid)
        with self._database.reading() as connection:
            return tuple(study_facts(row) for row in connection.execute(query.limit(limit)).all())

    def record_read(self, read: HumanRead, original: Kept, from_whom: str, now: datetime) -> Recorded:
        """Record a read whose original is durably kept; when this returns, its receipt may be acknowledged.

        NEW and OLDER are matched to their study, or kept in quarantine until it comes. SAME changes nothing but where
        the original lies, so that a lost file comes back. CONFLICT is kept in quarantine and visible; the first
        content stays.

        Raises
        ------
        LedgerBusy, StorageFull
            Nothing is recorded, and nothing may be acknowledged.

        """
        with self._database.writing() as connection:
            recorded = _record(connection, read, original, from_whom, now)
            fault("intake.row-uncommitted")
        fault("intake.row-committed")
        return recorded

    def rename_reads(self, source: ReadSource, old: str, new: str, now: datetime) -> int:
        """Make the reads named ``old`` at their source versions of ``new``; how many there were.

        Their content stays as it is but for that name. Which version counts is decided anew, and compared.
        """
        with self._database.reading() as connection:  # mostly there is none, and no turn to write is taken
            if connection.execute(select(human_reads.c.id).where(*_named(source, old)).limit(1)).first() is None:
                return 0
        with self._database.writing() as connection:
            alone(connection)
            rows = connection.execute(select(human_reads).where(*_named(source, old)).order_by(human_reads.c.id)).all()
            for row in rows:
                _rename(connection, row, new)
            for study_uid in {row.study_uid for row in rows if row.study_uid is not None}:
                reads_changed(connection, study_uid, now)
        return len(rows)

    def find_same(self, read: HumanRead) -> StoredRead | None:
        """The read that was recorded with exactly this content, None if there is none."""
        same = (*_version_of(read), human_reads.c.content_sha256 == content_sha256(read))
        with self._database.reading() as connection:
            row = connection.execute(select(human_reads).where(*same)).first()
        return None if row is None else stored_read(row)

    def find_read(self, read_id: int) -> StoredRead | None:
        """One read."""
        with self._database.reading() as connection:
            row = connection.execute(select(human_reads).where(human_reads.c.id == read_id)).first()
        return None if row is None else stored_read(row)

    def reads_of(self, study_uid: str) -> tuple[StoredRead, ...]:
        """All reads of a study, every version, in the order they came in."""
        with self._database.reading() as connection:
            return reads_of(connection, study_uid)

    def effective_read(self, study_uid: str) -> StoredRead | None:
        """The read of a study that counts (see :func:`node.domain.read_history.effective_read`)."""
        return effective_read(self.reads_of(study_uid))

    def quarantined_reads(self, limit: int = 200, offset: int = 0) -> tuple[StoredRead, ...]:
        """Reads without effect and why, newest first."""
        query = select(human_reads).where(human_reads.c.state == ReadState.QUARANTINED)
        newest = query.order_by(human_reads.c.received_at.desc(), human_reads.c.id.desc()).limit(limit).offset(offset)
        with self._database.reading() as connection:
            return tuple(stored_read(row) for row in connection.execute(newest).all())

    def read_counts(self) -> Mapping[str, int]:
        """How many reads there are in each state."""
        query = select(human_reads.c.state, func.count()).group_by(human_reads.c.state)
        with self._database.reading() as connection:
            return {str(state): count for state, count in connection.execute(query).all()}

    def assign_read(self, read_id: int, study_uid: str, actor: str, now: datetime) -> None:
        """Give a quarantined read to a study, as a person decided; goes into the audit trail.

        Raises
        ------
        Refused
            The read is not in quarantine, or there is no such study.

        """
        with self._database.writing() as connection:
            alone(connection)
            self._quarantined(connection, read_id)
            if connection.execute(select(studies.c.study_uid).where(studies.c.study_uid == study_uid)).first() is None:
                raise Refused("there is no such study here")
            settle(connection, read_id, Match(study_uid), now)
            add_entry(connection, actor, "read.assign", f"read:{read_id}", {"study_uid": study_uid}, now)

    def discard_read(self, read_id: int, reason: str, actor: str, now: datetime) -> None:
        """Set a read aside, as a person decided; it stays visible and goes into the audit trail.

        Raises
        ------
        Refused
            There is no such read, or it is discarded already.

        """
        with self._database.writing() as connection:
            alone(connection)
            row = connection.execute(select(human_reads).where(human_reads.c.id == read_id)).first()
            if row is None or row.state == ReadState.DISCARDED:
                raise Refused("there is no such read to discard")
            values = {"state": ReadState.DISCARDED, "reason": reason}
            connection.execute(update(human_reads).where(human_reads.c.id == read_id).values(values))
            if row.study_uid is not None:
                reads_changed(connection, row.study_uid, now)
            add_entry(connection, actor, "read.discard", f"read:{read_id}", {"reason": reason}, now)

    @staticmethod
    def _quarantined(connection: Connection, read_id: int) -> None:
        state = connection.execute(select(human_reads.c.state).where(human_reads.c.id == read_id)).scalar()
        if state != ReadState.QUARANTINED:
            raise Refused("there is no such read in quarantine")


def _record(connection: Connection, read: HumanRead, original: Kept, from_whom: str, now: datetime) -> Recorded:
    alone(connection)
    sha256 = content_sha256(read)
    known = connection.execute(select(human_reads).where(*_version_of(read))).all()
    same = next((row for row in known if row.content_sha256 == sha256), None)
    if same is not None:
        moved = {"path": original.path, "sha256": original.sha256, "size": original.size}
        connection.execute(update(human_reads).where(human_reads.c.id == same.id).values(moved))
        return _recorded(connection, same.id, ReadArrival.SAME)
    newest = connection.execute(
        select(func.max(human_reads.c.version)).where(*_named(read.source, read.source_id))
    ).scalar()
    match = Match(None, QuarantineCause.CONFLICT, _CONFLICT) if known else find_match(connection, read.study)
    values = _values(read, original, from_whom, now) | {"variant": len(known), "content_sha256": sha256}
    read_id = insert_row(connection, human_reads, values)
    settle(connection, read_id, match, now)
    if known:
        return _recorded(connection, read_id, ReadArrival.CONFLICT)
    older = newest is not None and newest > read.version
    return _recorded(connection, read_id, ReadArrival.OLDER if older else ReadArrival.NEW)


def _recorded(connection: Connection, read_id: int, arrival: ReadArrival) -> Recorded:
    row = connection.execute(select(human_reads).where(human_reads.c.id == read_id)).one()
    return Recorded(
        read_id=read_id,
        arrival=arrival,
        state=ReadState(row.state),
        study_uid=row.study_uid or "",
        reason=row.reason,
    )


def _rename(connection: Connection, row: Row[Any], name: str) -> None:
    read = replace(loads(row.content), source_id=name)
    beside = select(func.count()).select_from(human_reads).where(*_version_of(read))
    values = {
        "source_id": name,
        "content": dumps(read),
        "content_sha256": content_sha256(read),
        "variant": connection.execute(beside).scalar_one(),
    }
    connection.execute(update(human_reads).where(human_reads.c.id == row.id).values(values))


def _named(source: ReadSource, name: str) -> tuple[Any, Any]:
    return human_reads.c.source == source, human_reads.c.source_id == name


def _version_of(read: HumanRead) -> tuple[Any, Any, Any]:
    return (*_named(read.source, read.source_id), human_reads.c.version == read.version)


def _values(read: HumanRead, original: Kept, from_whom: str, now: datetime) -> dict[str, Any]:
    return {
        "source": read.source,
        "source_id": read.source_id,
        "version": read.version,
        "status": read.status,
        "content": dumps(read),
        "path": original.path,
        "sha256": original.sha256,
        "size": original.size,
        "received_at": now,
        "from_whom": from_whom,
        "state": ReadState.QUARANTINED,
        "named_study_uid": read.study.study_uid,
        "accession": read.study.accession.strip(),
        "patient_id": read.study.patient_id.strip(),
        "cause": "",
        "reason": "",
    }
