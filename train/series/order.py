"""What is asked for when phantom series are made: which seeds, from which recipe."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from math import ceil
from typing import Final, Self

from train.anatomy.ranges import Cohort
from train.cases import Recipe, full_resolution
from train.series.generator import generator_sha256

SPACING_MM: Final = (1.0, 3.5)
"""Slice spacings that series are made with, lowest and highest."""

_COVER_MM: Final = 144.0
_MOST_SEED: Final = 9_999_999
_SEEDS: Final = re.compile(r"(\d+)(?::(\d+))?")


class Format(StrEnum):
    """How a case is written."""

    DICOM = "dicom"
    NPZ = "npz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """How every case of a folder is made and written."""

    recipe: Recipe
    written_as: Format = Format.DICOM

    @classmethod
    def of(cls, cohort: Cohort, spacing_mm: float, written_as: Format = Format.DICOM) -> Self:
        """512 x 512 pixels, about 144 mm of slices at this spacing; raises ValueError for one no scanner has."""
        low, high = SPACING_MM
        if not low <= spacing_mm <= high:
            raise ValueError(f"the slice spacing is {low} to {high} mm, not {spacing_mm:g} mm")
        count = ceil(_COVER_MM / spacing_mm - 1e-6)
        recipe = replace(full_resolution(cohort), slice_mm=(spacing_mm,), slices=(count, count))
        return cls(recipe=recipe, written_as=written_as)

    def digest(self) -> str:
        """SHA-256 of everything but the seed that decides how a case comes out: the recipe and the generator's code."""
        recipe = json.dumps(asdict(self.recipe), sort_keys=True)
        return hashlib.sha256(f"{generator_sha256()}/{recipe}".encode()).hexdigest()

    def bytes_per_case(self) -> int:
        """About how much disk space a case takes."""
        voxels = self.recipe.slices[1] * (self.recipe.matrix or 512) ** 2
        return voxels * (2 if self.written_as is Format.DICOM else 5)


def parse_seeds(text: str) -> range:
    """``"A:B"`` is the seeds from A up to, but without, B; ``"A"`` is one seed.

    Raises
    ------
    ValueError
        It is neither, it is empty, or a seed has more than seven digits.

    """
    found = _SEEDS.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"seeds are A:B (from A up to, but without, B) or one number, not {text!r}")
    first = int(found[1])
    end = int(found[2]) if found[2] is not None else first + 1
    if end <= first:
        raise ValueError(f"there are no seeds in {text!r}: A:B goes from A up to, but without, B")
    if end - 1 > _MOST_SEED:
        raise ValueError(f"seeds go up to {_MOST_SEED}")
    return range(first, end)
