from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.review import Assessment, Decision, Radpeer, ReviewOutcome
from node.domain.settlement import Disclosure, ScoresFrom, Settlement, settlement_of
from tests.node.domain.reads import NOW, a_comparison

EVERYTHING = Disclosure(radpeer=True, reviewer=True, organization="General Hospital")


def decision(outcome: ReviewOutcome | None = ReviewOutcome.NODE_RIGHT, version: int = 1) -> Decision:
    return Decision(
        version=version,
        outcome=outcome,
        radpeer=None if outcome is None else Radpeer.MISS,
        comment="Jane Doe has a stent",
        reviewer="anna",
        decided_at=NOW,
        blind=True,
        withdrawn=outcome is None,
    )


def settled(outcome: ReviewOutcome | None, disclosure: Disclosure = EVERYTHING) -> Settlement:
    return settlement_of(a_comparison(120.0, 40.0), decision(outcome), "reviewer", disclosure)


@pytest.mark.parametrize(
    ("outcome", "source", "cac", "assessment"),
    [
        (ReviewOutcome.NODE_RIGHT, ScoresFrom.NODE, 120.0, Assessment.ACCEPTED),
        (ReviewOutcome.EQUIVALENT, ScoresFrom.NODE, 120.0, Assessment.ACCEPTED),
        (ReviewOutcome.HUMAN_RIGHT, ScoresFrom.HUMAN, 40.0, Assessment.REJECTED),
        (ReviewOutcome.BOTH_WRONG, None, None, Assessment.SUPPLEMENTED),
        (None, None, None, None),
    ],
)
def test_the_scores_that_hold_are_those_of_the_read_that_is_right(outcome, source, cac, assessment) -> None:
    found = settled(outcome)
    assert (found.outcome, found.scores_from, found.assessment) == (outcome, source, assessment)
    assert found.scores.get("CAC") == cac


def test_what_the_human_did_not_report_is_missing_and_never_0() -> None:
    assert set(settled(ReviewOutcome.HUMAN_RIGHT).scores) == {"CAC"}
    assert set(settled(ReviewOutcome.NODE_RIGHT).scores) == {"LM", "LAD", "LCX", "RCA", "CAC", "AV", "TA", "AC"}


def test_by_default_neither_grade_nor_name_is_told_and_never_the_comment() -> None:
    found = settled(ReviewOutcome.NODE_RIGHT, Disclosure())
    assert (found.radpeer, found.reviewer, found.organization, found.role) == (None, "", "", "reviewer")
    told = settled(ReviewOutcome.NODE_RIGHT)
    assert (told.radpeer, told.reviewer) == (Radpeer.MISS, "anna")
    assert "stent" not in repr(told)


@pytest.mark.parametrize("outcome", [*ReviewOutcome, None])
def test_only_a_report_that_is_right_can_be_verified_and_only_by_name(outcome) -> None:
    right = outcome in {ReviewOutcome.NODE_RIGHT, ReviewOutcome.EQUIVALENT}
    assert settled(outcome).verified is right
    assert not settled(outcome, Disclosure(reviewer=True)).verified
    assert not settled(outcome, Disclosure()).verified


def test_nobody_verifies_without_a_name() -> None:
    with pytest.raises(ValueError, match="named"):
        Disclosure(organization="General Hospital")


@given(st.sampled_from([*ReviewOutcome, None]), st.sampled_from([*ReviewOutcome, None]))
def test_equal_settlements_and_no_others_have_the_same_hash(one, other) -> None:
    assert (settled(one).sha256 == settled(other).sha256) is (one is other)


def test_the_hash_covers_version_time_and_grade() -> None:
    first = settled(ReviewOutcome.NODE_RIGHT)
    others = (
        replace(first, version=2),
        replace(first, settled_at=NOW + timedelta(seconds=1)),
        replace(first, radpeer=None),
        replace(first, scores={}),
    )
    assert len({one.sha256 for one in (first, *others)}) == 5
