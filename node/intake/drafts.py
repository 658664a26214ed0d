"""From the fields of one line or object to a :class:`HumanRead`: the rules that CSV and JSON share.

The documented schema (version 1). Every field but the scores and what names the study may be missing.

==============  ======================================================================================
study_uid       Study Instance UID; or else accession and patient_id together
series_uid      the series that was scored
accession       accession number
issuer          issuer of the patient id (assigning authority)
patient_id      patient id
read_id         what names the read at its source over all its versions; else made of study and reader
version         a whole number from 1 that rises with every correction; else 1
status          preliminary, final, corrected or withdrawn; else final
reader          who read it
read_at         ISO 8601; without a zone it is the site's
profile         by which rules it was scored
kvp             tube voltage in kV
REGION          Agatston score of LM, LAD, LCX, RCA, CAC, AV, TA or AC; empty is missing, never 0
REGION volume   volume in mm3
REGION mass     mass in mg
==============  ======================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from typing import Final

from node.domain.errors import Malformed
from node.domain.human_read import HumanRead, ReadScore, ReadSource, ReadStatus, StudyKey
from node.domain.identity import hashed
from node.intake.figures import figure, moment
from node.intake.parsed import Faults, quoted

KEY_FIELDS: Final = ("study_uid", "series_uid", "accession", "issuer", "patient_id")
FIELDS: Final = (*KEY_FIELDS, "read_id", "version", "status", "reader", "read_at", "profile", "kvp")
QUANTITIES: Final = ("agatston", "volume_mm3", "mass_mg")
LONGEST_FIELD: Final = 256
LONGEST_UID: Final = 64
HIGHEST_VERSION: Final = 999_999_999
Amounts = Mapping[tuple[str, str], float]

_UID: Final = re.compile(r"[0-9]+(?:\.[0-9]+)+")
_STATUSES: Final[Mapping[str, ReadStatus]] = {
    **{str(status): status for status in ReadStatus},
    "": ReadStatus.FINAL,
    "p": ReadStatus.PRELIMINARY,
    "f": ReadStatus.FINAL,
    "c": ReadStatus.CORRECTED,
    "x": ReadStatus.WITHDRAWN,
    "amended": ReadStatus.CORRECTED,
    "vorläufig": ReadStatus.PRELIMINARY,
    "endgültig": ReadStatus.FINAL,
    "korrigiert": ReadStatus.CORRECTED,
    "zurückgezogen": ReadStatus.WITHDRAWN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One line or object: its fields as text, its amounts by region and quantity, and where it stands.

    ``flawed`` says that a fault of it is noted already: the others are looked for, and no read is made.
    """

    place: str
    fields: Mapping[str, str]
    amounts: Amounts = field(default_factory=dict)
    flawed: bool = False

    def by(self, reader: str) -> Draft:
        """The same, read by ``reader`` where it does not say by whom."""
        return self if self.fields.get("reader") else replace(self, fields={**self.fields, "reader": reader})

    def read(self, source: ReadSource, zone: tzinfo, faults: Faults) -> HumanRead | None:
        """The read, or None after every fault of it was noted."""
        before = faults.count
        values = _Values(self, faults)
        key = values.key()
        read_at, kvp, version, status = values.time(zone), values.kvp(), values.version(), values.status()
        if not key.matchable:
            faults.add(self.place, "it names no study: a study_uid, or an accession and a patient_id, are needed")
        scores = scores_of(self.amounts, self.place, faults)
        if self.flawed or faults.count > before:
            return None
        name = self.fields.get("read_id", "") or hashed("\n".join((*_named(key), self.fields.get("reader", ""))))
        try:
            return HumanRead(
                source=source,
                source_id=name,
                version=version,
                status=status,
                study=key,
                reader=self.fields.get("reader", ""),
                read_at=read_at,
                scores=scores,
                profile=self.fields.get("profile", ""),
                kvp=kvp,
            )
        except Malformed as error:
            faults.add(self.place, str(error))
            return None


@dataclass(frozen=True, slots=True)
class _Values:
    draft: Draft
    faults: Faults

    def key(self) -> StudyKey:
        for name, text in self.draft.fields.items():
            if len(text) > LONGEST_FIELD or not text.isprintable():
                self._fault(name, f"longer than {LONGEST_FIELD} signs, or with signs that cannot be printed")
        for name in ("study_uid", "series_uid"):
            uid = self._text(name)
            if uid and (len(uid) > LONGEST_UID or _UID.fullmatch(uid) is None):
                self._fault(name, f"{quoted(uid)} is no UID: it has digits and dots, and at most {LONGEST_UID} signs")
        return StudyKey(**{name: self._text(name) for name in KEY_FIELDS})

    def time(self, zone: tzinfo) -> datetime | None:
        text = self._text("read_at")
        try:
            return moment(text, zone) if text else None
        except Malformed as error:
            self._fault("read_at", str(error))
            return None

    def kvp(self) -> float | None:
        text = self._text("kvp")
        try:
            value = figure(text) if text else None
        except Malformed as error:
            self._fault("kvp", str(error))
            return None
        if value is not None and not 40 <= value <= 200:
            self._fault("kvp", f"{quoted(text)} is no tube voltage in kV")
        return value

    def version(self) -> int:
        text = self._text("version")
        if text and re.fullmatch(r"0*[1-9][0-9]{0,8}", text) is None:
            self._fault("version", f"{quoted(text)} is no whole number from 1")
            return 1
        return int(text or 1)

    def status(self) -> ReadStatus:
        text = self._text("status")
        if text.lower() not in _STATUSES:
            self._fault("status", f"{quoted(text)} is none of {', '.join(ReadStatus)}")
        return _STATUSES.get(text.lower(), ReadStatus.FINAL)

    def _text(self, name: str) -> str:
        return self.draft.fields.get(name, "")

    def _fault(self, name: str, words: str) -> None:
        self.faults.add(f"{self.draft.place}, {name}", words)


@dataclass(slots=True)
class Taken:
    """Reads of one file so far, so that a line that repeats another is told of."""

    places: dict[tuple[str, int], tuple[str, HumanRead]] = field(default_factory=dict)
    contradicted: set[tuple[str, int]] = field(default_factory=set)

    def add(self, read: HumanRead, place: str, faults: Faults) -> None:
        """Take a read; of two that are the same one is kept, of two that contradict each other none."""
        key = (read.source_id, read.version)
        if key not in self.places:
            self.places[key] = (place, read)
            faults.note_totals(place, read)
            return
        first, known = self.places[key]
        if _content(known) == _content(read):
            faults.note(place, f"the same read as {first}; it is taken once")
            return
        self.contradicted.add(key)
        faults.add(place, f"contradicts {first}: the same read and version with other content; none of them is taken")

    @property
    def reads(self) -> list[HumanRead]:
        """Those to take, in order."""
        return [read for key, (_, read) in self.places.items() if key not in self.contradicted]


def _content(read: HumanRead) -> HumanRead:
    return replace(read, read_at=None if read.read_at is None else read.read_at.astimezone(UTC))


def _named(key: StudyKey) -> tuple[str, ...]:
    return (key.study_uid, key.series_uid) if key.study_uid else (key.accession, key.issuer, key.patient_id)


def scores_of(amounts: Amounts, place: str, faults: Faults) -> dict[str, ReadScore]:
    """Scores by region; an impossible one is noted as a fault."""
    found: dict[str, ReadScore] = {}
    for region in dict.fromkeys(region for region, _ in amounts):
        held = {quantity: amounts.get((region, quantity)) for quantity in QUANTITIES}
        try:
            found[region] = ReadScore(**held)
        except Malformed as error:
            faults.add(f"{place}, {region}", str(error))
    return found
