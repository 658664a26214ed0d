"""The ledger's side of storage commitment: who asked for what, until it has been told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, delete, func, select, update

from node.domain.commitment import CommitmentRequest, CommitmentState, Reference, StoredCommitment
from node.domain.errors import Malformed, Retryable
from node.domain.faults import fault
from node.storage.columns import alone, insert_once
from node.storage.engine import Store
from node.storage.tables import commitments

_MOST_WAITING: Final = 1000  # of one peer
_REMEMBERED: Final = timedelta(days=30)  # what has been told or given up


class CommitmentsBook(Store):
    """Requests for storage commitment."""

    def add_commitment(self, request: CommitmentRequest, now: datetime) -> bool:
        """Record a request; when this returns, it may be answered with success. Whether anything follows from it.

        The same request again is answered again if it has been by now, and at once if it waits.

        Raises
        ------
        Malformed
            The transaction is known with other instances.
        Retryable
            The peer has too many requests waiting, or the ledger takes none now.

        """
        mine = (commitments.c.transaction_uid == request.transaction_uid, commitments.c.ae_title == request.ae_title)
        pending = (commitments.c.ae_title == request.ae_title, commitments.c.state == CommitmentState.PENDING)
        values = _values(request, now)
        with self._database.writing() as connection:
            alone(connection)
            known = connection.execute(select(commitments.c.state, commitments.c.instances).where(*mine)).first()
            if known is not None and known.instances != values["instances"]:
                raise Malformed("the transaction UID belongs to another request")
            if known is not None and known.state == CommitmentState.PENDING:
                connection.execute(update(commitments).where(*mine).values(not_before=now))
                return False
            waiting = connection.execute(select(func.count()).select_from(commitments).where(*pending)).scalar_one()
            if waiting >= _MOST_WAITING:
                raise Retryable("too many requests of this peer wait for their answer")
            connection.execute(delete(commitments).where(*mine))
            _forget(connection, now)
            insert_once(connection, commitments, values)
            fault("commitment.row-uncommitted")
        fault("commitment.row-committed")
        return True

    def due_commitments(self, now: datetime, limit: int = 32) -> tuple[StoredCommitment, ...]:
        """Requests whose answer is due, those that have waited longest first."""
        due = (commitments.c.state == CommitmentState.PENDING, commitments.c.not_before <= now)
        return self._commitments(*due, limit=limit)

    def commitments(self, limit: int = 100) -> tuple[StoredCommitment, ...]:
        """Requests, whatever became of them."""
        return self._commitments(limit=limit)

    def commitment_counts(self) -> Mapping[CommitmentState, int]:
        """How many requests stand where; those that are over count for a month."""
        query = select(commitments.c.state, func.count()).group_by(commitments.c.state)
        with self._database.reading() as connection:
            return {CommitmentState(state): count for state, count in connection.execute(query).all()}

    def settle_commitment(self, number: int, state: CommitmentState, now: datetime, error: str = "") -> None:
        """The result was told, or is given up."""
        values = {"state": state, "changed_at": now, "error": error, "attempts": commitments.c.attempts + 1}
        with self._database.writing() as connection:
            connection.execute(update(commitments).where(commitments.c.id == number).values(values))

    def put_off_commitment(self, number: int, not_before: datetime, now: datetime, error: str) -> None:
        """The result could not be told: again then."""
        values = {
            "not_before": not_before,
            "changed_at": now,
            "error": error,
            "attempts": commitments.c.attempts + 1,
        }
        with self._database.writing() as connection:
            connection.execute(update(commitments).where(commitments.c.id == number).values(values))

    def _commitments(self, *conditions: ColumnElement[bool], limit: int) -> tuple[StoredCommitment, ...]:
        query = select(commitments).where(*conditions).order_by(commitments.c.not_before, commitments.c.id)
        with self._database.reading() as connection:
            return tuple(_stored(row) for row in connection.execute(query.limit(limit)).all())


def _forget(connection: Connection, now: datetime) -> None:
    over = (commitments.c.state != CommitmentState.PENDING, commitments.c.changed_at < now - _REMEMBERED)
    connection.execute(delete(commitments).where(*over))


def _values(request: CommitmentRequest, now: datetime) -> dict[str, Any]:
    return {
        "transaction_uid": request.transaction_uid,
        "ae_title": request.ae_title,
        "host": request.host,
        "instances": json.dumps([[one.sop_class_uid, one.sop_uid] for one in request.references]),
        "state": CommitmentState.PENDING,
        "attempts": 0,
        "not_before": now,
        "requested_at": now,
        "changed_at": now,
        "error": "",
    }


def _stored(row: Row[Any]) -> StoredCommitment:
    return StoredCommitment(
        id=row.id,
        request=CommitmentRequest(
            transaction_uid=row.transaction_uid,
            ae_title=row.ae_title,
            host=row.host,
            references=tuple(Reference(*pair) for pair in json.loads(row.instances)),
        ),
        state=CommitmentState(row.state),
        attempts=row.attempts,
        not_before=row.not_before,
        requested_at=row.requested_at,
        error=row.error,
    )
