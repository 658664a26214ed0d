"""When is a series complete? From its geometry at once; else when nothing more has come for a while."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from node.domain.grouping import ImageKind, group_slices, unplaced
from node.domain.policy import SeriesPolicy
from node.domain.series import Instance, SeriesRecord


class Decision(StrEnum):
    """What happens to an open series now."""

    COMPLETE_BY_EVIDENCE = "complete by evidence"
    COMPLETE_BY_QUIET = "complete by quiet"
    WAIT = "wait"  # more may be on its way
    HOLD = "hold"  # quiet, but the source says that there is more


@dataclass(frozen=True, slots=True, kw_only=True)
class Completeness:
    """The decision, why, and when to ask again (None once complete)."""

    decision: Decision
    evidence: str
    wait_until: datetime | None = None

    @property
    def complete(self) -> bool:
        """Whether the series goes on now."""
        return self.decision in (Decision.COMPLETE_BY_EVIDENCE, Decision.COMPLETE_BY_QUIET)


def judge_completeness(
    instances: Sequence[Instance],
    record: SeriesRecord,
    now: datetime,
    policy: SeriesPolicy | None = None,
    *,
    expected_instances: int | None = None,
) -> Completeness:
    """Decide whether a series goes on now. A slice that comes later makes a new generation.

    Parameters
    ----------
    instances
        All that was received of the series, in any order.
    now
        Aware; a naive time is a ValueError.
    expected_instances
        How many the source says there are, if it was asked.

    """
    if now.tzinfo is None:
        raise ValueError("now must be an aware datetime")
    policy = policy or SeriesPolicy()
    count = len({one.sop_uid for one in instances})
    doubts = _doubts(instances, policy)
    if record.interrupted:  # no gap shows that the last slices of a stack are missing
        doubts.append("the association that brought it was cut off")
    awaited = 0 if expected_instances is None else max(0, expected_instances - count)
    if awaited:
        doubts.append(f"the source holds {expected_instances} instances, {count} arrived")
    if record.open_associations > 0:
        return _associations_open(record, now, policy, doubts)
    if not doubts:
        slices = sum(len(one.slices) for one in instances)
        evidence = f"{slices} slices without a gap, association released" if slices else "no slices are expected"
        return Completeness(decision=Decision.COMPLETE_BY_EVIDENCE, evidence=evidence)
    return _without_evidence(record, now, policy, "; ".join(doubts), awaited)


def _without_evidence(
    record: SeriesRecord, now: datetime, policy: SeriesPolicy, why: str, awaited: int
) -> Completeness:
    """Wait for quiet; hold while the source says that more is to come; then go on."""
    quiet = record.last_received + policy.quiet
    if now < quiet:
        return Completeness(decision=Decision.WAIT, evidence=why, wait_until=quiet)
    hold = record.last_received + policy.missing_hold
    if awaited and now < hold:
        return Completeness(decision=Decision.HOLD, evidence=why, wait_until=hold)
    return _quiet(record, now, why)


def _associations_open(
    record: SeriesRecord, now: datetime, policy: SeriesPolicy, doubts: Sequence[str]
) -> Completeness:
    """Wait for the release, but not for ever."""
    until = record.last_received + max(policy.association_hold, policy.quiet)
    why = "; ".join([f"{record.open_associations} association(s) still open", *doubts])
    if now < until:
        return Completeness(decision=Decision.WAIT, evidence=why, wait_until=until)
    return _quiet(record, now, why)


def _quiet(record: SeriesRecord, now: datetime, why: str) -> Completeness:
    seconds = (now - record.last_received).total_seconds()
    return Completeness(
        decision=Decision.COMPLETE_BY_QUIET, evidence=f"nothing arrived for {seconds:.0f} s, although {why}"
    )


def _doubts(instances: Sequence[Instance], policy: SeriesPolicy) -> list[str]:
    """What keeps a series from being complete on the evidence of its slices alone."""
    if not instances:
        return ["nothing arrived"]
    if not any(one.slices for one in instances):
        return []
    doubts: list[str] = []
    if unplaced(instances):
        doubts.append("slices without a usable position")
    stacks = [group for group in group_slices(instances) if group.kind is not ImageKind.LOCALIZER]
    if not stacks or min(len(group.slices) for group in stacks) < policy.minimum_slices:
        doubts.append(f"fewer than {policy.minimum_slices} slices in a stack")
    if not all(group.contiguous for group in stacks):
        doubts.append("positions are not one run with one spacing")
    numbers = sorted({one.sop_uid: one.instance_number or 0 for one in instances}.values())
    if numbers != list(range(1, len(numbers) + 1)):
        doubts.append("instance numbers do not run from 1 without a hole")
    return doubts
