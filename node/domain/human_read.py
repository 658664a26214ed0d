"""A human's read of a study, as it came in: scores by region, who, when, from where; and what it can be matched by.

A region that the human did not report is missing, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from node.domain.errors import Malformed

CORONARIES: Final = ("LM", "LAD", "LCX", "RCA")
READ_REGIONS: Final = (*CORONARIES, "CAC", "AV", "TA", "AC")
"""Regions a read may report; the totals are CAC (the coronaries) and AC (aortic valve and thoracic aorta)."""
HIGHEST_SCORE: Final = 50_000.0
"""No heart holds more; a larger number is a slip of the keyboard or of the decimal mark."""

_PARTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType({"CAC": CORONARIES, "AC": ("AV", "TA")})
_ROUNDING: Final = 1.0
"""What rounding each part to whole numbers may move a total by, beside one per cent of it."""


class ReadSource(StrEnum):
    """How a read came in, in order of trust."""

    PAGE = "page"
    API = "api"
    FILE = "file"  # our CSV or JSON
    SR = "sr"
    SEG = "seg"
    CAPTURE = "capture"  # colour-annotated secondary capture
    FHIR = "fhir"
    HL7 = "hl7"  # coded observations
    HL7_TEXT = "hl7-text"  # free text by pattern


class ReadStatus(StrEnum):
    """How far a read has come. Only final and corrected ones are compared."""

    PRELIMINARY = "preliminary"
    FINAL = "final"
    CORRECTED = "corrected"
    WITHDRAWN = "withdrawn"


class Confidence(StrEnum):
    """How sure it is that the numbers were understood as they were meant."""

    STATED = "stated"  # coded, or typed into a field of ours
    GUESSED = "guessed"  # found in free text


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadScore:
    """What a human says of one region; None where it was not said."""

    agatston: float | None = None
    volume_mm3: float | None = None
    mass_mg: float | None = None

    def __post_init__(self) -> None:
        """Refuse what no scan can hold. Raises :class:`Malformed`."""
        for name, value in (("Agatston score", self.agatston), ("volume", self.volume_mm3), ("mass", self.mass_mg)):
            if value is None:
                continue
            if not math.isfinite(value) or value < 0:
                raise Malformed(f"{name} {value:g} is not a number of 0 or more")
            if value > HIGHEST_SCORE:
                raise Malformed(f"{name} {value:g} is more than any heart holds ({HIGHEST_SCORE:g})")
        if self.agatston is None and self.volume_mm3 is None and self.mass_mg is None:
            raise Malformed("a score says neither Agatston, volume nor mass")


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyKey:
    """What a read says it is about. Matching: the study's UID, else accession number, issuer and patient id together.

    Never a name or a date.
    """

    study_uid: str = ""
    series_uid: str = ""  # the series that was scored, where the source says so
    accession: str = ""
    issuer: str = ""
    patient_id: str = ""

    @property
    def matchable(self) -> bool:
        """Whether it says enough to find one study."""
        return bool(self.study_uid or (self.accession and self.patient_id))


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanRead:
    """One version of one human read.

    Attributes
    ----------
    source_id
        What names the read at its source and stays the same over its versions, such as an SOP Instance UID, a filler
        order number or a file's line. The same ``source``, ``source_id`` and ``version`` is the same read.
    version
        Rises with every correction at the source.
    reader
        Who read it; shown to administrators only.
    read_at
        When it was read, aware; None if the source does not say.
    scores
        By region of :data:`READ_REGIONS`; what is missing was not reported.
    profile, kvp
        By which rules and at which tube voltage it was scored, where the source says so.
    remarks
        What a person must know of it, in words: totals that do not add up, sites that are in no vessel.
    confidence
        Whether the numbers were coded or found in text.

    """

    source: ReadSource
    source_id: str
    version: int = 1
    status: ReadStatus = ReadStatus.FINAL
    study: StudyKey
    reader: str = ""
    read_at: datetime | None = None
    scores: Mapping[str, ReadScore] = field(default_factory=dict)
    profile: str = ""
    kvp: float | None = None
    remarks: tuple[str, ...] = ()
    confidence: Confidence = Confidence.STATED

    def __post_init__(self) -> None:
        """Refuse what cannot be kept or compared. Raises :class:`Malformed`."""
        unknown = [region for region in self.scores if region not in READ_REGIONS]
        if unknown:
            raise Malformed(f"no region is called {', '.join(unknown)}; there are {', '.join(READ_REGIONS)}")
        if not self.source_id:
            raise Malformed("a read needs something that names it at its source")
        if self.version < 1:
            raise Malformed(f"versions are counted from 1, not {self.version}")
        if self.read_at is not None and self.read_at.tzinfo is None:
            raise Malformed("the time of a read needs its zone")
        if not self.study.matchable:
            raise Malformed("a read needs a study UID, or an accession number and a patient id")
        if not self.scores and self.status is not ReadStatus.WITHDRAWN:
            raise Malformed("the read reports no score of any region")

    def agatston(self, region: str) -> float | None:
        """Score of a region as reported, or the sum of all its parts; None where either is missing.

        ``"LM+LAD"`` is known as well: the two are often told apart by taste.
        """
        parts = ("LM", "LAD") if region == "LM+LAD" else _PARTS.get(region, ())
        stated = self.scores.get(region)
        if stated is not None and stated.agatston is not None:
            return stated.agatston
        values = [self.scores[part].agatston for part in parts if part in self.scores]
        if not parts or len(values) < len(parts):
            return None
        known = [value for value in values if value is not None]
        return sum(known) if len(known) == len(parts) else None

    @property
    def inconsistencies(self) -> tuple[str, ...]:
        """Totals that do not add up, each in words. Parts above the total count even where some part is missing."""
        found = []
        for total, parts in _PARTS.items():
            stated = self.scores.get(total)
            if stated is None or stated.agatston is None:
                continue
            known = [score.agatston for part in parts if (score := self.scores.get(part)) is not None]
            values = [value for value in known if value is not None]
            allowed = max(_ROUNDING, 0.01 * stated.agatston)
            off = sum(values) - stated.agatston
            if off > allowed or (len(values) == len(parts) and -off > allowed):
                found.append(f"{total} is given as {stated.agatston:g}, but its parts add up to {sum(values):g}")
        return tuple(found)
