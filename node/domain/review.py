"""How a person settles a disagreement: outcome, RADPEER, and a history that is never overwritten."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from node.domain.discrepancy import Comparison
from node.domain.errors import Refused
from node.domain.tiers import Tier


class ReviewOutcome(StrEnum):
    """Who was right."""

    HUMAN_RIGHT = "human-right"
    NODE_RIGHT = "node-right"
    BOTH_WRONG = "both-wrong"
    EQUIVALENT = "equivalent"

    @property
    def upheld(self) -> bool:
        """Whether flagging the case was worth a person's time: the human read was not simply right."""
        return self in {ReviewOutcome.NODE_RIGHT, ReviewOutcome.BOTH_WRONG}


class Radpeer(StrEnum):
    """ACR RADPEER: 1 concur, 2 an understandable miss, 3 a plain one; b where it is likely significant."""

    CONCUR = "1"
    UNDERSTANDABLE = "2a"
    UNDERSTANDABLE_SIGNIFICANT = "2b"
    MISS = "3a"
    MISS_SIGNIFICANT = "3b"


class Assessment(StrEnum):
    """What became of our result, in the words of IHE's AI result assessment."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    SUPPLEMENTED = "supplemented"


ASSESSMENT_OF: Final = {
    ReviewOutcome.NODE_RIGHT: Assessment.ACCEPTED,
    ReviewOutcome.EQUIVALENT: Assessment.ACCEPTED,
    ReviewOutcome.HUMAN_RIGHT: Assessment.REJECTED,
    ReviewOutcome.BOTH_WRONG: Assessment.SUPPLEMENTED,
}
LONGEST_COMMENT: Final = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One version of a person's decision on one disagreement; the highest version counts.

    ``withdrawn`` undoes the version before it and leaves the case open again. ``radpeer`` grades the human read and is
    assigned by the person only; None where it was left out. ``blind`` says whether the reviewer saw which read was
    whose.
    """

    version: int
    outcome: ReviewOutcome | None
    radpeer: Radpeer | None
    comment: str
    reviewer: str
    decided_at: datetime
    blind: bool
    withdrawn: bool = False

    def __post_init__(self) -> None:
        """Raises :class:`Refused` for a decision that says nothing or too much."""
        if self.version < 1:
            raise Refused(f"versions of a decision are counted from 1, not {self.version}")
        if not self.withdrawn and self.outcome is None:
            raise Refused("a decision needs an outcome")
        if self.withdrawn and (self.outcome is not None or self.radpeer is not None):
            raise Refused("a withdrawal carries no outcome")
        if not self.reviewer:
            raise Refused("a decision needs a reviewer")
        if len(self.comment) > LONGEST_COMMENT:
            raise Refused(f"the comment has {len(self.comment)} characters; {LONGEST_COMMENT} are kept")
        if self.decided_at.tzinfo is None:
            raise Refused("the time of a decision needs its zone")

    @property
    def assessment(self) -> Assessment | None:
        """What it means for our result."""
        return None if self.outcome is None else ASSESSMENT_OF[self.outcome]


def proposed_radpeer(comparison: Comparison, outcome: ReviewOutcome) -> Radpeer:
    """A grade for the human read that the page offers; only a person assigns one.

    A human who was right, or as right as we are, concurs. Otherwise what crosses treatment limits (``priority``) is
    significant, and a miss of calcium by a read of 0 should be made most of the time.
    """
    if not outcome.upheld:
        return Radpeer.CONCUR
    total = next((one for one in comparison.differences if one.region == "CAC"), None)
    overlooked = total is not None and total.human == 0 and total.ours > 0
    significant = comparison.tier is Tier.PRIORITY
    if overlooked:
        return Radpeer.MISS_SIGNIFICANT if significant else Radpeer.MISS
    return Radpeer.UNDERSTANDABLE_SIGNIFICANT if significant else Radpeer.UNDERSTANDABLE
