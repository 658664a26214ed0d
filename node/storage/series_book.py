"""The ledger's series: open, closed into numbered generations, and let go after their time."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    delete,
    exists,
    func,
    select,
    true,
    union_all,
    update,
)

from node.domain.errors import Refused
from node.domain.faults import fault
from node.domain.identity import short
from node.domain.records import NewWork, StoredInstance
from node.domain.series import SeriesRecord, SeriesState
from node.domain.work import Stage, WorkState
from node.storage.arrivals import stored_instance
from node.storage.engine import Store
from node.storage.matching import paths_of_reads
from node.storage.queueing import add_work
from node.storage.tables import associations, instances, objects, quarantined, readings, senders, series, verdicts, work

_UNFINISHED = (WorkState.PENDING, WorkState.HELD, WorkState.CLAIMED, WorkState.PARKED)


class SeriesBook(Store):
    """Series and their generations."""

    def open_series(self) -> tuple[SeriesRecord, ...]:
        """Series that still expect slices, longest waiting first."""
        return self._records(series.c.state == SeriesState.OPEN)

    def study_series(self, study_uid: str) -> tuple[SeriesRecord, ...]:
        """Every series of a study."""
        return self._records(series.c.study_uid == study_uid)

    def find_series(self, series_uid: str) -> SeriesRecord | None:
        """One series, None if it is not known."""
        return next(iter(self._records(series.c.series_uid == series_uid)), None)

    def instances(self, series_uid: str) -> tuple[StoredInstance, ...]:
        """Every kept instance of a series, in order of arrival."""
        return self._instances(instances.c.series_uid == series_uid)

    def members(self, series_uid: str, generation: int) -> tuple[StoredInstance, ...]:
        """The instances a generation was closed with: those of the generations before, and what came since."""
        return self._instances(instances.c.series_uid == series_uid, instances.c.generation <= generation)

    def close_series(self, series_uid: str, now: datetime, evidence: str) -> int:
        """Close an open series with what it has now, add its QUALIFY work, and return the new generation.

        Raises
        ------
        Refused
            The series is not open: somebody else has closed it.

        """
        with self._database.writing() as connection:
            close = (
                update(series)
                .where(series.c.series_uid == series_uid, series.c.state == SeriesState.OPEN)
                .values(state=SeriesState.CLOSED, generation=series.c.generation + 1, evidence=evidence)
            )
            if connection.execute(close).rowcount != 1:
                raise Refused(f"series {short(series_uid)} is not open")
            number = select(series.c.generation).where(series.c.series_uid == series_uid)
            generation = int(connection.execute(number).scalar_one())
            unassigned = (instances.c.series_uid == series_uid, instances.c.generation.is_(None))
            connection.execute(update(instances).where(*unassigned).values(generation=generation))
            add_work(connection, [NewWork(stage=Stage.QUALIFY, series_uid=series_uid, generation=generation)], now)
            fault("assemble.before-commit")
        fault("assemble.after-commit")
        return generation

    def settled_series(self, before: datetime) -> tuple[SeriesRecord, ...]:
        """Series with nothing received since ``before`` and nothing left to do: those retention may delete."""
        idle = (series.c.state == SeriesState.CLOSED, series.c.last_received < before)
        return self._records(*idle, ~exists().where(work.c.series_uid == series.c.series_uid, _unfinished()))

    def delete_series(self, series_uid: str) -> tuple[str, ...]:
        """Forget a series and all made of it; returns the paths whose files the caller now removes.

        A crash in between leaves files without rows, which the next sweep removes.

        Raises
        ------
        Refused
            It is open or unknown, or some of its work, a delivery perhaps, is not finished.

        """
        with self._database.writing() as connection:
            state = select(series.c.state).where(series.c.series_uid == series_uid).with_for_update()
            if connection.execute(state).scalar() != SeriesState.CLOSED:
                raise Refused(f"series {short(series_uid)} is not closed")
            pending = select(func.count()).select_from(work).where(work.c.series_uid == series_uid, _unfinished())
            if connection.execute(pending).scalar_one():
                raise Refused(f"series {short(series_uid)} has unfinished work")
            return forget_series(connection, series_uid)

    def known_paths(self) -> frozenset[str]:
        """Every path the ledger names, for the sweep of spool, quarantine and outbox."""
        with self._database.reading() as connection:
            return frozenset((*_paths_of(connection), *paths_of_reads(connection)))

    def _records(self, *conditions: ColumnElement[bool]) -> tuple[SeriesRecord, ...]:
        with self._database.reading() as connection:
            rows = connection.execute(series_query().where(*conditions).order_by(series.c.first_received)).all()
        return tuple(series_record(row) for row in rows)

    def _instances(self, *conditions: ColumnElement[bool]) -> tuple[StoredInstance, ...]:
        query = select(instances).where(*conditions).order_by(instances.c.received_at, instances.c.sop_uid)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return tuple(stored_instance(row) for row in rows)


def series_query() -> Select[Any]:
    """Series with the number of open associations that have delivered to them."""
    joined = senders.join(associations, senders.c.association == associations.c.association)
    sending = select(func.count()).select_from(joined).where(senders.c.series_uid == series.c.series_uid)
    return select(series, sending.scalar_subquery().label("open_associations"))


def series_record(row: Row[Any]) -> SeriesRecord:
    """A row of :func:`series_query` as a plain value."""
    return SeriesRecord(
        series_uid=row.series_uid,
        study_uid=row.study_uid,
        state=SeriesState(row.state),
        generation=row.generation,
        first_received=row.first_received,
        last_received=row.last_received,
        open_associations=row.open_associations,
        interrupted=row.interrupted,
    )


def forget_series(connection: Connection, series_uid: str) -> tuple[str, ...]:
    """Delete every row of a series; returns the paths that they named."""
    paths = _paths_of(connection, series_uid)
    for table in (work, verdicts, readings, objects, quarantined, senders, instances, series):
        connection.execute(delete(table).where(table.c.series_uid == series_uid))
    return paths


def _unfinished() -> ColumnElement[bool]:
    return work.c.state.in_(_UNFINISHED)


def _paths_of(connection: Connection, series_uid: str | None = None) -> tuple[str, ...]:
    def of(table: Table) -> ColumnElement[bool]:
        return true() if series_uid is None else table.c.series_uid == series_uid

    plain = union_all(*(select(table.c.path).where(of(table)) for table in (instances, quarantined, objects)))
    paths = list(connection.execute(plain).scalars())
    for row in connection.execute(select(readings.c.findings, readings.c.mask).where(of(readings))):
        paths += [json.loads(kept)["path"] for kept in row if kept is not None]
    return tuple(path for path in paths if path)  # retention leaves the rows of images without their files
