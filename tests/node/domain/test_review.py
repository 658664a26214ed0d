"""Decisions: what they need, what they mean for our result, which grade is proposed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from node.domain.discrepancy import Comparison, Difference
from node.domain.errors import Refused
from node.domain.review import Assessment, Decision, Radpeer, ReviewOutcome, proposed_radpeer
from node.domain.tiers import Tier

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def decision(**change: object) -> Decision:
    values: dict[str, object] = {
        "version": 1,
        "outcome": ReviewOutcome.NODE_RIGHT,
        "radpeer": None,
        "comment": "",
        "reviewer": "r1",
        "decided_at": NOW,
        "blind": True,
    }
    return Decision(**(values | change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0},
        {"outcome": None},
        {"withdrawn": True},
        {"reviewer": ""},
        {"comment": "x" * 4001},
        {"decided_at": datetime(2026, 1, 1)},  # noqa: DTZ001 - the point
    ],
)
def test_a_decision_that_says_nothing_or_too_much_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(Refused):
        decision(**change)


def test_a_withdrawal_carries_no_outcome() -> None:
    assert decision(withdrawn=True, outcome=None).assessment is None


@pytest.mark.parametrize(
    ("outcome", "assessment", "upheld"),
    [
        (ReviewOutcome.NODE_RIGHT, Assessment.ACCEPTED, True),
        (ReviewOutcome.EQUIVALENT, Assessment.ACCEPTED, False),
        (ReviewOutcome.HUMAN_RIGHT, Assessment.REJECTED, False),
        (ReviewOutcome.BOTH_WRONG, Assessment.SUPPLEMENTED, True),
    ],
)
def test_an_outcome_is_an_assessment_of_our_result(
    outcome: ReviewOutcome,
    assessment: Assessment,
    upheld: bool,  # noqa: FBT001
) -> None:
    assert decision(outcome=outcome).assessment is assessment
    assert outcome.upheld is upheld


@pytest.mark.parametrize(
    ("tier", "human", "outcome", "grade"),
    [
        (Tier.PRIORITY, 0.0, ReviewOutcome.NODE_RIGHT, Radpeer.MISS_SIGNIFICANT),
        (Tier.REVIEW, 0.0, ReviewOutcome.NODE_RIGHT, Radpeer.MISS),
        (Tier.PRIORITY, 60.0, ReviewOutcome.BOTH_WRONG, Radpeer.UNDERSTANDABLE_SIGNIFICANT),
        (Tier.REVIEW, 60.0, ReviewOutcome.NODE_RIGHT, Radpeer.UNDERSTANDABLE),
        (Tier.PRIORITY, 0.0, ReviewOutcome.HUMAN_RIGHT, Radpeer.CONCUR),
    ],
)
def test_the_proposed_grade(tier: Tier, human: float, outcome: ReviewOutcome, grade: Radpeer) -> None:
    total = Difference(region="CAC", ours=160.0, human=human, beyond=True)
    assert proposed_radpeer(Comparison(tier=tier, reasons=("x",), differences=(total,)), outcome) is grade


def test_without_a_total_nothing_is_called_overlooked() -> None:
    found = Comparison(tier=Tier.REVIEW, reasons=("x",), differences=())
    assert proposed_radpeer(found, ReviewOutcome.NODE_RIGHT) is Radpeer.UNDERSTANDABLE
