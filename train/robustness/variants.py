"""The ways in which one patient is scanned and stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from train.cases import Case
from train.robustness.sample import Sample, thick
from train.robustness.transformations import brightened, cropped, noisier, off_centre, repixelled, turned

ORIGINAL_MM: Final = 3.0


class Kind(StrEnum):
    """What a variant may change."""

    STORED = "stored"  # nothing in the patient's space: the reading must be the same, voxel for voxel
    FIELD = "field"  # what is in view and how finely it is sampled: the true score hardly
    PHYSICS = "physics"  # the voxels, and with them the true score


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way: its name, what it is in words, and how it is made of the original and of the fine slices."""

    name: str
    kind: Kind
    words: str
    make: Callable[[Sample, Case], Sample]


VARIANTS: Final = (
    Variant(
        name="reversed",
        kind=Kind.STORED,
        words="slices listed the other way",
        make=lambda one, _: turned(one, (0,)),
    ),
    Variant(
        name="feet-first",
        kind=Kind.STORED,
        words="stored as feet first, supine: columns and slices run the other way",
        make=lambda one, _: turned(one, (0, 2)),
    ),
    Variant(
        name="prone",
        kind=Kind.STORED,
        words="stored as head first, prone: rows and columns run the other way (the heart stays where it was)",
        make=lambda one, _: turned(one, (1, 2)),
    ),
    Variant(
        name="2.5 mm",
        kind=Kind.PHYSICS,
        words="2.5 mm slices of the same patient and dose, made from the same 0.5 mm slices",
        make=lambda _, fine: thick(fine, 2.5),
    ),
    Variant(
        name="1.5 mm",
        kind=Kind.PHYSICS,
        words="1.5 mm slices, likewise",
        make=lambda _, fine: thick(fine, 1.5),
    ),
    Variant(
        name="half-slice",
        kind=Kind.PHYSICS,
        words="3 mm slices shifted by 1.5 mm, likewise",
        make=lambda _, fine: thick(fine, ORIGINAL_MM, shift_mm=ORIGINAL_MM / 2),
    ),
    Variant(name="+10 HU", kind=Kind.PHYSICS, words="every voxel 10 HU up", make=lambda one, _: brightened(one, 10)),
    Variant(name="-10 HU", kind=Kind.PHYSICS, words="every voxel 10 HU down", make=lambda one, _: brightened(one, -10)),
    Variant(
        name="noise",
        kind=Kind.PHYSICS,
        words="noise 30 % higher: more of the texture measured in the chambers is added",
        make=lambda one, fine: noisier(one, 1.3, fine.seed),
    ),
    Variant(
        name="0.35 mm",
        kind=Kind.FIELD,
        words="the same field resampled to 0.35 mm pixels (bicubic)",
        make=lambda one, _: repixelled(one, 0.35),
    ),
    Variant(
        name="0.49 mm",
        kind=Kind.FIELD,
        words="the same field resampled to 0.49 mm pixels (bicubic)",
        make=lambda one, _: repixelled(one, 0.49),
    ),
    Variant(
        name="off-centre",
        kind=Kind.FIELD,
        words="the field moved by 20 % to where the heart has most room, air outside",
        make=lambda one, _: off_centre(one, 0.2),
    ),
    Variant(
        name="cropped",
        kind=Kind.FIELD,
        words="only the heart and 15 mm around it in the slice",
        make=lambda one, _: cropped(one, 15.0),
    ),
)


def original(fine: Case) -> Sample:
    """The scan that variants are held against."""
    return thick(fine, ORIGINAL_MM)


def made(fine: Case) -> Iterator[tuple[Variant, Sample]]:
    """Every variant of a patient, one at a time."""
    first = original(fine)
    for variant in VARIANTS:
        yield variant, variant.make(first, fine)
