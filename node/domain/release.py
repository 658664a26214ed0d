"""Who sees our result when: a second reader that shows its result first biases the first reader."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from node.domain.tiers import Tier


class ReleasePolicy(StrEnum):
    """When a destination gets our result."""

    IMMEDIATE = "immediate"
    AFTER_HUMAN_READ = "after_human_read"
    ON_DISAGREEMENT = "on_disagreement"


OUT_OF_TIME: Final = "no human read came in time"
"""Why something goes that waited long enough; whatever becomes of reads afterwards, it is not held again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What to do with a made object for one destination: send it now, hold it, or never send it.

    ``until`` ends a hold though no human read came; None holds for ever.
    """

    send: bool
    until: datetime | None = None
    reason: str = ""


def release(
    policy: ReleasePolicy, *, made_at: datetime, now: datetime, tier: Tier | None, longest: timedelta | None
) -> Release:
    """Decide for one destination.

    Parameters
    ----------
    made_at
        When the objects were made.
    tier
        Result of the comparison; None while there is no human read to compare with.
    longest
        How long ``after_human_read`` waits before it sends all the same; None waits for ever.

    """
    if policy is ReleasePolicy.IMMEDIATE:
        return Release(send=True)
    if policy is ReleasePolicy.AFTER_HUMAN_READ:
        return _after_human_read(made_at, now, tier, longest)
    if tier is None:
        return Release(send=False, reason="held until the reads are compared")
    words = "the reads disagree" if tier.flagged else "the reads do not disagree"
    return Release(send=tier.flagged, reason=f"{words} ({tier})")


def _after_human_read(made_at: datetime, now: datetime, tier: Tier | None, longest: timedelta | None) -> Release:
    if tier is not None:
        return Release(send=True, reason="the human read has come")
    until = None if longest is None else made_at + longest
    if until is not None and now >= until:
        return Release(send=True, reason=OUT_OF_TIME)
    return Release(send=False, until=until, reason="held until the human read comes")
