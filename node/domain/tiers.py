"""How much a difference between two scores of one scan matters: the tiers, and every limit between them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Tier(StrEnum):
    """How much a disagreement matters, least first; NOT_COMPARABLE is no judgement."""

    CONCORDANT = "concordant"
    MINOR = "minor"
    REVIEW = "review"
    PRIORITY = "priority"
    NOT_COMPARABLE = "not-comparable"

    @property
    def flagged(self) -> bool:
        """Whether a person is to look at it."""
        return self in {Tier.REVIEW, Tier.PRIORITY}


RANK: Final = (Tier.CONCORDANT, Tier.MINOR, Tier.REVIEW, Tier.PRIORITY)
"""The tiers that judge, least first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """From where on a difference d of two scores is more than it should be; m is their mean.

    Attributes
    ----------
    same_points
        Two reads agree while ``d <= max(same_points, same_share * m)``.
    same_share
        See ``same_points``.
    root_factor
        A difference is beyond variation when ``d > root_factor * sqrt(m)``.
    missed_points
        One read says 0 and the other at least this: calcium was missed, or there is none.
    category_limits
        Scores from which the next category begins, after the one of 0.
    crucial_limits
        Category limits whose crossing matters to treatment.
    shift_points
        A vessel's score moved to another vessel when one gained and the other lost more than this, and more than the
        root rule allows.
    missed_vessel
        Whether a whole vessel that only one read calls calcified is reviewed, though the totals agree.

    """

    same_points: float = 5.0
    same_share: float = 0.05
    root_factor: float = 4.93
    missed_points: float = 11.6
    category_limits: tuple[float, ...] = (100.0, 400.0)
    crucial_limits: tuple[float, ...] = (100.0, 400.0)
    shift_points: float = 10.0
    missed_vessel: bool = True

    def __post_init__(self) -> None:
        numbers = (self.same_points, self.same_share, self.root_factor, self.missed_points, self.shift_points)
        if not all(math.isfinite(value) and value >= 0 for value in (*numbers, *self.category_limits)):
            raise ValueError("limits are numbers of 0 or more")
        if list(self.category_limits) != sorted(set(self.category_limits)):
            raise ValueError("category limits rise")
        if not set(self.crucial_limits) <= set(self.category_limits):
            raise ValueError("crucial limits are among the category limits")

    def category(self, score: float) -> int:
        """0 without calcium, then 1 and one more for every category limit that is reached."""
        return int(score > 0) + sum(score >= limit for limit in self.category_limits)

    def same(self, one: float, other: float) -> bool:
        """Whether two scores agree within what two readers of one scan differ by."""
        return abs(one - other) <= max(self.same_points, self.same_share * (one + other) / 2)

    def beyond(self, one: float, other: float) -> bool:
        """Whether two scores differ by more than two scans of one patient do."""
        return abs(one - other) > self.root_factor * math.sqrt((one + other) / 2)

    def missed(self, one: float, other: float) -> bool:
        """Whether one says 0 and the other far from it."""
        return min(one, other) == 0 and max(one, other) >= self.missed_points

    def crossed(self, one: float, other: float) -> tuple[float, ...]:
        """Crucial limits that lie between the two."""
        return tuple(limit for limit in self.crucial_limits if (one >= limit) != (other >= limit))
