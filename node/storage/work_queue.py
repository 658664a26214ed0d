"""The ledger's queue of work: claimed by lease, handed over atomically, retried, parked and revived."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, func, or_, select, true, union_all, update

from node.domain.faults import fault
from node.domain.records import NewWork, Outcome, Released, WorkRecord
from node.domain.release import OUT_OF_TIME
from node.domain.work import Stage, Work, WorkState
from node.storage.answers import record
from node.storage.engine import Store
from node.storage.facts import encode_texts
from node.storage.queueing import FOREVER, add_work, change_claimed, release_work, work_of, work_record
from node.storage.tables import series, work

_IS_CLAIMED = and_(work.c.state == WorkState.CLAIMED, work.c.claimed_until.is_not(None))


class WorkQueue(Store):
    """Work rows."""

    def add_work(self, added: Iterable[NewWork], now: datetime) -> None:
        """Add work that follows from no other work; what is there already stays as it is."""
        with self._database.writing() as connection:
            add_work(connection, added, now)

    def claim(
        self, now: datetime, lease: timedelta, stages: Collection[Stage], destination: str | None = None
    ) -> Work | None:
        """Take the work that has been due longest, None if nothing is due; nobody else gets it while the lease runs.

        A claim whose lease has ended is due again: a worker that died or hung does not hold up its work.
        """
        due = and_(_due(now), work.c.stage.in_(list(stages)))
        if destination is not None:
            due = and_(due, work.c.destination == destination)
        oldest = select(work).where(due).order_by(work.c.not_before, work.c.id).limit(1)
        with self._database.writing() as connection:
            row = connection.execute(oldest.with_for_update(skip_locked=True)).first()
            if row is None:
                return None
            until = now + lease
            attempts, number = row.attempts + 1, row.claim + 1
            connection.execute(
                update(work)
                .where(work.c.id == row.id)
                .values(state=WorkState.CLAIMED, claimed_until=until, attempts=attempts, claim=number, changed_at=now)
            )
        return replace(work_of(row), attempts=attempts, claim=number, claimed_until=until)

    def renew(self, claimed: Work, now: datetime, lease: timedelta) -> Work:
        """Hold on to a claim for ``lease`` from ``now``; the Work to go on with.

        Raises
        ------
        LeaseLost
            The lease had ended and somebody else has the work.

        """
        until = now + lease
        with self._database.writing() as connection:
            change_claimed(connection, claimed, claimed_until=until)
        return replace(claimed, claimed_until=until)

    def finish(self, claimed: Work, outcome: Outcome, now: datetime) -> None:
        """Record how the work ended, what it made and what follows, all in one transaction.

        What is recorded already (the same object, the same follower) stays as it was first.

        Raises
        ------
        LeaseLost
            Somebody else has the work; nothing of this outcome is recorded.

        """
        with self._database.writing() as connection:
            change_claimed(
                connection,
                claimed,
                state=outcome.state,
                claimed_until=None,
                changed_at=now,
                error="",
                reasons=encode_texts(outcome.reasons),
            )
            record(connection, outcome, now)
            add_work(connection, outcome.followers, now)
            for released in outcome.releases:
                release_work(connection, claimed, released, now)
            fault(f"{claimed.stage}.before-commit")
        fault(f"{claimed.stage}.after-commit")

    def retry_later(
        self, claimed: Work, now: datetime, not_before: datetime, error: str, *, counted: bool = True
    ) -> None:
        """Put claimed work back until ``not_before``, with what went wrong; ``counted`` False takes the attempt back.

        Raises
        ------
        LeaseLost
            Somebody else has the work.

        """
        with self._database.writing() as connection:
            change_claimed(
                connection,
                claimed,
                state=WorkState.PENDING,
                claimed_until=None,
                not_before=not_before,
                changed_at=now,
                error=error,
                attempts=claimed.attempts - (0 if counted else 1),
            )

    def park(self, claimed: Work, now: datetime, reason: str) -> None:
        """Set claimed work aside until a person revives it.

        Raises
        ------
        LeaseLost
            Somebody else has the work.

        """
        with self._database.writing() as connection:
            change_claimed(
                connection, claimed, state=WorkState.PARKED, claimed_until=None, changed_at=now, error=reason
            )

    def awaited_destinations(self, stage: Stage = Stage.DELIVER) -> frozenset[str]:
        """The destinations that unfinished deliveries are for; the channels, for NOTIFY."""
        unfinished = (WorkState.PENDING, WorkState.CLAIMED, WorkState.HELD)
        waiting = and_(work.c.stage == stage, work.c.state.in_(unfinished))
        with self._database.reading() as connection:
            return frozenset(connection.scalars(select(work.c.destination).where(waiting).distinct()))

    def dead_letters(self) -> tuple[WorkRecord, ...]:
        """Parked work with its reason, oldest first."""
        return self._work_records(work.c.state == WorkState.PARKED)

    def series_work(self, series_uid: str, generation: int) -> tuple[WorkRecord, ...]:
        """All work of a generation, its deliveries included, in the order it was added."""
        return self._work_records(work.c.series_uid == series_uid, work.c.generation == generation)

    def revive(self, now: datetime, ids: Collection[int] | None = None, destination: str | None = None) -> int:
        """Make parked work due now, with fresh attempts: all of it, or only these ids or this destination.

        Work that waits out a back-off for that destination is made due too. Returns how many rows changed.
        """
        waiting = and_(work.c.state == WorkState.PENDING, work.c.not_before > now, work.c.error != "")
        chosen = or_(work.c.state == WorkState.PARKED, waiting)
        if ids is not None:
            chosen = and_(chosen, work.c.id.in_(list(ids)))
        if destination is not None:
            chosen = and_(chosen, work.c.destination == destination)
        fresh = {"state": WorkState.PENDING, "attempts": 0, "not_before": now, "changed_at": now}
        with self._database.writing() as connection:
            return connection.execute(update(work).where(chosen).values(fresh)).rowcount

    def release_due(self, now: datetime) -> int:
        """Let go of what was held until now at most. How many deliveries there were."""
        due = and_(work.c.state == WorkState.HELD, work.c.not_before <= now)
        why = encode_texts((OUT_OF_TIME,))
        freed = {"state": WorkState.PENDING, "not_before": now, "changed_at": now, "reasons": why}
        with self._database.reading() as connection:  # mostly there is nothing, and no turn to write is taken
            if connection.execute(select(work.c.id).where(due).limit(1)).first() is None:
                return 0
        with self._database.writing() as connection:
            return connection.execute(update(work).where(due).values(freed)).rowcount

    def held(self, limit: int = 1000, after: int = 0) -> tuple[WorkRecord, ...]:
        """Held deliveries in the order they were added, those after number ``after``."""
        query = select(work).where(work.c.state == WorkState.HELD, work.c.id > after).order_by(work.c.id).limit(limit)
        with self._database.reading() as connection:
            return tuple(work_record(row) for row in connection.execute(query).all())

    def release_held(self, subject: Work, released: Released, now: datetime) -> None:
        """Decide anew on the held deliveries of a generation to one destination."""
        with self._database.writing() as connection:
            release_work(connection, subject, released, now)

    def release_claims(self, now: datetime) -> int:
        """At start of a single node: what a dead process had claimed is due at once. How many claims there were."""
        freed = {"state": WorkState.PENDING, "claimed_until": None, "not_before": now, "changed_at": now}
        with self._database.writing() as connection:
            return connection.execute(update(work).where(work.c.state == WorkState.CLAIMED).values(freed)).rowcount

    def shift_waits(self, by: timedelta, now: datetime) -> int:
        """The clock was set by so much to ``now``: what waits for a time waits as long as before, and leases last.

        Rows written since a step ahead stay as they are; after a step back nobody can tell, and they are due sooner.
        Returns how many rows changed.
        """
        before = work.c.changed_at <= now - by if by > timedelta(0) else true()
        waiting = (work.c.state.in_((WorkState.PENDING, WorkState.HELD)), work.c.not_before < FOREVER, before)
        count = 0
        with self._database.writing() as connection:
            for column, which in ((work.c.not_before, waiting), (work.c.claimed_until, (_IS_CLAIMED, before))):
                for number, until in connection.execute(select(work.c.id, column).where(*which)).all():
                    connection.execute(update(work).where(work.c.id == number).values({column: until + by}))
                    count += 1
        return count

    def last_change(self) -> datetime | None:
        """The latest time that any work or series bears, None for an empty ledger."""
        latest = union_all(select(func.max(work.c.changed_at)), select(func.max(series.c.last_received)))
        with self._database.reading() as connection:
            times = connection.execute(latest).scalars().all()
        return max((time for time in times if time is not None), default=None)

    def next_due(self, stages: Collection[Stage] = tuple(Stage)) -> datetime | None:
        """When the next work is due or the next lease ends; perhaps already past, None if nothing is to be done."""
        staged = work.c.stage.in_(list(stages))
        pending = select(func.min(work.c.not_before)).where(staged, work.c.state == WorkState.PENDING)
        claimed = select(func.min(work.c.claimed_until)).where(staged, work.c.state == WorkState.CLAIMED)
        with self._database.reading() as connection:
            times = connection.execute(union_all(pending, claimed)).scalars().all()
        return min((time for time in times if time is not None), default=None)

    def _work_records(self, *conditions: ColumnElement[bool]) -> tuple[WorkRecord, ...]:
        with self._database.reading() as connection:
            rows = connection.execute(select(work).where(*conditions).order_by(work.c.id)).all()
        return tuple(work_record(row) for row in rows)


def _due(now: datetime) -> ColumnElement[bool]:
    return or_(
        and_(work.c.state == WorkState.PENDING, work.c.not_before <= now),
        and_(work.c.state == WorkState.CLAIMED, work.c.claimed_until <= now),
    )
