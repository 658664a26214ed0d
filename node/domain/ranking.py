"""Which of several stacks or reconstructions is the one to read: thickness first, then kernel, then phase."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from node.domain.acquisition import same_acquisition
from node.domain.grouping import SliceGroup
from node.domain.kernels import KernelGrade, kernel_grade
from node.domain.policy import Policy
from node.domain.verdict import Finding, Reason, Verdict

_GRADES = (KernelGrade.PREFERRED, KernelGrade.SOFT, KernelGrade.UNKNOWN, KernelGrade.FIRM, KernelGrade.SHARP)
Rank = tuple[int, float, int, float, int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A series of a study with its own verdict."""

    series_uid: str
    verdict: Verdict


def rank(group: SliceGroup, policy: Policy) -> Rank:
    """The lower, the rather a stack is read: standard spacing, kernel, nearness to the usual phase, more slices."""
    spacing = group.spacing_mm or 0.0
    standards = policy.standard_spacings_mm
    distances = [abs(spacing - standard) for standard in standards]
    place = next((n for n, off in enumerate(distances) if off <= policy.length_tolerance_mm), len(standards))
    return (
        place,
        round(min(distances, default=0.0), 2) if place == len(standards) else 0.0,
        _GRADES.index(kernel_grade(group.kernel, policy.kernel)),
        _from_usual_phase(group.phase_percent, policy),
        -len(group.slices),
        group.slices[0].instance.sop_uid,
    )


def describe(group: SliceGroup) -> str:
    """A stack in few words, without anything that could name a patient."""
    spacing = "one position" if group.spacing_mm is None else f"{group.spacing_mm:.2f} mm"
    kernel = f", kernel {group.kernel[:20]}" if group.kernel else ""
    phase = "" if group.phase_percent is None else f", phase {group.phase_percent:.0f} %"
    return f"{len(group.slices)} {group.kind} slices, {spacing}{kernel}{phase}"


def choose_reconstruction(candidates: Sequence[Candidate], policy: Policy | None = None) -> Mapping[str, Verdict]:
    """Verdicts by series UID, with one series kept of every acquisition that several eligible series show.

    The losers are declined and say which one was chosen and why; the winner notes the choice. Series of different
    acquisitions, and series already declined, keep their verdicts. The order of ``candidates`` does not matter.
    """
    policy = policy or Policy()
    verdicts = {one.series_uid: one.verdict for one in candidates}
    eligible = [(uid, one.chosen) for uid, one in verdicts.items() if one.eligible and one.chosen is not None]
    kept: list[tuple[str, SliceGroup]] = []
    for uid, group in sorted(eligible, key=lambda pair: (rank(pair[1], policy), pair[0])):
        winner = next((other for other in kept if same_acquisition(other[1], group, policy)), None)
        if winner is None:
            kept.append((uid, group))
            continue
        verdicts[uid] = _lost(verdicts[uid], winner[1], group, policy)
        text = f"chosen before another reconstruction of this acquisition: {describe(group)}"
        verdicts[winner[0]] = verdicts[winner[0]].noting(Finding(reason=Reason.CHOICE, text=text))
    return verdicts


def _lost(verdict: Verdict, winner: SliceGroup, loser: SliceGroup, policy: Policy) -> Verdict:
    text = (
        f"another reconstruction of this acquisition was chosen: {describe(winner)} before {describe(loser)}, "
        f"by {_difference(rank(winner, policy), rank(loser, policy))}"
    )
    reason = Finding(reason=Reason.RECONSTRUCTION, text=text, decisive=True)
    return replace(verdict, eligible=False, chosen=None, reasons=(reason, *verdict.reasons))


def _difference(winner: Rank, loser: Rank) -> str:
    """What decided between two ranks."""
    names = ("slice spacing", "slice spacing", "kernel", "cardiac phase", "number of slices")
    return next(
        (name for name, a, b in zip(names, winner, loser, strict=False) if a != b), "identifier: they are alike"
    )


def _from_usual_phase(phase: float | None, policy: Policy) -> float:
    """Percent of the cycle between a phase and the usual range; a phase that is not given counts as the usual one."""
    if phase is None or not math.isfinite(phase):
        return 0.0
    low, high = policy.phase_percent
    return max(low - phase, phase - high, 0.0)
