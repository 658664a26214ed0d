"""Whether two stacks show one acquisition, or two scans of the same patient."""

from __future__ import annotations

import re
from collections.abc import Iterable

from node.domain.geometry import position
from node.domain.grouping import SliceGroup
from node.domain.policy import Policy

_DAY_S = 86_400.0
_TIME = re.compile(r"(\d{8})?(\d{2})(\d{2})(\d{2}(?:\.\d{1,6})?)(?:[+-]\d{4})?", re.ASCII)


def same_acquisition(a: SliceGroup, b: SliceGroup, policy: Policy) -> bool:
    """Whether two stacks are reconstructions of one acquisition.

    They are of one study and frame of reference, at least half of the shorter lies within the longer, and they share an
    acquisition time or number. Numbers do not count where the times are too far apart: some scanners call every
    acquisition number 1.
    """
    if a.slices[0].instance.study_uid != b.slices[0].instance.study_uid or not _frames(a) & _frames(b):
        return False
    if not _overlap(a, b):
        return False
    if _times(a) & _times(b):
        return True
    return bool(_numbers(a) & _numbers(b)) and not _apart(_seconds(_times(a)), _seconds(_times(b)), policy)


def _frames(group: SliceGroup) -> set[str]:
    return {one.frame_of_reference_uid for one in group.acquisitions} - {""}


def _times(group: SliceGroup) -> set[str]:
    return {one.acquisition_time.strip() for one in group.acquisitions} - {""}


def _numbers(group: SliceGroup) -> set[int | None]:
    return {one.acquisition_number for one in group.acquisitions} - {None}


def _overlap(a: SliceGroup, b: SliceGroup) -> bool:
    """By the heights of the slices: both stacks are near axial."""
    (a_low, a_high), (b_low, b_high) = _heights(a), _heights(b)
    shorter = min(a_high - a_low, b_high - b_low)
    return min(a_high, b_high) - max(a_low, b_low) >= shorter / 2


def _heights(group: SliceGroup) -> tuple[float, float]:
    heights = [position(one.geometry)[2] for one in group.slices]
    return min(heights), max(heights)


def _seconds(times: Iterable[str]) -> list[float]:
    """DICOM times (DA + TM, or TM alone) in seconds; only differences within a day or so mean anything."""
    matches = [match for text in times if (match := _TIME.fullmatch(text))]
    return sorted(
        int(day or 0) * _DAY_S + int(hours) * 3600 + int(minutes) * 60 + float(seconds)
        for day, hours, minutes, seconds in (match.groups() for match in matches)
    )


def _apart(a: list[float], b: list[float], policy: Policy) -> bool:
    if not a or not b:
        return False
    return max(a[0], b[0]) - min(a[-1], b[-1]) > policy.same_acquisition.total_seconds()
