"""The ledger's side of retention: what may go, and the marks that make letting go durable.

Letting go is one transaction that takes the paths out of the rows and marks them in ``removals``; then the files are
removed; then the marks are cleared. A crash leaves marks, which the next run takes up, and never a row without a file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, Table, and_, delete, exists, func, select, true, update

from node.domain.cases import CaseState
from node.domain.faults import fault
from node.domain.read_history import ReadState
from node.domain.retention import Candidate, Goods, Hold
from node.domain.series import SeriesState
from node.domain.tiers import Tier
from node.domain.work import Stage, WorkState
from node.storage.audit_book import add_entry
from node.storage.columns import alone, insert_once
from node.storage.engine import Store
from node.storage.people_tables import audit
from node.storage.review_tables import comparisons, human_reads
from node.storage.series_book import forget_series
from node.storage.tables import instances, objects, quarantined, readings, removals, series, work

RUN: Final = "retention.run"
"""The action that the audit trail has for a run."""
_ACTOR: Final = "retention"
_FLAGGED: Final = tuple(tier for tier in Tier if tier.flagged)
_UNFINISHED: Final = (WorkState.PENDING, WorkState.HELD, WorkState.CLAIMED, WorkState.PARKED)
_HOLD_OF: Final = {
    Stage.QUALIFY: Hold.UNREAD,
    Stage.READ: Hold.UNREAD,
    Stage.PUBLISH: Hold.UNREAD,
    Stage.COMPARE: Hold.UNCOMPARED,
    Stage.DELIVER: Hold.UNDELIVERED,
    Stage.WRITE_BACK: Hold.UNDELIVERED,
    Stage.NOTIFY: Hold.UNTOLD,
}
_OF_READS: Final = frozenset((Hold.UNREAD, Hold.UNCOMPARED, Hold.UNTOLD))  # the original of a read may be asked for
_Holds = Mapping[str, set[Hold]]


class RetentionBook(Store):
    """What goes when."""

    def candidates(self) -> tuple[Candidate, ...]:
        """Everything that is kept for a time, with what holds it."""
        with self._database.reading() as connection:
            by_series, by_study = _series_holds(connection), _study_holds(connection)
            return (*_series_goods(connection, by_series, by_study), *_originals(connection, by_series, by_study))

    def let_go(self, candidate: Candidate, now: datetime, ignored: Collection[Hold] = ()) -> bool:
        """Mark the files of a candidate for removal and forget where they were, if nobody needs it by now.

        ``ignored`` holds do not count. False, and nothing done, where something holds it after all: a case may have
        been flagged since it was judged. Goes into the audit trail.
        """
        with self._database.writing() as connection:
            alone(connection)
            found = _again(connection, candidate)
            if found is None or found.holds.difference(ignored) or found.since > candidate.since:
                return False
            paths = _forget(connection, found)
            for path in paths:
                insert_once(connection, removals, {"path": path, "marked_at": now})
            detail = {"what": found.goods, "subject": found.subject, "files": len(paths), "bytes": found.size}
            add_entry(connection, _ACTOR, "retention.let-go", found.goods, detail, now)
            fault("retention.mark-uncommitted")
        fault("retention.mark-committed")
        return True

    def marked(self, limit: int = 1000) -> tuple[str, ...]:
        """Files that are let go and may still be there."""
        with self._database.reading() as connection:
            return tuple(connection.scalars(select(removals.c.path).order_by(removals.c.path).limit(limit)))

    def clear_marks(self, paths: Collection[str]) -> None:
        """Those files are removed."""
        with self._database.writing() as connection:
            for path in paths:
                connection.execute(delete(removals).where(removals.c.path == path))
        fault("retention.marks-cleared")

    def last_retention(self) -> datetime | None:
        """When data was last let go by the clock; None if never."""
        query = select(audit.c.at).where(audit.c.action == RUN).order_by(audit.c.number.desc()).limit(1)
        with self._database.reading() as connection:
            return connection.execute(query).scalar()


def _series_holds(connection: Connection, studies: Collection[str] | None = None) -> _Holds:
    """What holds each series by itself; those of some studies only, where they are named."""
    held: dict[str, set[Hold]] = defaultdict(set)
    mine = true() if studies is None else series.c.study_uid.in_(studies)
    for uid in connection.scalars(select(series.c.series_uid).where(series.c.state != SeriesState.CLOSED, mine)):
        held[uid].add(Hold.OPEN)
    waiting = select(work.c.series_uid, work.c.stage).join(series, work.c.series_uid == series.c.series_uid)
    for uid, stage in connection.execute(waiting.where(work.c.state.in_(_UNFINISHED), mine).distinct()):
        held[uid].add(_HOLD_OF[Stage(stage)])
    read = and_(readings.c.series_uid == series.c.series_uid, readings.c.generation == series.c.generation)
    compared = exists().where(comparisons.c.study_uid == series.c.study_uid)
    for uid in connection.scalars(select(series.c.series_uid).join(readings, read).where(~compared, mine)):
        held[uid].add(Hold.NO_READ)
    return held


def _study_holds(connection: Connection, studies: Collection[str] | None = None) -> _Holds:
    """What holds each study as a whole."""
    open_case = and_(
        comparisons.c.latest.is_(True), comparisons.c.state == CaseState.OPEN, comparisons.c.tier.in_(_FLAGGED)
    )
    mine = true() if studies is None else comparisons.c.study_uid.in_(studies)
    return {
        uid: {Hold.UNREVIEWED} for uid in connection.scalars(select(comparisons.c.study_uid).where(open_case, mine))
    }


def _series_goods(
    connection: Connection, by_series: _Holds, by_study: _Holds, series_uid: str | None = None
) -> Iterator[Candidate]:
    """The images of each series that still has any, and each series as a whole."""
    sizes = {
        Goods.IMAGES: _sizes(connection, series_uid, instances, quarantined),
        Goods.ANSWERS: _sizes(connection, series_uid, objects),
    }
    one = true() if series_uid is None else series.c.series_uid == series_uid
    for row in connection.execute(select(series).where(one)):
        holds = frozenset(by_series.get(row.series_uid, set()) | by_study.get(row.study_uid, set()))
        for goods, of_series in sizes.items():
            files, size = of_series.get(row.series_uid, (0, 0))
            if files or goods is Goods.ANSWERS:
                yield Candidate(
                    goods=goods, subject=row.series_uid, since=row.last_received, files=files, size=size, holds=holds
                )


def _sizes(connection: Connection, series_uid: str | None, *tables: Table) -> Mapping[str, tuple[int, int]]:
    """For each series, how many files tables name, and their bytes."""
    found: dict[str, tuple[int, int]] = {}
    for table in tables:
        query = select(table.c.series_uid, func.count(), func.sum(table.c.size)).where(table.c.path != "")
        if series_uid is not None:
            query = query.where(table.c.series_uid == series_uid)
        for uid, files, size in connection.execute(query.group_by(table.c.series_uid)):
            before = found.get(uid, (0, 0))
            found[uid] = (before[0] + files, before[1] + int(size))
    return found


def _originals(
    connection: Connection, by_series: _Holds, by_study: _Holds, path: str | None = None
) -> Iterator[Candidate]:
    """Each original of human reads; several reads may have come in one."""
    of_study: dict[str, set[Hold]] = defaultdict(set)
    if by_series:
        for uid, study_uid in connection.execute(select(series.c.series_uid, series.c.study_uid)):
            of_study[study_uid] |= by_series.get(uid, set()) & _OF_READS
    wanted = human_reads.c.path != "" if path is None else human_reads.c.path == path
    found: dict[str, Candidate] = {}
    for row in connection.execute(select(human_reads).where(wanted)):
        holds = of_study.get(row.study_uid, set()) | by_study.get(row.study_uid, set())
        if row.state == ReadState.QUARANTINED:
            holds = holds | {Hold.QUARANTINED}
        before = found.get(row.path)
        found[row.path] = Candidate(
            goods=Goods.READS,
            subject=row.path,
            since=row.received_at if before is None else max(before.since, row.received_at),
            files=1,
            size=row.size,
            holds=frozenset(holds) | (frozenset() if before is None else before.holds),
        )
    yield from found.values()


def _again(connection: Connection, candidate: Candidate) -> Candidate | None:
    """The same candidate as it is now; None if there is none any more."""
    if candidate.goods is Goods.READS:
        of_path = select(human_reads.c.study_uid).where(human_reads.c.path == candidate.subject)
        studies = {uid for uid in connection.scalars(of_path) if uid is not None}
        holds = _series_holds(connection, studies), _study_holds(connection, studies)
        return next(_originals(connection, *holds, path=candidate.subject), None)
    uid = candidate.subject
    study_uid = connection.scalar(select(series.c.study_uid).where(series.c.series_uid == uid).with_for_update())
    if study_uid is None:
        return None
    holds = _series_holds(connection, {study_uid}), _study_holds(connection, {study_uid})
    goods = _series_goods(connection, *holds, uid)
    return next((one for one in goods if one.goods is candidate.goods), None)


def _forget(connection: Connection, candidate: Candidate) -> tuple[str, ...]:
    """Take the paths out of the rows, or the rows out of the ledger; returns the paths."""
    if candidate.goods is Goods.ANSWERS:
        return forget_series(connection, candidate.subject)
    if candidate.goods is Goods.READS:
        gone = human_reads.c.path == candidate.subject
        connection.execute(update(human_reads).where(gone).values(path=""))
        return (candidate.subject,)
    kept = and_(instances.c.series_uid == candidate.subject, instances.c.path != "")
    paths = list(connection.scalars(select(instances.c.path).where(kept)))
    connection.execute(update(instances).where(kept).values(path=""))
    contrary = quarantined.c.series_uid == candidate.subject
    paths += connection.scalars(select(quarantined.c.path).where(contrary))
    connection.execute(delete(quarantined).where(contrary))
    return tuple(paths)
