"""Which region of a human read an anatomic code means, in SNOMED CT or in the older SNOMED RT values of PS3.16."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final

from node.dicom.codes import SITES
from node.dicom.elements import Elements
from node.domain.human_read import StudyKey
from node.domain.region_names import region_named

_SRT: Final = {
    "T-43107": "LM",
    "T-43110": "LAD",
    "T-43120": "LCX",
    "T-43200": "RCA",
    "T-43203": "RCA",
    "T-43000": "CAC",
    "T-35400": "AV",
    "T-42070": "TA",
    "T-42100": "TA",
    "T-42110": "TA",
    "T-42300": "TA",
    "T-D0765": "TA",
    "T-42000": "AC",
}
_AORTIC_PARTS: Final = ("54247002", "57034009", "281130003", "8128003")  # ascending, arch, descending, root
_BY_CODE: Final[Mapping[tuple[str, str], str]] = {
    **{("SCT", site.site.value): key for key, site in SITES.items()},
    **{("SCT", value): "TA" for value in _AORTIC_PARTS},
    **{("SRT", value): region for value, region in _SRT.items()},
}
_SCHEMES: Final = {"SNM3": "SRT", "99SDM": "SRT", "SNOMED-CT": "SCT"}

CodeKey = tuple[str, str]


def code_of(item: Elements | None) -> CodeKey:
    """(scheme, value) of an item of a code sequence; empty where there is none."""
    if item is None:
        return "", ""
    scheme = item.text("CodingSchemeDesignator")
    return _SCHEMES.get(scheme, scheme), item.text("CodeValue") or item.text("LongCodeValue")


def region_of_codes(items: Iterable[Elements]) -> str | None:
    """The region that the first known code means; where none is known, the one that a meaning names."""
    held = list(items)
    known = (_BY_CODE.get(code_of(item)) for item in held)
    named = (region_named(item.text("CodeMeaning")) for item in held)
    return next((region for region in (*known, *named) if region), None)


def study_key(elements: Elements, *, series_uid: str = "") -> StudyKey:
    """What an object is about, by its own patient and study attributes."""
    return StudyKey(
        study_uid=elements.uid("StudyInstanceUID"),
        series_uid=series_uid,
        accession=elements.text("AccessionNumber"),
        issuer=elements.text("IssuerOfPatientID"),
        patient_id=elements.text("PatientID"),
    )


def moment_of(text: str, offset: str, zone: tzinfo) -> datetime | None:
    """The time in a DT, or in a DA with its TM behind it (PS3.5 6.2); None where it is none.

    ``offset`` is Timezone Offset From UTC, for a text without one; where both are missing the zone is the site's.
    """
    plain, sign, shift = text.strip(), "", offset.strip()
    for mark in "+-":
        if mark in plain:
            plain, sign, rest = plain.partition(mark)
            shift = sign + rest
    digits = plain.partition(".")[0].ljust(8, "0")
    if not (digits.isascii() and digits.isdecimal() and 8 <= len(digits) <= 14):
        return None
    digits = digits.ljust(14, "0")
    parts = [int(digits[:4]), *(int(digits[at : at + 2]) for at in range(4, 14, 2))]
    try:
        where = zone if not shift else _offset(shift)
        time = datetime(parts[0], parts[1], parts[2], parts[3], parts[4], min(parts[5], 59), tzinfo=where)
        time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return time


def _offset(text: str) -> timezone:
    if len(text) != 5 or not text[1:].isdecimal() or text[0] not in "+-":
        raise ValueError(text)
    minutes = int(text[1:3]) * 60 + int(text[3:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))
