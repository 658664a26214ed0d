"""Release policies: who sees our result when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from node.domain.release import ReleasePolicy, release
from node.domain.tiers import Tier

MADE = datetime(2026, 11, 22, 12, tzinfo=UTC)
WAIT = timedelta(hours=4)


@pytest.mark.parametrize(
    ("policy", "tier", "hours", "send"),
    [
        (ReleasePolicy.IMMEDIATE, None, 0, True),
        (ReleasePolicy.AFTER_HUMAN_READ, None, 0, False),
        (ReleasePolicy.AFTER_HUMAN_READ, None, 3.9, False),
        (ReleasePolicy.AFTER_HUMAN_READ, None, 4, True),
        (ReleasePolicy.AFTER_HUMAN_READ, Tier.CONCORDANT, 0, True),
        (ReleasePolicy.AFTER_HUMAN_READ, Tier.NOT_COMPARABLE, 0, True),
        (ReleasePolicy.ON_DISAGREEMENT, None, 99, False),
        (ReleasePolicy.ON_DISAGREEMENT, Tier.MINOR, 0, False),
        (ReleasePolicy.ON_DISAGREEMENT, Tier.NOT_COMPARABLE, 0, False),
        (ReleasePolicy.ON_DISAGREEMENT, Tier.REVIEW, 0, True),
        (ReleasePolicy.ON_DISAGREEMENT, Tier.PRIORITY, 0, True),
    ],
)
def test_when_a_destination_gets_it(policy: ReleasePolicy, tier: Tier | None, hours: float, send: bool) -> None:  # noqa: FBT001
    now = MADE + timedelta(hours=hours)
    found = release(policy, made_at=MADE, now=now, tier=tier, longest=WAIT)
    assert found.send is send
    assert found.send or found.reason


def test_a_hold_says_until_when() -> None:
    held = release(ReleasePolicy.AFTER_HUMAN_READ, made_at=MADE, now=MADE, tier=None, longest=WAIT)
    assert held.until == MADE + WAIT


def test_a_hold_without_end_has_none() -> None:
    held = release(ReleasePolicy.AFTER_HUMAN_READ, made_at=MADE, now=MADE + 99 * WAIT, tier=None, longest=None)
    assert not held.send
    assert held.until is None
