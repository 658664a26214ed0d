from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.completeness import Decision, judge_completeness
from node.domain.policy import SeriesPolicy
from node.domain.series import SeriesRecord, SeriesState
from tests.node.domain.scans import instance, plane, stack, without

ARRIVED = datetime(2026, 1, 2, 10, 0, tzinfo=UTC)
RECORD = SeriesRecord(
    series_uid="1.2.3",
    study_uid="1.2",
    state=SeriesState.OPEN,
    generation=0,
    first_received=ARRIVED,
    last_received=ARRIVED,
    open_associations=0,
)
OPEN = replace(RECORD, open_associations=1)


def at(seconds: float) -> datetime:
    return ARRIVED + timedelta(seconds=seconds)


def test_a_whole_stack_goes_on_at_the_release():
    verdict = judge_completeness(stack(48), RECORD, at(0))
    assert verdict.decision is Decision.COMPLETE_BY_EVIDENCE
    assert verdict.complete
    assert verdict.wait_until is None
    assert "48 slices" in verdict.evidence


def test_an_open_association_means_wait_even_for_a_whole_stack():
    verdict = judge_completeness(stack(48), OPEN, at(59))
    assert verdict.decision is Decision.WAIT
    assert verdict.wait_until == at(60)
    assert "1 association(s) still open" in verdict.evidence


def test_an_association_that_never_closes_does_not_hold_for_ever():
    assert judge_completeness(stack(48), OPEN, at(60)).decision is Decision.COMPLETE_BY_QUIET


@pytest.mark.parametrize(
    ("instances", "why"),
    [
        (without(stack(48), 20), "positions are not one run"),
        (without(stack(48), 0), "do not run from 1"),
        (stack(48, first=101), "do not run from 1"),
        (stack(19), "fewer than 20"),
        ([replace(one, instance_number=None) for one in stack(48)], "do not run from 1"),
        ([*stack(48), instance(49, plane(0.0, position_lps_mm=None))], "without a usable position"),
        ([instance(1, plane(0.0), image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"))], "fewer than 20"),
        ([], "nothing arrived"),
    ],
)
def test_without_evidence_it_waits_for_quiet_and_then_goes_on(instances, why):
    waiting = judge_completeness(instances, RECORD, at(9.9))
    assert waiting.decision is Decision.WAIT
    assert not waiting.complete
    assert waiting.wait_until == at(10)
    assert why in waiting.evidence
    quiet = judge_completeness(instances, RECORD, at(10))
    assert quiet.decision is Decision.COMPLETE_BY_QUIET
    assert quiet.complete
    assert why in quiet.evidence


def test_objects_without_slices_are_complete_on_release():
    report = [instance(1)]
    assert judge_completeness(report, RECORD, at(0)).decision is Decision.COMPLETE_BY_EVIDENCE
    assert judge_completeness(report, OPEN, at(0)).decision is Decision.WAIT


def test_a_whole_stack_of_an_association_that_was_cut_off_waits_for_quiet():
    cut_off = replace(RECORD, interrupted=True)
    waiting = judge_completeness(stack(25), cut_off, at(9.9))
    assert (waiting.decision, waiting.wait_until) == (Decision.WAIT, at(10))
    assert "cut off" in waiting.evidence
    assert judge_completeness(stack(25), cut_off, at(10)).decision is Decision.COMPLETE_BY_QUIET


def test_a_localizer_beside_the_stack_is_no_gap():
    scout = instance(49, plane(0.0, rows=900), image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"))
    assert judge_completeness([*stack(48), scout], RECORD, at(0)).decision is Decision.COMPLETE_BY_EVIDENCE


def test_what_the_source_still_holds_is_waited_for_but_not_for_ever():
    first = without(stack(48), 47)
    assert judge_completeness(first, RECORD, at(0)).decision is Decision.COMPLETE_BY_EVIDENCE
    seconds = {5: Decision.WAIT, 10: Decision.HOLD, 299: Decision.HOLD, 300: Decision.COMPLETE_BY_QUIET}
    for after, decision in seconds.items():
        verdict = judge_completeness(first, RECORD, at(after), expected_instances=48)
        assert verdict.decision is decision
        assert "the source holds 48 instances, 47 arrived" in verdict.evidence
    assert judge_completeness(first, RECORD, at(10), expected_instances=48).wait_until == at(300)


def test_more_than_expected_is_no_reason_to_wait():
    verdict = judge_completeness(stack(48), RECORD, at(0), expected_instances=40)
    assert verdict.decision is Decision.COMPLETE_BY_EVIDENCE


def test_the_site_sets_the_times():
    policy = SeriesPolicy(quiet=timedelta(seconds=90), association_hold=timedelta(seconds=5))
    assert judge_completeness(stack(5), RECORD, at(89), policy).decision is Decision.WAIT
    assert judge_completeness(stack(5), OPEN, at(89), policy).decision is Decision.WAIT
    assert judge_completeness(stack(5), OPEN, at(90), policy).decision is Decision.COMPLETE_BY_QUIET


def test_time_must_be_aware():
    with pytest.raises(ValueError, match="aware"):
        judge_completeness([], RECORD, datetime(2026, 1, 2))  # noqa: DTZ001 - the naive time is the point


@pytest.mark.parametrize(
    "values", [{"quiet": timedelta(seconds=-1)}, {"minimum_slices": 2}, {"missing_hold": timedelta(days=-1)}]
)
def test_impossible_waiting_rules_are_refused(values):
    with pytest.raises(ValueError, match=r"negative|gap"):
        SeriesPolicy(**values)


@given(
    slices=st.integers(20, 90),
    spacing=st.sampled_from([0.5, 1.5, 2.5, 3.0, 5.0]),
    numbered=st.booleans(),
    data=st.data(),
)
def test_a_missing_interior_slice_is_never_complete_by_evidence(slices, spacing, numbered, data):
    whole = stack(slices + 1, spacing)
    if not numbered:  # numbers renewed by a router that lost a slice on the way: positions alone must tell
        lost = data.draw(st.integers(1, slices - 1))
        short = [replace(one, instance_number=n) for n, one in enumerate(without(whole, lost), start=1)]
    else:
        short = without(whole, *data.draw(st.sets(st.integers(1, slices - 1), min_size=1, max_size=slices - 1)))
    assert judge_completeness(short, RECORD, at(0)).decision is Decision.WAIT


@given(st.permutations(stack(24)), st.booleans())
def test_the_order_of_arrival_does_not_change_the_decision(shuffled, gap):
    instances = [one for one in shuffled if not (gap and one.instance_number == 7)]
    decision = Decision.WAIT if gap else Decision.COMPLETE_BY_EVIDENCE
    assert judge_completeness(instances, RECORD, at(0)).decision is decision
