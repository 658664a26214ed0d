"""A verdict on a series, with every reason for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from node.domain.grouping import SliceGroup


class Reason(StrEnum):
    """What a finding is about."""

    NO_IMAGES = "no images"
    MODALITY = "modality"
    OWN_OBJECT = "own object"
    NO_GEOMETRY = "no geometry"
    LOCALIZER = "localizer"
    IMAGE_TYPE = "image type"
    NOT_AXIAL = "not axial"
    TILT = "tilt"
    MIXED_GEOMETRY = "mixed geometry"
    GAP = "gap"
    DUPLICATE = "duplicate position"
    IRREGULAR = "irregular spacing"
    SPACING = "slice spacing"
    THICKNESS = "slice thickness"
    SLICES = "number of slices"
    COVER = "cover"
    FIELD_OF_VIEW = "field of view"
    PIXEL_SPACING = "pixel spacing"
    ORDER = "instance numbers"
    CONTRAST = "contrast"
    KVP = "tube voltage"
    KERNEL = "kernel"
    GATING = "gating"
    BODY_PART = "body part"
    CALCIUM_TEXT = "calcium score named"
    CHOICE = "choice of stack"
    RECONSTRUCTION = "another reconstruction"
    HEART = "heart"
    TRUNCATED = "heart truncated"
    NOISE = "noise"
    METAL = "metal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing noticed about a series, in the user's terms, with what was measured.

    A decisive finding declines alone. Others are added by weight; a weight of 0 is a remark, below 0 speaks for the
    series.
    """

    reason: Reason
    text: str
    weight: float = 0.0
    decisive: bool = False

    @property
    def against(self) -> bool:
        """Whether the finding speaks against the series."""
        return self.decisive or self.weight > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a series is read.

    Attributes
    ----------
    chosen
        The stack to read; None if declined, and for a verdict on content.
    reasons
        Empty if eligible; otherwise everything that speaks against the series, decisive findings first.
    notes
        What else was noticed; in an eligible series also the doubts that were not enough to decline it.

    """

    eligible: bool
    chosen: SliceGroup | None = None
    reasons: tuple[Finding, ...] = ()
    notes: tuple[Finding, ...] = ()

    @property
    def reason_texts(self) -> tuple[str, ...]:
        """The reasons as sentences, for the ledger and reports."""
        return tuple(finding.text for finding in self.reasons)

    @property
    def note_texts(self) -> tuple[str, ...]:
        """The notes as sentences, for reports."""
        return tuple(finding.text for finding in self.notes)

    def noting(self, *notes: Finding) -> Verdict:
        """The same verdict with more notes."""
        return replace(self, notes=(*self.notes, *notes))


def weigh(findings: Iterable[Finding], *, threshold: float, chosen: SliceGroup | None = None) -> Verdict:
    """Add up findings: one decisive, or weights that reach ``threshold`` in sum, decline."""
    every = tuple(findings)
    total = sum(finding.weight for finding in every if not finding.decisive)
    against = tuple(sorted((one for one in every if one.against), key=lambda one: (not one.decisive, -one.weight)))
    # One sign against at least: a sum that reaches a positive threshold holds a positive weight.
    if not (total >= threshold or any(finding.decisive for finding in every)):
        return Verdict(eligible=True, chosen=chosen, notes=every)
    return Verdict(eligible=False, reasons=against, notes=tuple(one for one in every if not one.against))
