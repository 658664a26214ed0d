"""The ledger seen from outside: counts, recent series, backup and integrity."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from sqlalchemy import func, select

from node.domain.errors import LedgerBusy, Refused, StorageFull
from node.domain.records import SeriesOverview
from node.domain.work import Stage
from node.storage.comparisons_book import counts_by_tier
from node.storage.durable import sync_directory
from node.storage.engine import Store
from node.storage.queueing import work_record
from node.storage.review_tables import human_reads
from node.storage.series_book import series_query, series_record
from node.storage.tables import instances, series, work


class Upkeep(Store):
    """What an administrator asks and does."""

    def status(self) -> dict[str, object]:
        """Counts by state: instances, series, work by stage, deliveries, discrepancies by tier, reads."""
        with self._database.reading() as connection:
            kept = connection.execute(select(func.count()).select_from(instances)).scalar_one()
            states = connection.execute(select(series.c.state, func.count()).group_by(series.c.state)).all()
            by_stage = select(work.c.stage, work.c.state, func.count()).group_by(work.c.stage, work.c.state)
            counts = connection.execute(by_stage).all()
            reads = select(human_reads.c.state, func.count()).group_by(human_reads.c.state)
            read_states = connection.execute(reads).all()
            tiers = counts_by_tier(connection)
        stages: dict[str, dict[str, int]] = {}
        for stage, state, count in counts:
            stages.setdefault(stage, {})[state] = count
        deliveries = stages.pop(Stage.DELIVER, {})
        return {
            "instances": kept,
            "series": dict(states),
            "work": stages,
            "deliveries": deliveries,
            "discrepancies": tiers,
            "reads": {str(state): count for state, count in read_states},
        }

    def recent_series(self, limit: int, offset: int = 0) -> tuple[SeriesOverview, ...]:
        """Series by last arrival, newest first, each with its instances counted and its present work."""
        newest = series_query().order_by(series.c.last_received.desc(), series.c.series_uid).limit(limit).offset(offset)
        with self._database.reading() as connection:
            rows = connection.execute(newest).all()
            uids = [row.series_uid for row in rows]
            count = select(instances.c.series_uid, func.count()).where(instances.c.series_uid.in_(uids))
            totals: Mapping[str, int] = dict(connection.execute(count.group_by(instances.c.series_uid)).all())
            done = connection.execute(select(work).where(work.c.series_uid.in_(uids)).order_by(work.c.id)).all()
        return tuple(
            SeriesOverview(
                series=series_record(row),
                evidence=row.evidence,
                conflicts=row.conflicts,
                instances=totals.get(row.series_uid, 0),
                work=tuple(
                    work_record(item)
                    for item in done
                    if item.series_uid == row.series_uid and item.generation == row.generation
                ),
            )
            for row in rows
        )

    def integrity(self) -> tuple[str, ...]:
        """What the database itself finds wrong with its file; empty when nothing."""
        if not self._database.is_sqlite:
            return ()  # PostgreSQL checks its pages itself (data checksums)
        with self._database.reading() as connection:
            found = [str(row[0]) for row in connection.exec_driver_sql("PRAGMA integrity_check").all()]
            orphans = [
                f"foreign key of {row[0]} row {row[1]}"
                for row in connection.exec_driver_sql("PRAGMA foreign_key_check").all()
            ]
        return tuple(line for line in found if line != "ok") + tuple(orphans)

    def backup(self, target: Path) -> None:
        """Copy the ledger to ``target`` while the node runs; the copy is whole, synced and replaces an older one.

        Raises
        ------
        Refused
            The ledger is no SQLite file: its own server has its own backup.
        StorageFull, LedgerBusy
            The copy could not be made; an older one is left as it was.

        """
        if not self._database.is_sqlite:
            raise Refused("only an SQLite ledger is copied by the node; use the database server's own backup")
        draft = target.with_name(target.name + ".part")
        try:
            self._copy(draft)
            with draft.open("rb") as handle:
                os.fsync(handle.fileno())
            draft.replace(target)
            sync_directory(target.parent)
        except sqlite3.Error as error:
            full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
            raise (StorageFull if full else LedgerBusy)(f"the ledger was not copied: {error}") from error
        finally:
            draft.unlink(missing_ok=True)

    def _copy(self, draft: Path) -> None:
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)
        with self._database.reading() as connection, contextlib.closing(sqlite3.connect(draft)) as copy:
            cast("sqlite3.Connection", connection.connection.driver_connection).backup(copy)
