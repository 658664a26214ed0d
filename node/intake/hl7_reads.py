"""Human reads in HL7 v2 results (ORU^R01, v2.3 to v2.8): one per OBR that says something of calcium.

Coded observations (OBX) are known by the site's map of codes. Where a group has none, its text is searched. A message
is taken whole or not at all: its sender knows no other answer. A group that says nothing of calcium is no fault, so
that a general feed of results can be pointed here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Final

from node.domain.errors import Malformed
from node.domain.human_read import Confidence, HumanRead, ReadSource, ReadStatus, StudyKey
from node.domain.region_names import region_named
from node.domain.versions import version_at
from node.intake.code_map import CodeMap, Target
from node.intake.drafts import LONGEST_FIELD, scores_of
from node.intake.hl7_message import MOST_BYTES, Problem, Segment, Unsupported, parse, time_of
from node.intake.hl7_results import Group, groups_of, person_named, value_of
from node.intake.parsed import Faults, Parsed, quoted
from node.intake.report_text import scores_in

_VERSION: Final = re.compile(r"2\.[3-8](?:\.\d)?")
_UID: Final = re.compile(r"[0-9]+(?:\.[0-9]+)+")
_STUDY_CODES: Final = frozenset(("113014", "110180"))  # IHE RAD: 113014^DICOM Study^DCM
_SERIES_CODES: Final = frozenset(("112002",))
_STATUS: Final = {
    "F": ReadStatus.FINAL,
    "C": ReadStatus.CORRECTED,
    "X": ReadStatus.WITHDRAWN,
    "P": ReadStatus.PRELIMINARY,
    "R": ReadStatus.PRELIMINARY,
    "A": ReadStatus.PRELIMINARY,
    "S": ReadStatus.PRELIMINARY,
    "I": ReadStatus.PRELIMINARY,
    "O": ReadStatus.PRELIMINARY,
}
_NO_VALUE: Final = frozenset("XDWNIO")  # OBX-11: cannot be had, deleted, wrong, not asked, pending
_TEXT_TYPES: Final = frozenset(("TX", "FT", "ST", "ED"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hl7Site:
    """What a site's messages mean where HL7 leaves it open.

    Attributes
    ----------
    codes
        Which OBX-3 is which score.
    zone
        Of times without one.
    assumed_charset
        Of messages without MSH-18, in its words; empty is ASCII or UTF-8.
    accession_from
        Where the accession number stands; the first that is filled is taken.
    issuer
        The assigning authority whose patient id is wanted, if a patient has several; also stands in where none is said.
    read_text
        Whether free text is searched where nothing is coded.
    processing
        What this node is to senders (MSH-11): P production, T training, D debugging.

    """

    codes: CodeMap = field(default_factory=CodeMap)
    zone: tzinfo = UTC
    assumed_charset: str = ""
    accession_from: tuple[str, ...] = ("OBR-18", "OBR-3", "ORC-3")
    issuer: str = ""
    read_text: bool = True
    processing: str = "P"
    most_bytes: int = MOST_BYTES


def read_hl7(data: bytes, site: Hl7Site | None = None) -> Parsed:
    """The reads in a message; none, with a note, where it says nothing of calcium.

    Raises
    ------
    Unsupported
        If it is of another kind or version, or meant for another than this node (a trial must not count as a read).
    Refused
        If it is too large, or in an unknown encoding.
    Malformed
        If it is broken or a score of it is none, with every reason and its segment.

    """
    site = site or Hl7Site()
    message = parse(data, assumed_charset=site.assumed_charset, most_bytes=site.most_bytes)
    if message.kind != "ORU^R01":
        raise Unsupported(f"MSH-9: {quoted(message.kind)} is not read, only ORU^R01", Problem.TYPE)
    meant = message.header.text(11) or "P"
    if meant != site.processing:
        raise Unsupported(f"MSH-11: meant for {quoted(meant)}, this node is {site.processing}", Problem.PROCESSING)
    if _VERSION.fullmatch(message.header.text(12)) is None:
        raise Unsupported(f"MSH-12: HL7 version {quoted(message.header.text(12))} is not read", Problem.VERSION)
    faults = Faults()
    reads = []
    for group in groups_of(message):
        read = _Reader(group, site, faults).read()
        if read is not None:
            reads.append(read)
            faults.note_totals(f"OBR (segment {group.number})", read)
    if faults.count:
        raise Malformed(faults.parsed([], []).refusal)
    return faults.parsed(reads, [] if reads else ["no calcium score in the message"])


@dataclass(slots=True)
class _Reader:
    group: Group
    site: Hl7Site
    faults: Faults

    def read(self) -> HumanRead | None:
        before = self.faults.count
        place = f"OBR (segment {self.group.number})"
        amounts, remarks = self._coded()
        coded = bool(amounts) or self.faults.count > before
        if not coded and self.site.read_text:
            found = scores_in(self._text())
            amounts, remarks = {(name, "agatston"): value for name, value in found.agatston.items()}, found.remarks
        status = self._status()
        withdrawn = status is ReadStatus.WITHDRAWN and self._speaks_of_scores()
        if not (amounts or coded or withdrawn):
            return None
        scores = scores_of(amounts, place, self.faults)
        times = self._time(self.group.request, 22) or self._time(self.group.header, 7)
        reader, key, name = self._reader(), self._key(), self._source_id()
        if self.faults.count > before:
            return None
        try:
            return HumanRead(
                source=ReadSource.HL7 if coded or withdrawn else ReadSource.HL7_TEXT,
                source_id=name,
                version=1 if times is None else version_at(times),
                status=status,
                study=key,
                reader=reader,
                read_at=times,
                scores=scores,
                remarks=tuple(remarks),
                confidence=Confidence.STATED if coded or withdrawn else Confidence.GUESSED,
            )
        except Malformed as error:
            self.faults.add(place, str(error))
            return None

    def _coded(self) -> tuple[dict[tuple[str, str], float], tuple[str, ...]]:
        found: dict[tuple[str, str], float] = {}
        remarks: list[str] = []
        for number, one in self.group.observations:
            target = self._target(one)
            if target is None:
                continue
            place = f"OBX {one.text(1)} (segment {number})".replace("  ", " ")
            if not target.region:
                remarks.append(f"{place} is a calcium {target.quantity} of no region that is known; it is left out")
                continue
            if one.text(11).upper() in _NO_VALUE:
                remarks.append(f"{target.region}: the sender has withdrawn the value or has none")
                continue
            try:
                value = value_of(one, target)
            except Malformed as error:
                self.faults.add(f"{place}, {target.region}", str(error))
                continue
            key = (target.region, target.quantity)
            if value is not None and found.setdefault(key, value) != value:
                self.faults.add(place, f"{target.region} {target.quantity} stands twice with different values")
        return found, tuple(remarks)

    def _target(self, one: Segment) -> Target | None:
        target = self.site.codes.find(((one.text(3, 3), one.text(3, 1)), (one.text(3, 6), one.text(3, 4))))
        if target is None or target.region not in ("", "CAC"):
            return target
        # the codes of the whole score serve for a vessel where the sub-id (OBX-4) or the site (OBX-20) names one
        named = (region_named(one.text(20, 2)), region_named(one.text(20)), region_named(one.text(4)))
        return Target(next((name for name in named if name), target.region), target.quantity)

    def _speaks_of_scores(self) -> bool:
        return any(self._target(one) is not None for _, one in self.group.observations)

    def _text(self) -> str:
        return "\n".join(one.whole(5) for _, one in self.group.observations if one.text(2).upper() in _TEXT_TYPES)

    def _status(self) -> ReadStatus:
        said = self.group.request.text(25).upper()
        observed = [one.text(11).upper() for _, one in self.group.observations if self._target(one) is not None]
        if not observed:
            observed = [one.text(11).upper() for _, one in self.group.observations]
        if not said:
            said = next((word for word in "PRSC" if word in observed), "F" if "F" in observed else "P")
        status = _STATUS.get(said, ReadStatus.PRELIMINARY)
        if status is ReadStatus.FINAL and "C" in observed:
            return ReadStatus.CORRECTED
        return status

    def _key(self) -> StudyKey:
        patient, issuer = self._patient()
        return StudyKey(
            study_uid=self._uid(_STUDY_CODES) or self._from_segments(),
            series_uid=self._uid(_SERIES_CODES),
            accession=self._accession(),
            patient_id=patient,
            issuer=issuer,
        )

    def _patient(self) -> tuple[str, str]:
        """(id, assigning authority): the wanted authority's, else a medical record number, else the first."""
        one = self.group.patient
        if one is None:
            return "", ""
        held = [
            (one.text(3, 1, at), one.text(3, 4, at) or one.text(3, 4, at, 2), one.text(3, 5, at).upper())
            for at in range(min(one.repetitions(3), 32))
        ]
        held = [each for each in held if each[0]] or [(one.text(2), one.text(2, 4), "")]
        held.sort(key=lambda each: (bool(self.site.issuer) and each[1] != self.site.issuer, each[2] != "MR"))
        return held[0][0][:LONGEST_FIELD], (held[0][1] or self.site.issuer)[:LONGEST_FIELD]

    def _accession(self) -> str:
        segments = {"OBR": self.group.request, "ORC": self.group.order}
        for where in self.site.accession_from:
            name, _, number = where.partition("-")
            segment = segments.get(name)
            if segment is not None and number.isdecimal() and (text := segment.text(int(number))):
                return text[:LONGEST_FIELD]
        return ""

    def _uid(self, codes: frozenset[str]) -> str:
        for number, one in self.group.observations:
            if one.text(3, 1) in codes or one.text(3, 4) in codes:
                return self._checked(one.text(5), f"OBX (segment {number})")
        return ""

    def _from_segments(self) -> str:
        for number, one in self.group.rest:
            text = {"ZDS": one.text(1), "IPC": one.text(3)}.get(one.name, "")
            if text:
                return self._checked(text, f"{one.name} (segment {number})")
        return ""

    def _checked(self, uid: str, place: str) -> str:
        if len(uid) > 64 or _UID.fullmatch(uid) is None:
            self.faults.add(place, f"{quoted(uid)} is no UID")
            return ""
        return uid

    def _source_id(self) -> str:
        request, order = self.group.request, self.group.order
        ids = [(request, 3), (order, 3), (request, 2), (order, 2), (self.group.header, 10)]
        name = next((text for one, at in ids if one is not None and (text := one.text(at))), "")
        return f"{name[:LONGEST_FIELD]}/{request.text(4)[:64]}" if name else ""

    def _reader(self) -> str:
        named = [person_named(self.group.request.text(32, 1, 0, part) for part in (1, 2, 3))]
        named += [person_named(one.text(16, part) for part in (1, 2, 3)) for _, one in self.group.observations]
        return next((name for name in named if name), "")[:LONGEST_FIELD]

    def _time(self, segment: Segment, at: int) -> datetime | None:
        try:
            return time_of(segment.text(at), self.site.zone)
        except Malformed as error:
            self.faults.add(f"{segment.name}-{at}", str(error))
            return None
