"""Storage commitment (PS3.4 annex J): who asks whether instances are kept, and what is true of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum, StrEnum


@dataclass(frozen=True, slots=True)
class Reference:
    """An instance, by its SOP class and its own UID."""

    sop_class_uid: str
    sop_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentRequest:
    """What a peer asks: whether these instances, each named once, are kept."""

    transaction_uid: str
    ae_title: str
    host: str
    references: tuple[Reference, ...]


class Failure(IntEnum):
    """Why an instance is not committed to: Failure Reason (0008,1197), PS3.3 C.14.1.1."""

    NOT_HERE = 0x0112
    OTHER_CLASS = 0x0119


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentResult:
    """The answer: which instances are kept, and which are not."""

    transaction_uid: str
    kept: tuple[Reference, ...]
    failed: tuple[tuple[Reference, Failure], ...] = ()


class CommitmentState(StrEnum):
    """Where a request stands."""

    PENDING = "pending"
    TOLD = "told"
    GIVEN_UP = "given up"  # whoever asked was not to be had


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCommitment:
    """A request as the ledger knows it; ``attempts`` counts those to tell the result, ``error`` is the last one's."""

    id: int
    request: CommitmentRequest
    state: CommitmentState
    attempts: int
    not_before: datetime
    requested_at: datetime
    error: str = ""


def judge(request: CommitmentRequest, kept_as: Callable[[str], str | None]) -> CommitmentResult:
    """The answer to a request.

    Parameters
    ----------
    kept_as
        The SOP class of an instance that is durably kept at this moment; None for any other.

    """
    kept: list[Reference] = []
    failed: list[tuple[Reference, Failure]] = []
    for one in request.references:
        found = kept_as(one.sop_uid)
        if found == one.sop_class_uid:
            kept.append(one)
        else:
            failed.append((one, Failure.NOT_HERE if found is None else Failure.OTHER_CLASS))
    return CommitmentResult(transaction_uid=request.transaction_uid, kept=tuple(kept), failed=tuple(failed))
