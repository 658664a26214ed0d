"""Is it a calcium scan, and which stack of it is read? Every reason is given, never the first only.

Geometry decides; headers lie or are silent, so other signs are added up by weight (see :class:`Policy`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from node.domain.geometry import same_plane_shape
from node.domain.grouping import ImageKind, SliceGroup, group_slices, unplaced
from node.domain.header_signals import header_findings
from node.domain.policy import Policy
from node.domain.ranking import describe, rank
from node.domain.series import Instance
from node.domain.stack_signals import stack_findings
from node.domain.verdict import Finding, Reason, Verdict, weigh

__all__ = ["ContentFacts", "Finding", "Policy", "Reason", "Verdict", "judge", "judge_content"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentFacts:
    """What the voxels show. None: not measured.

    Attributes
    ----------
    blood_pool_hu
        Mean of the blood in the heart or aorta.
    noise_hu
        Standard deviation in a homogeneous region, of the aorta if it can be found.

    """

    heart_found: bool | None = None
    heart_truncated: bool | None = None
    blood_pool_hu: float | None = None
    noise_hu: float | None = None
    metal: bool | None = None


def judge(instances: Sequence[Instance], policy: Policy | None = None) -> Verdict:
    """Judge one series by its headers and geometry; never raises, whatever the headers say.

    Of several stacks (phases, kernels, localizers beside the slices) the best eligible one is chosen, and the choice is
    noted. If none is eligible the reasons are those of the largest stack.
    """
    policy = policy or Policy()
    groups = group_slices(instances)
    series = tuple(_series_findings(instances, groups))
    if not groups:
        return weigh(series, threshold=policy.threshold)
    verdicts = [_judge_group(group, series, policy) for group in groups]
    chosen = sorted((one.chosen for one in verdicts if one.chosen), key=lambda group: rank(group, policy))
    best = next((one for one in verdicts if chosen and one.chosen is chosen[0]), verdicts[0])
    if len(groups) == 1:
        return best
    return best.noting(*_choice(groups, chosen))


def judge_content(content: ContentFacts, policy: Policy | None = None) -> Verdict:
    """Judge what a segmentation saw in the voxels: no heart or enhanced blood decline, other doubts are notes."""
    policy = policy or Policy()
    return weigh(_content_findings(content, policy), threshold=policy.threshold)


def _series_findings(instances: Sequence[Instance], groups: Sequence[SliceGroup]) -> Iterator[Finding]:
    """What speaks against a series as a whole."""
    if any(one.made_by_this_software for one in instances):
        text = "the series was made by this software and is not read again"
        yield Finding(reason=Reason.OWN_OBJECT, text=text, decisive=True)
    others = sorted({one.acquisition.modality.strip().upper() or "not given" for one in instances} - {"CT"})
    if others:
        yield Finding(reason=Reason.MODALITY, text=f"modality is {', '.join(others)[:60]}, not CT", decisive=True)
    without = unplaced(instances)
    if without:
        text = f"{without} images carry no usable position, orientation or pixel spacing"
        yield Finding(reason=Reason.NO_GEOMETRY, text=text, decisive=True)
    elif not groups:
        yield Finding(reason=Reason.NO_IMAGES, text="the series holds no cross-sectional images", decisive=True)
    if _mixed(groups):
        text = "slices of one reconstruction differ in orientation, matrix or pixel spacing"
        yield Finding(reason=Reason.MIXED_GEOMETRY, text=text, decisive=True)


def _mixed(groups: Sequence[SliceGroup]) -> bool:
    """Whether stacks that should be one were told apart by geometry alone: part of the heart would be lost."""
    made: dict[tuple[str, str, ImageKind], SliceGroup] = {}
    for group in groups:
        if group.kind is ImageKind.LOCALIZER:
            continue
        first = made.setdefault((group.kernel, str(group.phase_percent), group.kind), group)
        if not same_plane_shape(first.geometry, group.geometry):
            return True
    return False


def _judge_group(group: SliceGroup, series: Sequence[Finding], policy: Policy) -> Verdict:
    findings = [*series, *stack_findings(group, policy), *header_findings(group, policy)]
    return weigh(findings, threshold=policy.threshold, chosen=group)


def _choice(groups: Sequence[SliceGroup], eligible: Sequence[SliceGroup]) -> Iterator[Finding]:
    held = "; ".join(describe(group) for group in groups)
    yield Finding(reason=Reason.CHOICE, text=f"the series holds {len(groups)} stacks: {held}")
    if eligible:
        text = f"of {len(eligible)} eligible stacks the one with {describe(eligible[0])} was chosen"
        yield Finding(reason=Reason.CHOICE, text=text)


def _content_findings(content: ContentFacts, policy: Policy) -> Iterator[Finding]:
    limits = policy.content
    if content.heart_found is False:
        yield Finding(reason=Reason.HEART, text="no heart in the field of view", decisive=True)
    blood, noise = content.blood_pool_hu, content.noise_hu
    if blood is not None and blood >= limits.contrast_hu:
        text = f"blood measures {blood:.0f} HU, which is contrast; below {limits.contrast_hu:.0f} HU is accepted"
        yield Finding(reason=Reason.CONTRAST, text=text, decisive=True)
    if content.heart_truncated:
        yield Finding(reason=Reason.TRUNCATED, text="part of the heart lies outside the scan")
    if noise is not None and noise > limits.noise_hu:
        text = f"noise {noise:.0f} HU; the target is {limits.noise_hu:.0f} HU or less"
        yield Finding(reason=Reason.NOISE, text=text)
    if content.metal:
        yield Finding(reason=Reason.METAL, text="metal in the field of view (lead, valve, stent or clip)")
