"""The ledger's side of receiving: instances, who sends them, and what contradicts them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, bindparam, delete, func, select, true, update

from node.domain.faults import fault
from node.domain.records import Arrival, Kept, StoredInstance
from node.domain.series import Instance, Peer, SeriesState
from node.storage.columns import insert_once, inserting_once
from node.storage.engine import Store
from node.storage.facts import decode_instance, encode_instance
from node.storage.prepared import Prepared
from node.storage.tables import associations, instances, quarantined, senders, series

_OF_UID = instances.c.sop_uid == bindparam("of_sop")
_OF_SERIES = series.c.series_uid == bindparam("of_series")
_NEW_INSTANCE = tuple(column.name for column in instances.c if column.name != "generation")

# What every image needs.
_KEPT_AS = Prepared(lambda _: select(instances.c.path, instances.c.sha256, instances.c.size).where(_OF_UID))
_WHAT_IS_KNOWN = Prepared(lambda _: select(instances.c.sha256, instances.c.series_uid).where(_OF_UID))
_REOPEN = Prepared(
    lambda _: (
        update(series)
        .where(_OF_SERIES)
        .values(state=SeriesState.OPEN, last_received=bindparam("at"), last_ae_title=bindparam("by"))
    )
)
_ADD = Prepared(lambda dialect: inserting_once(instances, dialect), _NEW_INSTANCE)
_SEND = Prepared(lambda dialect: inserting_once(senders, dialect))


class Arrivals(Store):
    """Instances as they come in."""

    def find_instance(self, sop_uid: str) -> StoredInstance | None:
        """The kept instance of this UID, and how it came."""
        with self._database.reading() as connection:
            row = connection.execute(select(instances).where(instances.c.sop_uid == sop_uid)).first()
        return None if row is None else stored_instance(row)

    def kept_as(self, sop_uid: str) -> Kept | None:
        """Where the instance of this UID lies: asked before writing, so that an identical one writes nothing."""
        with self._database.glancing() as connection:
            rows = _KEPT_AS.rows(connection, {"of_sop": sop_uid})
        return Kept(path=rows[0][0], sha256=rows[0][1], size=rows[0][2]) if rows else None

    def add_instance(self, instance: Instance, kept: Kept, peer: Peer, now: datetime) -> Arrival:
        """Record a kept instance; when this returns, success may be answered.

        NEW opens its series, or reopens it. SAME has no effect on the series but who is sending to it while it is
        open; the instance lies in the new file from now on, so that a lost file comes back, and the next sweep takes
        the former one. CONFLICT flags the first instance, which stays; the caller moves its file into quarantine.

        Raises
        ------
        LedgerBusy, StorageFull
            Nothing is recorded, and nothing may be acknowledged.

        """
        row = _new_instance(instance, kept, peer, now)  # before the turn to write: it costs more than a statement

        def record(connection: Connection) -> Arrival:
            arrival = _known(connection, instance, kept.sha256, peer, now)
            if arrival is None:
                arrival = _added(connection, instance, row, peer, now)
            if arrival is Arrival.SAME:
                same = instances.c.sop_uid == instance.sop_uid
                connection.execute(update(instances).where(same).values(path=kept.path, size=kept.size))
            fault("receive.row-uncommitted")
            return arrival

        arrival = self._database.together(record)
        fault("receive.row-committed")
        return arrival

    def redelivered(self, instance: Instance, sha256: str, peer: Peer, now: datetime) -> Arrival | None:
        """As :meth:`add_instance` for content that was not written because it is kept already.

        None when the instance is not known (any more): it has to be kept first.
        """
        with self._database.writing() as connection:
            return _known(connection, instance, sha256, peer, now)

    def add_quarantined(self, instance: Instance, kept: Kept, peer: Peer, now: datetime) -> bool:
        """Record content that contradicts a kept instance and was moved into quarantine.

        False when the same content is there already: the caller removes this file, or a peer that repeats itself
        would fill the disk.
        """
        first = select(instances.c.series_uid).where(instances.c.sop_uid == instance.sop_uid)
        with self._database.writing() as connection:
            values = {
                "sop_uid": instance.sop_uid,
                "sha256": kept.sha256,
                "series_uid": connection.execute(first).scalar() or instance.series_uid,
                "path": kept.path,
                "size": kept.size,
                "received_at": now,
                "ae_title": peer.ae_title,
                "host": peer.host,
            }
            return insert_once(connection, quarantined, values)

    def quarantined(self, sop_uid: str) -> tuple[Kept, ...]:
        """What is in quarantine under this UID, oldest first."""
        query = select(quarantined).where(quarantined.c.sop_uid == sop_uid).order_by(quarantined.c.received_at)
        with self._database.reading() as connection:
            rows = connection.execute(query).all()
        return tuple(Kept(path=row.path, sha256=row.sha256, size=row.size) for row in rows)

    def association_opened(self, peer: Peer, now: datetime) -> None:
        """An association that may deliver; series it delivers to are incomplete until it is closed."""
        values = {"association": peer.association, "ae_title": peer.ae_title, "host": peer.host, "opened_at": now}
        with self._database.writing() as connection:
            insert_once(connection, associations, values)

    def association_closed(self, peer: Peer, *, released: bool = True) -> None:
        """Nothing more will come over it; where it was not ``released``, its series may lack their last slices."""
        with self._database.writing() as connection:
            _ended(connection, senders.c.association == peer.association, released=released)
            connection.execute(delete(senders).where(senders.c.association == peer.association))
            connection.execute(delete(associations).where(associations.c.association == peer.association))

    def close_all_associations(self) -> int:
        """At start: those of the process before this one were cut off. How many there were."""
        with self._database.writing() as connection:
            _ended(connection, true(), released=False)
            connection.execute(delete(senders))
            return connection.execute(delete(associations)).rowcount

    def last_heard(self) -> Mapping[str, datetime]:
        """For each calling AE title, when it last delivered something new."""
        query = select(series.c.last_ae_title, func.max(series.c.last_received)).group_by(series.c.last_ae_title)
        with self._database.reading() as connection:
            return dict(connection.execute(query).all())


def stored_instance(row: Row[Any]) -> StoredInstance:
    """A row of ``instances`` as a plain value."""
    return StoredInstance(
        instance=decode_instance(row.facts),
        path=row.path,
        sha256=row.sha256,
        size=row.size,
        received_at=row.received_at,
        peer=Peer(ae_title=row.ae_title, host=row.host, association=row.association),
        conflicted=row.conflicted,
    )


def _known(connection: Connection, instance: Instance, sha256: str, peer: Peer, now: datetime) -> Arrival | None:
    """What the arrival is if its UID is known, None if it is not."""
    rows = _WHAT_IS_KNOWN.rows(connection, {"of_sop": instance.sop_uid})
    if not rows:
        return None
    known_sha256, known_series = rows[0]
    if known_sha256 == sha256 and known_series == instance.series_uid:
        _keep_waiting(connection, instance, peer, now)
        return Arrival.SAME
    # The series first, as everywhere: two transactions that lock in one order cannot wait for each other.
    count = update(series).where(series.c.series_uid == known_series).values(conflicts=series.c.conflicts + 1)
    connection.execute(count)
    flag = update(instances).where(instances.c.sop_uid == instance.sop_uid).values(conflicted=True)
    connection.execute(flag)
    return Arrival.CONFLICT


def _keep_waiting(connection: Connection, instance: Instance, peer: Peer, now: datetime) -> None:
    """Somebody sends an open series again, perhaps after a broken association: the rest of it may follow."""
    touch = (
        update(series)
        .where(series.c.series_uid == instance.series_uid, series.c.state == SeriesState.OPEN)
        .values(last_received=now)
    )
    if connection.execute(touch).rowcount == 1:
        _sending(connection, instance, peer)


def _added(connection: Connection, instance: Instance, row: dict[str, Any], peer: Peer, now: datetime) -> Arrival:
    """Insert an instance whose UID was not known a moment ago; on PostgreSQL another process may be faster."""
    opened = {"of_series": instance.series_uid, "at": now, "by": peer.ae_title}
    if _REOPEN.count(connection, opened) == 0:
        insert_once(connection, series, _new_series(instance, peer, now))
    if not _ADD.rows(connection, row):
        return _known(connection, instance, row["sha256"], peer, now) or Arrival.CONFLICT
    _sending(connection, instance, peer)
    return Arrival.NEW


def _ended(connection: Connection, which: ColumnElement[bool], *, released: bool) -> None:
    """Remember of the open series of an association how it ended; a later one that is released makes up for it."""
    delivered = select(senders.c.series_uid).where(which)
    mine = (series.c.series_uid.in_(delivered), series.c.state == SeriesState.OPEN)
    connection.execute(update(series).where(*mine).values(interrupted=not released))


def _sending(connection: Connection, instance: Instance, peer: Peer) -> None:
    _SEND.rows(connection, {"series_uid": instance.series_uid, "association": peer.association})


def _new_series(instance: Instance, peer: Peer, now: datetime) -> dict[str, Any]:
    return {
        "series_uid": instance.series_uid,
        "study_uid": instance.study_uid,
        "state": SeriesState.OPEN,
        "generation": 0,
        "first_received": now,
        "last_received": now,
        "last_ae_title": peer.ae_title,
        "evidence": "",
        "conflicts": 0,
        "interrupted": False,
    }


def _new_instance(instance: Instance, kept: Kept, peer: Peer, now: datetime) -> dict[str, Any]:
    return {
        "sop_uid": instance.sop_uid,
        "series_uid": instance.series_uid,
        "facts": encode_instance(instance),
        "path": kept.path,
        "sha256": kept.sha256,
        "size": kept.size,
        "received_at": now,
        "ae_title": peer.ae_title,
        "host": peer.host,
        "association": peer.association,
        "conflicted": False,
    }
