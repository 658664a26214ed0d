"""The site's limits: what is accepted, what counts how much against a series, and how long to wait for slices."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from datetime import timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesPolicy:
    """How long to wait for more slices.

    Attributes
    ----------
    quiet
        Without evidence of completeness a series goes on when nothing arrived for so long.
    association_hold
        An association that stays open delays a series for at most so long after the series' last arrival.
    missing_hold
        When the source says that there are more instances than arrived: how long to wait for them after the last.
    minimum_slices
        Fewer slices are never complete by evidence.

    """

    quiet: timedelta = timedelta(seconds=10)
    association_hold: timedelta = timedelta(seconds=60)
    missing_hold: timedelta = timedelta(minutes=5)
    minimum_slices: int = 20

    def __post_init__(self) -> None:
        if min(self.quiet, self.association_hold, self.missing_hold) < timedelta(0):
            raise ValueError("a waiting time must not be negative")
        if self.minimum_slices < 3:
            raise ValueError("a gap cannot be seen in fewer than 3 slices")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """How much a sign that does not decide alone counts against a series; the sum is held against the threshold.

    Attributes
    ----------
    contrast_text
        The nearest description that says anything says contrast or angiography.
    contrast_and_calcium_text
        One description names both.
    calcium_text
        A calcium score is named: the only sign that counts in favour.
    body_part
        The body part is not the chest or heart.
    kernel_firm
        The kernel is between soft and sharp.
    secondary
        ImageType says SECONDARY.
    order
        Instance numbers disagree with positions.
    sparse
        Thin slices with tissue left out between them.
    gating_unknown
        The header does not say whether the scan was gated.
    not_gated
        The header says that it was not.
    field_of_view
        Larger than `usual_field_of_view_mm`.
    cover
        Longer than `usual_cover_mm`.
    pixel_spacing
        Pixels larger than `usual_pixel_mm`.

    """

    contrast_text: float = 1.0
    contrast_and_calcium_text: float = 0.5
    calcium_text: float = -0.5
    body_part: float = 0.6
    kernel_firm: float = 0.3
    secondary: float = 0.3
    order: float = 0.3
    sparse: float = 0.5
    gating_unknown: float = 0.1
    not_gated: float = 0.3
    field_of_view: float = 0.2
    cover: float = 0.1
    pixel_spacing: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentPolicy:
    """Limits for what is seen in the voxels.

    Attributes
    ----------
    contrast_hu
        Blood of so many HU or more is enhanced blood: declined.
    noise_hu
        More noise than this is noted.

    """

    contrast_hu: float = 100.0
    noise_hu: float = 25.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TextPolicy:
    """Regular expressions, searched in descriptions made lower case with every ``_``, ``-`` and bracket a space.

    ``not_contrast`` is taken out of a description before ``contrast`` is looked for.

    Attributes
    ----------
    calcium
        Names a calcium score.
    not_contrast
        Says that there is no contrast; taken out before `contrast` is looked for.
    contrast
        Names contrast or angiography.
    elsewhere
        Names another part of the body.

    """

    calcium: tuple[str, ...] = (
        r"\bca ?sc(?:ore|oring)?\b",
        r"\bcalcium\b",
        r"\bcacs?\b",
        r"\bsmart ?score\b",
        r"\bagatston\b",
        r"\bcardiac (?:2\.5|3\.0)",
        r"\bkal[kz]i?(?:um)? ?score",
        r"\bscore calcique\b",
        r"calciumscor",
    )
    not_contrast: tuple[str, ...] = (
        (
            r"(?<!\bw )(?<!\bw/)(?<!with )(?<!and )(?<!& )\b(?:without|w/o|wo|non?|pre|ohne|sans|sin) ?"
            r"(?:iv |i\.v\. |any )?(?:[ck]ontrast\w*|enhance\w*|km\b|con\b)"
        ),
        r"\b(?:non?|pre|before) (?:angio\w*|c?cta)\b",
        r"\bunenhanced\b",
        r"\bnoncon\w*",
        r"\bcontrast free\b",
    )
    contrast: tuple[str, ...] = (
        r"contrast",
        r"kontrast",
        r"\bmit km\b",
        r"\bc\+",
        r"\benhanced\b",
        r"\bw(?:ith)? ?(?:and|&|/|\+)? ?w(?:/?o|ithout)\b",
        r"\bc?cta\b",
        r"angio",
        r"\barterial\b",
        r"\bvenous\b",
        r"\bportal\b",
        r"\bdelayed\b",
        r"\bbolus\b",
        r"\bperfusion\b",
    )
    elsewhere: tuple[str, ...] = (r"\b(?:abdomen|pelvis|head|brain|neck|spine|knee|hip|foot|hand|leg|arm|shoulder)\b",)


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelPolicy:
    """Regular expressions that a whole kernel name must match, in upper case.

    Siemens kernels outside the lists go by the number in their name: up to ``soft_most`` is soft, from
    ``sharp_least`` on sharp. A name that nothing is known of counts neither way.

    Attributes
    ----------
    preferred
        Usual for calcium scores.
    sharp
        Declined: sharp kernels move every score.
    firm
        Between soft and sharp.
    numbered
        A name that holds a number which tells how sharp it is.
    soft_most
        Numbers up to this are soft.
    sharp_least
        Numbers from this on are sharp.

    """

    preferred: tuple[str, ...] = (r"B35F", r"I30F.*", r"QR36.*", r"SA36.*", r"STANDARD", r"FC12", r"B", r"XCA")
    sharp: tuple[str, ...] = (
        r"LUNG",
        r"BONE.*",
        r"EDGE",
        r"ULTRA",
        r"FC(?:3[0-9]|5[0-9]|8[0-9])(?:-.*)?",
        r"(?:L|D|E|EB|Y[A-E]?|Y-.*|SHARP.*)",
    )
    firm: tuple[str, ...] = (r"DETAIL", r"CHST")
    numbered: str = r"[A-Z]{1,2}(\d\d)[A-Z]?(?:[ ^/_-].*)?"
    soft_most: int = 40
    sharp_least: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What makes a series a calcium scan for this site. Lengths in mm, angles in degrees.

    Attributes
    ----------
    threshold
        Signs that do not decide alone are added by weight; from this sum on the series is declined.
    minimum_slices
        Fewer are declined.
    minimum_cover_mm
        A shorter stack is declined.
    usual_cover_mm
        A longer stack is noted.
    usual_field_of_view_mm
        A larger field of view is noted.
    usual_pixel_mm
        Larger pixels are noted.
    spacing_mm
        Accepted slice spacing, lowest and highest.
    standard_spacings_mm
        Best first; other accepted spacings are noted.
    length_tolerance_mm
        By how much lengths may differ and count as equal.
    thickness_most_mm
        Thicker slices are declined.
    axial_deg
        By how much the normal may lean from the body's axis.
    tilt_deg
        By how much the gantry may be tilted.
    kvp
        Tube voltages that a score table exists for.
    assume_kvp
        Voltage taken where the header has none; without it such a series is declined.
    phase_percent
        Usual range of the cardiac phase; the nearest phase is chosen.
    same_acquisition
        Seconds between acquisition times that may be one acquisition.

    """

    threshold: float = 1.0
    minimum_slices: int = 20
    minimum_cover_mm: float = 80.0
    usual_cover_mm: float = 250.0
    usual_field_of_view_mm: float = 300.0
    usual_pixel_mm: float = 1.0
    spacing_mm: tuple[float, float] = (1.0, 3.0)
    standard_spacings_mm: tuple[float, ...] = (3.0, 2.5)
    length_tolerance_mm: float = 0.05
    thickness_most_mm: float = 3.5
    axial_deg: float = 5.0
    tilt_deg: float = 1.0
    kvp: tuple[float, ...] = (70.0, 80.0, 100.0, 120.0, 135.0)
    assume_kvp: float | None = None
    phase_percent: tuple[float, float] = (70.0, 75.0)
    same_acquisition: timedelta = timedelta(seconds=5)
    weights: Weights = field(default_factory=Weights)
    text: TextPolicy = field(default_factory=TextPolicy)
    kernel: KernelPolicy = field(default_factory=KernelPolicy)
    content: ContentPolicy = field(default_factory=ContentPolicy)

    def __post_init__(self) -> None:
        if not self.threshold > 0:
            raise ValueError("the threshold must be above 0, or nothing would be accepted")
        low, high = self.spacing_mm
        if not 0 < low <= high:
            raise ValueError(f"accepted slice spacing must run from low to high, not {low} to {high} mm")
        if self.assume_kvp is not None and self.assume_kvp not in self.kvp:
            raise ValueError(f"{self.assume_kvp:g} kV cannot be assumed: there is no score table for it")
        if not all(math.isfinite(getattr(self.weights, weight.name)) for weight in fields(Weights)):
            raise ValueError("weights must be finite")
        _check_patterns(*self.text.calcium, *self.text.not_contrast, *self.text.contrast, *self.text.elsewhere)
        _check_patterns(*self.kernel.preferred, *self.kernel.sharp, *self.kernel.firm, self.kernel.numbered)


def _check_patterns(*patterns: str) -> None:
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"not a regular expression: {pattern!r} ({error})") from error


def found(patterns: Iterable[str], text: str) -> str:
    """What one of the patterns finds in ``text``, or nothing."""
    for pattern in patterns:
        if match := re.search(pattern, text):
            return match.group().strip()
    return ""
