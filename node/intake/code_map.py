"""Which code means the score of which region.

No standard has a code for the score of one vessel, so the map is the site's own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from node.domain.errors import Malformed
from node.domain.human_read import READ_REGIONS
from node.domain.region_names import region_named
from node.intake.drafts import QUANTITIES
from node.intake.parsed import quoted

_SYSTEMS: Final = {
    "http://snomed.info/sct": "SCT",
    "http://loinc.org": "LN",
    "http://dicom.nema.org/resources/ontology/dcm": "DCM",
    "urn:oid:2.16.840.1.113883.6.96": "SCT",
    "urn:oid:2.16.840.1.113883.6.1": "LN",
    "urn:oid:1.2.840.10008.2.16.4": "DCM",
    "snm3": "SCT",
    "snomed-ct": "SCT",
}
_QUANTITY_OF: Final = {"agatston": "agatston", "volume": "volume_mm3", "mass": "mass_mg"} | {q: q for q in QUANTITIES}
_FACTORS: Final[Mapping[str, Mapping[str, float]]] = {
    "agatston": dict.fromkeys(("", "1", "{score}", "score", "au", "agatston", "agatston units", "points"), 1.0),
    "volume_mm3": {"": 1.0, "mm3": 1.0, "mm^3": 1.0, "mm³": 1.0, "cm3": 1000.0, "ml": 1000.0, "ul": 1.0},
    "mass_mg": {"": 1.0, "mg": 1.0, "g": 1000.0, "ug": 0.001},
}


@dataclass(frozen=True, slots=True)
class Target:
    """What a code means; the region is empty where only the site beside it tells."""

    region: str
    quantity: str


def _defaults() -> dict[tuple[str, str], Target]:
    known = {
        ("SCT", "450360000"): Target("CAC", "agatston"),
        ("SCT", "450734004"): Target("CAC", "agatston"),
        ("DCM", "112058"): Target("", "agatston"),
        ("DCM", "122660"): Target("", "volume_mm3"),
        ("DCM", "122661"): Target("", "mass_mg"),
    }
    names = {("", f"{region}-{word.upper()}"): (region, word) for region in READ_REGIONS for word in _QUANTITY_OF}
    return known | {key: Target(region, _QUANTITY_OF[word]) for key, (region, word) in names.items()}


@dataclass(frozen=True, slots=True)
class CodeMap:
    """Codes by (system, code); an empty system is any.

    By default: the coronary score of SNOMED CT (450360000 and 450734004), the calcium score, volume and mass of DICOM
    (112058, 122660, 122661; their region is the site given with them), and REGION-AGATSTON, REGION-VOLUME and
    REGION-MASS in any system, such as LAD-AGATSTON.
    """

    targets: Mapping[tuple[str, str], Target] = field(default_factory=_defaults)

    @classmethod
    def of(cls, entries: Mapping[str, str]) -> CodeMap:
        """The default with a site's own: ``{"CALC_LAD": "LAD", "99RIS|17": "RCA volume"}``.

        Raises
        ------
        ValueError
            If an entry names no region or quantity.

        """
        own = {}
        for key, meaning in entries.items():
            system, _, code = key.rpartition("|")
            name, _, word = meaning.strip().rpartition(" ")
            if word.lower() not in _QUANTITY_OF:
                name, word = meaning, "agatston"
            region = region_named(name)
            if region is None or not code:
                raise ValueError(f"{key!r} = {meaning!r}: a region and perhaps volume or mass is needed")
            own[_system(system), code.upper()] = Target(region, _QUANTITY_OF[word.lower()])
        return cls(_defaults() | own)

    def find(self, codings: Iterable[tuple[str, str]]) -> Target | None:
        """The meaning of the first (system, code) that is known."""
        for system, code in codings:
            for key in ((_system(system), code.upper()), ("", code.upper())):
                if code and key in self.targets:
                    return self.targets[key]
        return None


def _system(name: str) -> str:
    return _SYSTEMS.get(name.strip().lower(), name.strip().upper())


def in_unit(value: float, quantity: str, unit: str) -> float:
    """A value in the unit of its quantity (mm3, mg, none).

    Raises
    ------
    Malformed
        If the unit is none of that quantity.

    """
    factor = _FACTORS[quantity].get(unit.strip().lower())
    if factor is None:
        raise Malformed(f"{quoted(unit)} is no unit of {quantity}")
    if not math.isfinite(value):
        raise Malformed("not a number of 0 or more")
    return value * factor
