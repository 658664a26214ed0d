"""What phantoms are drawn from: for training, at a scanner's resolution, as patients are, and harder than either."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TypeVar

from train.anatomy.ranges import AnatomyRanges, Cohort, ConfuserRanges
from train.imaging.ranges import ImagingRanges

Part = TypeVar("Part")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What cases are drawn from. A pair is (low, high); rows and columns are equal.

    Attributes
    ----------
    matrix
        Rows and columns; None: as many as the drawn field of view holds.
    pixel_mm
        Pixel size; None: that of the drawn field of view.
    averaged
        The pixels stand for what reading makes of finer ones: less noise, wider edges.
    field_of_view_mm
        Drawn evenly; with ``matrix`` and ``pixel_mm`` both set it is their product instead.
    slice_mm
        Slice spacings, one of which is drawn.
    slices
        Number of slices, both ends included.
    shortest_mm
        More slices are taken where the drawn number would cover less: scans run from the carina into the abdomen.
    per_slice
        Sub-slices a slice is averaged from at most; thin slices take fewer.
    lattice_mm
        In-plane step of the anatomy.
    territory_mm
        How far around a coronary's centre line its territory reaches.

    """

    matrix: int | None = 256
    pixel_mm: float | None = 1.0
    averaged: bool = False
    field_of_view_mm: tuple[float, float] = (170.0, 250.0)
    slice_mm: tuple[float, ...] = (3.0, 3.0, 2.5)
    slices: tuple[int, int] = (40, 57)
    shortest_mm: float = 124.0
    per_slice: int = 2
    lattice_mm: float = 2.5
    territory_mm: float = 4.5
    anatomy: AnatomyRanges = field(default_factory=AnatomyRanges)
    imaging: ImagingRanges = field(default_factory=ImagingRanges)

    def __post_init__(self) -> None:
        if (self.matrix or 32) < 32 or min(self.slices) < 4 or self.slices[0] > self.slices[1]:
            raise ValueError("a recipe needs at least 32 x 32 pixels and 4 slices, and slices as (fewest, most)")
        if self.matrix is None and self.pixel_mm is None:
            raise ValueError("a recipe needs a matrix or a pixel size")


def training_resolution(cohort: Cohort = Cohort.MIXED) -> Recipe:
    """1 mm pixels as reading makes them of a scanner's, over 168 to 256 mm: made in a second or two."""
    return Recipe(
        matrix=None,
        averaged=True,
        field_of_view_mm=(168.0, 256.0),
        slice_mm=(3.0, 3.0, 3.0, 2.5, 2.5, 1.5),
        anatomy=AnatomyRanges(cohort=cohort),
    )


def full_resolution(cohort: Cohort = Cohort.HIGH) -> Recipe:
    """512 x 512 pixels of 0.35-0.49 mm, 48 slices of 3 mm: what a scanner sends."""
    return Recipe(
        matrix=512,
        pixel_mm=None,
        field_of_view_mm=(180.0, 250.0),
        slice_mm=(3.0,),
        slices=(48, 48),
        anatomy=AnatomyRanges(cohort=cohort),
    )


def patient_resolution(cohort: Cohort = Cohort.MIXED) -> Recipe:
    """As scanners send it, with look-alikes of calcium about as often as patients have them: for figures."""
    plain = full_resolution(cohort)
    return replace(plain, anatomy=replace(plain.anatomy, confusers=ConfuserRanges.of_patients()))


def hold_out_resolution(cohort: Cohort = Cohort.MIXED) -> Recipe:
    """As scanners send it, by harder imaging and of anatomy that training never draws: for figures, never for fits."""
    anatomy = AnatomyRanges(cohort=cohort)
    return Recipe(
        matrix=512,
        pixel_mm=None,
        field_of_view_mm=(168.0, 260.0),
        slice_mm=(3.0, 3.0, 2.5),
        anatomy=replace(anatomy, **{part.name: _unseen(getattr(anatomy, part.name)) for part in fields(anatomy)}),
        imaging=ImagingRanges.unseen(),
    )


def _unseen(part: Part) -> Part:
    """The hold-out's version of a part of the ranges, where it has one."""
    unseen = getattr(part, "unseen", None)
    drawn: Part = unseen() if unseen is not None else part
    return drawn
