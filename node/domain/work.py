"""Work to be done: one row per stage and subject, claimed by lease, retried with back-off."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Stage(StrEnum):
    """The stages that leave work rows; receive and assemble are driven by arrival and time."""

    QUALIFY = "qualify"
    READ = "read"
    PUBLISH = "publish"
    DELIVER = "deliver"
    COMPARE = "compare"
    WRITE_BACK = "write-back"
    NOTIFY = "notify"


class WorkState(StrEnum):
    """Where a piece of work stands."""

    PENDING = "pending"
    HELD = "held"  # a delivery that its destination's release policy keeps back
    CLAIMED = "claimed"
    DONE = "done"
    DECLINED = "declined"  # ended by a verdict, with reasons: not an error
    PARKED = "parked"  # a permanent error or too many attempts: the dead letters


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One piece of work, as claimed.

    ``series_uid`` and ``generation`` say what it is about; for DELIVER, ``object_uid`` and ``destination`` say what
    goes where; for WRITE_BACK, ``object_uid`` is the number of the decision; for NOTIFY, ``object_uid`` is a
    ``NoticeSubject`` and ``destination`` a channel.

    ``attempts`` counts claims since the work was added or revived, this one included; ``claim`` counts all claims ever,
    so that an outcome can only be recorded under the claim it was made under.
    """

    id: int
    stage: Stage
    series_uid: str
    generation: int
    object_uid: str = ""
    destination: str = ""
    attempts: int = 0
    claimed_until: datetime | None = None
    claim: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Exponential back-off with full jitter.

    Attributes
    ----------
    first, most
        Delay after the first failed attempt, and the longest delay.
    attempts
        After so many attempts the work is parked; None never parks.

    """

    first: timedelta = timedelta(seconds=2)
    most: timedelta = timedelta(minutes=10)
    attempts: int | None = 40

    def delay(self, attempts: int, rng: random.Random) -> timedelta:
        """How long to wait after attempt number ``attempts`` (from 1): between half and all of the doubled delay."""
        if attempts < 1:
            raise ValueError("attempts are counted from 1")
        doubled = min(self.first.total_seconds() * 2 ** min(attempts - 1, 60), self.most.total_seconds())
        return timedelta(seconds=doubled * rng.uniform(0.5, 1.0))

    def exhausted(self, attempts: int) -> bool:
        """Whether another attempt is one too many."""
        return self.attempts is not None and attempts >= self.attempts
