"""What a reading found, in plain values: the content of ``reading.json`` and of every report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Vector = tuple[float, float, float]

REGIONS = ("LM", "LAD", "LCX", "RCA", "CAC", "AV", "TA", "AC")
VESSELS = ("LM", "LAD", "LCX", "RCA", "AV", "TA")


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionScore:
    """Scores of one vessel or total; mass is None when the scan carries no calibration."""

    agatston: float
    volume_mm3: float
    mass_mg: float | None
    lesions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionFinding:
    """One lesion; ``slices`` are the first and last slice index, both included."""

    vessel: str
    agatston: float
    volume_mm3: float
    mass_mg: float | None
    peak_hu: float
    centroid_lps_mm: Vector
    slices: tuple[int, int]
    probability: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreDefinition:
    """By which rules the scores were made (see model.scoring)."""

    profile: str
    connectivity: int
    minimum_area: str  # in words, e.g. "1 mm2"
    threshold_hu: float
    weight_limits_hu: tuple[float, float, float]
    kvp: float | None
    kvp_adapted: bool
    mass_factor: float | None  # mg/cm3 per HU


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelIdentity:
    """Which segmenter read the scan."""

    name: str
    version: str
    sha256: str
    trained_on: str  # one sentence, shown to people


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """A whole reading of one generation of a series."""

    study_uid: str
    series_uid: str
    scores: Mapping[str, RegionScore]  # one per REGIONS
    category: str  # "0", "1-99", "100-399", ">=400"
    cac_drs: str  # "A1/N2"
    interval: Mapping[str, tuple[float, float]]
    lesions: tuple[LesionFinding, ...]
    quality: Mapping[str, object]
    definition: ScoreDefinition
    model: ModelIdentity
    notes: tuple[str, ...] = ()  # what a reader must be told: kVp-adapted, overlapping slices, doubtful ...
    timings_ms: Mapping[str, float] = field(default_factory=dict)
