"""Reconstruction kernels: soft enough for a calcium score, or not."""

from __future__ import annotations

import re
from enum import StrEnum

from node.domain.policy import KernelPolicy


class KernelGrade(StrEnum):
    """How a kernel suits a calcium score."""

    PREFERRED = "preferred"
    SOFT = "soft"
    UNKNOWN = "unknown"
    FIRM = "firm"
    SHARP = "sharp"


def kernel_grade(name: str, policy: KernelPolicy) -> KernelGrade:
    """Grade of a kernel by its name in upper case; UNKNOWN for none."""
    if any(re.fullmatch(pattern, name) for pattern in policy.preferred):
        return KernelGrade.PREFERRED
    if any(re.fullmatch(pattern, name) for pattern in policy.sharp):
        return KernelGrade.SHARP
    if any(re.fullmatch(pattern, name) for pattern in policy.firm):
        return KernelGrade.FIRM
    numbered = re.fullmatch(policy.numbered, name)
    if numbered is None or name.startswith("FC"):  # Canon numbers its kernels by another rule
        return KernelGrade.UNKNOWN
    number = int(numbered.group(1))
    if number >= policy.sharp_least:
        return KernelGrade.SHARP
    return KernelGrade.SOFT if number <= policy.soft_most else KernelGrade.FIRM
