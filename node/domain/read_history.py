"""What became of human reads that came in: matched or not, replaced or not, and the one that counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from node.domain.human_read import HumanRead, ReadSource, ReadStatus
from node.domain.records import Kept


class ReadState(StrEnum):
    """Where a read stands."""

    MATCHED = "matched"  # belongs to a study
    SUPERSEDED = "superseded"  # belongs to a study, and a newer version of it is there
    QUARANTINED = "quarantined"  # kept, visible, without effect
    DISCARDED = "discarded"  # set aside by a person


class QuarantineCause(StrEnum):
    """Why a read is in quarantine; only CONFLICT is not ended by a study that arrives later."""

    NO_STUDY = "no-study"
    AMBIGUOUS = "ambiguous"
    CONTRADICTION = "contradiction"
    CONFLICT = "conflict"


class ReadArrival(StrEnum):
    """What a read that came in was to the ledger."""

    NEW = "new"
    SAME = "same"  # known with the same content: success, no second effect
    OLDER = "older"  # a newer version is there: kept, without effect
    CONFLICT = "conflict"  # the same version with other content: kept in quarantine


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRead:
    """A read as the ledger has it; ``variant`` counts contradicting contents of one version, 0 being the first."""

    id: int
    read: HumanRead
    variant: int
    original: Kept
    received_at: datetime
    from_whom: str
    state: ReadState
    study_uid: str = ""
    cause: QuarantineCause | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What recording a read came to; ``reason`` says why it is in quarantine."""

    read_id: int
    arrival: ReadArrival
    state: ReadState
    study_uid: str = ""
    reason: str = ""


_COUNTING: Final = frozenset((ReadStatus.FINAL, ReadStatus.CORRECTED, ReadStatus.WITHDRAWN))
_BELONGING: Final = frozenset((ReadState.MATCHED, ReadState.SUPERSEDED))
_TRUST: Final = tuple(ReadSource)


def superseded(reads: Sequence[StoredRead]) -> frozenset[int]:
    """Ids of those of one study's reads that a newer version of the same read replaces.

    A preliminary version replaces only preliminary ones: the latest final or corrected version counts until another
    such comes, or it is withdrawn.
    """
    kept = [one for one in reads if one.state in _BELONGING]
    return frozenset(one.id for one in kept if any(_replaces(other, one) for other in kept))


def effective_read(reads: Iterable[StoredRead]) -> StoredRead | None:
    """Of all reads of a study the one that counts: the latest final or corrected one of the most trusted source."""
    rows = [one for one in reads if one.state in _BELONGING]
    latest: dict[tuple[ReadSource, str], StoredRead] = {}
    for one in sorted(rows, key=_age):
        if one.read.status in _COUNTING:
            latest[(one.read.source, one.read.source_id)] = one
    chosen = [one for one in latest.values() if one.read.status is not ReadStatus.WITHDRAWN]
    return min(chosen, key=_by_trust, default=None)


def _replaces(newer: StoredRead, older: StoredRead) -> bool:
    same = (newer.read.source, newer.read.source_id) == (older.read.source, older.read.source_id)
    counts = newer.read.status in _COUNTING or older.read.status not in _COUNTING
    return same and counts and _age(newer) > _age(older)


def _age(one: StoredRead) -> tuple[int, int]:
    return one.read.version, one.variant


def _by_trust(one: StoredRead) -> tuple[int, float, int]:
    when = one.read.read_at or one.received_at
    return _TRUST.index(one.read.source), -when.timestamp(), -one.id
