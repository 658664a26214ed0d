"""One patient read twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from model import risk, scoring
from model.definition import definition_for
from model.lesions import CORONARIES, Lesion
from model.reader import Reading
from train.robustness.sample import Sample
from train.robustness.transformations import mapped_back
from train.series.scan import scored

_NEAR_MM: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A scan's coronary Agatston score, as it is and as it was read; ``found`` is False where no heart was."""

    true: float
    read: float
    found: bool

    @property
    def right(self) -> bool:
        """Whether the category is right."""
        return risk.category(self.true) == risk.category(self.read)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How the reading of one variant differs from that of the original.

    Attributes
    ----------
    dice
        Per coronary: overlap of the two readings where both grids have the same voxels and either found any.
    same_mask
        Whether the mapped mask is the original's, voxel for voxel; None where the grids differ.
    lost, gained, renamed
        Coronary lesions of the original without one of the variant within 5 mm of their border, the other way round,
        and those whose nearest counterpart has another vessel.

    """

    variant: str
    original: Sighting
    other: Sighting
    dice: Mapping[str, float]
    same_mask: bool | None
    lost: int
    gained: int
    renamed: int

    @property
    def changed(self) -> bool:
        """Whether the category that was read is another one."""
        return risk.category(self.original.read) != risk.category(self.other.read)

    @property
    def truly_changed(self) -> bool:
        """Whether the true category is another one: by physics, not by the reader."""
        return risk.category(self.original.true) != risk.category(self.other.true)

    def as_dict(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What :meth:`as_dict` gave; raises KeyError or TypeError for anything else."""
        sightings = {name: Sighting(**values[name]) for name in ("original", "other")}
        return cls(**{**values, **sightings})


def compare(variant: str, originally: tuple[Sample, Reading], otherwise: tuple[Sample, Reading]) -> Comparison:
    """Hold the reading of a variant against the original's."""
    (_, first), (_, second) = originally, otherwise
    back = mapped_back(second.mask.labels, second.mask.grid, first.mask.grid)
    ours, theirs = _coronary(first.lesions), _coronary(second.lesions)
    lost = [lesion for lesion in ours if _counterpart(lesion, theirs) is None]
    gained = [lesion for lesion in theirs if _counterpart(lesion, ours) is None]
    paired = [(lesion, _counterpart(lesion, theirs)) for lesion in ours]
    return Comparison(
        variant=variant,
        original=sighting(*originally),
        other=sighting(*otherwise),
        dice={} if back is None else _dice(first.mask.labels, back),
        same_mask=None if back is None else bool(np.array_equal(first.mask.labels, back)),
        lost=len(lost),
        gained=len(gained),
        renamed=sum(other is not None and other.vessel is not lesion.vessel for lesion, other in paired),
    )


def sighting(sample: Sample, reading: Reading) -> Sighting:
    """The coronary score of a scan by its labels and by the reader."""
    true = scoring.score(sample.volume, scored(sample.volume, sample.calcium), definition_for())
    return Sighting(
        true=true.regions["CAC"].agatston,
        read=reading.scores.regions["CAC"].agatston,
        found=reading.heart.found,
    )


def _dice(ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> dict[str, float]:
    found = {}
    for vessel in CORONARIES:
        one, other = ours == vessel.label, theirs == vessel.label
        both = int(one.sum()) + int(other.sum())
        if both:
            found[str(vessel)] = 2 * int((one & other).sum()) / both
    return found


def _coronary(lesions: tuple[Lesion, ...]) -> list[Lesion]:
    # what counts for volume alone has no score and may be a single pixel
    return [lesion for lesion in lesions if lesion.vessel in CORONARIES and lesion.agatston > 0]


def _counterpart(lesion: Lesion, others: list[Lesion]) -> Lesion | None:
    """The nearest lesion whose border is within reach, by centroids and radii of balls of the same volume."""
    gaps = [(_gap(lesion, other), number) for number, other in enumerate(others)]
    gap, number = min(gaps, default=(np.inf, -1))
    return others[number] if gap <= _NEAR_MM else None


def _gap(one: Lesion, other: Lesion) -> float:
    far = float(np.linalg.norm(np.subtract(one.centroid_lps_mm, other.centroid_lps_mm)))
    return far - _radius(one) - _radius(other)


def _radius(lesion: Lesion) -> float:
    return float((3 * lesion.volume_mm3 / (4 * np.pi)) ** (1 / 3))
