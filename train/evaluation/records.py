"""What is kept of one case as one reader read it: plain values, enough for every figure of the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Self

from model.lesions import AORTIC, CORONARIES, Vessel
from model.scoring import RegionScore, Scores

NOTHING: Final = "none"
CONFUSER: Final = "other"
"""Calcium or metal that is known and must not be scored, such as the mitral annulus."""

PARTS: Final[Mapping[str, tuple[Vessel, ...]]] = {
    **{str(vessel): (vessel,) for vessel in CORONARIES},
    "LM+LAD": (Vessel.LM, Vessel.LAD),
    "CAC": CORONARIES,
    **{str(vessel): (vessel,) for vessel in AORTIC},
    "AC": AORTIC,
}
"""Regions of the report and the vessels each is the union of: AC is the aorta with its valve."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Voxels of a region in the truth, in the reading, in both."""

    true: int
    read: int
    both: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """Scores of one region; ``mass_mg`` is None if the scan is uncalibrated."""

    agatston: float
    volume_mm3: float
    mass_mg: float | None

    @classmethod
    def of(cls, score: RegionScore) -> Self:
        """What is kept of a score."""
        return cls(agatston=score.agatston, volume_mm3=score.volume_mm3, mass_mg=score.mass_mg)


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionRecord:
    """One 3D lesion of the truth or of the reading, and what the other side says of its voxels.

    Attributes
    ----------
    side
        "true" or "read".
    centroid_lps_mm
        In the scan's own coordinates.
    overlap
        Share of its voxels that the other side gives to the same kind (coronaries, or aorta and valve).
    same_vessel
        Share that the other side gives to the same vessel.
    called
        What the other side calls most of it: a vessel, :data:`CONFUSER` (truth only), or :data:`NOTHING`. A vessel is
        named where all vessels together hold at least half of it.
    probability
        As the reader gave it; None for true lesions and for readers without.

    """

    side: str
    vessel: str
    agatston: float
    volume_mm3: float
    peak_hu: float
    centroid_lps_mm: tuple[float, float, float]
    slices: tuple[int, int]
    overlap: float
    same_vessel: float
    called: str
    probability: float | None = None

    @property
    def coronary(self) -> bool:
        """Whether it counts for the coronary score."""
        return self.vessel in CORONARIES

    @property
    def matched(self) -> bool:
        """Whether at least half of it is calcium of the same kind on the other side."""
        return self.overlap >= 0.5

    @property
    def right(self) -> bool:
        """Whether it is matched and called by its own vessel."""
        return self.matched and self.called == self.vessel


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseRecord:
    """One case as one reader read it.

    Attributes
    ----------
    groups
        What the case belongs to, by kind of subgroup: "noise" -> "20-30 HU", "sex" -> "F". May be empty.
    truth, read
        By the names of :data:`PARTS`.
    false_score, missed_score
        Agatston score of what is called coronary and is not; of what is coronary and not called so.
    interval
        Of the coronary score; None if the reader gives none.
    heart_found
        None if the reader does not say.
    centre_error_mm
        None if the heart was not found, or the truth does not know where it is.
    doubts
        Reasons to doubt the reading, without their figures; None if the reader has no quality gates.

    """

    case: str
    reader: str
    groups: Mapping[str, str]
    truth: Mapping[str, Amount]
    read: Mapping[str, Amount]
    overlaps: Mapping[str, Overlap]
    lesions: tuple[LesionRecord, ...]
    false_score: float
    missed_score: float
    interval: tuple[float, float] | None = None
    heart_found: bool | None = None
    centre_error_mm: float | None = None
    doubts: tuple[str, ...] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from :meth:`as_dict` after JSON. Raises KeyError or TypeError if it is something else."""
        doubts, interval = values["doubts"], values["interval"]
        return cls(
            **{
                **values,
                "truth": {name: Amount(**amount) for name, amount in values["truth"].items()},
                "read": {name: Amount(**amount) for name, amount in values["read"].items()},
                "overlaps": {name: Overlap(**counts) for name, counts in values["overlaps"].items()},
                "lesions": tuple(_lesion(lesion) for lesion in values["lesions"]),
                "interval": None if interval is None else (interval[0], interval[1]),
                "doubts": None if doubts is None else tuple(doubts),
            }
        )


def amounts(scores: Scores) -> dict[str, Amount]:
    """Scores of every part."""
    regions = {**scores.regions, "LM+LAD": scores.lm_lad}
    return {name: Amount.of(regions[name]) for name in PARTS}


def _lesion(values: Mapping[str, Any]) -> LesionRecord:
    x, y, z = values["centroid_lps_mm"]
    first, last = values["slices"]
    return LesionRecord(**{**values, "centroid_lps_mm": (x, y, z), "slices": (first, last)})
