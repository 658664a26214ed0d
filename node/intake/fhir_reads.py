"""Human reads in FHIR R4 JSON: a DiagnosticReport with its Observations (contained or in a Bundle), or an Observation.

Only the elements that a read needs are looked at, by hand: the package ``fhir.resources`` checks whole resources
against a model of all of FHIR, which is much to load and would refuse reports for faults that do not matter here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Final

from node.domain.errors import Malformed, Refused
from node.domain.human_read import HumanRead, ReadSource, ReadStatus, StudyKey
from node.domain.region_names import region_named
from node.domain.versions import version_at
from node.intake.code_map import CodeMap, Target, in_unit
from node.intake.drafts import LONGEST_FIELD, scores_of
from node.intake.fhir_resources import Resource, Resources, object_of, objects_of, text_of, typed
from node.intake.figures import moment
from node.intake.json_reads import json_document
from node.intake.parsed import Faults, Parsed, quoted

MOST_BYTES: Final = 4_000_000
RESOURCE_TYPES: Final = ("Bundle", "DiagnosticReport", "Observation")
_UID: Final = re.compile(r"(?:urn:oid:)?([0-9]+(?:\.[0-9]+)+)")
_STATUS: Final = {
    "final": ReadStatus.FINAL,
    "amended": ReadStatus.CORRECTED,
    "corrected": ReadStatus.CORRECTED,
    "appended": ReadStatus.CORRECTED,
    "cancelled": ReadStatus.WITHDRAWN,
    "entered-in-error": ReadStatus.WITHDRAWN,
}
_BODY_SITES: Final[Mapping[str, str]] = {
    "3227004": "LM",
    "59438005": "LAD",
    "57396003": "LCX",
    "13647002": "RCA",
    "41801008": "CAC",
    "34202007": "AV",
    "113262008": "TA",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirSite:
    """What a site's resources mean where FHIR leaves it open; ``issuer`` is the identifier system of patient ids."""

    codes: CodeMap = field(default_factory=CodeMap)
    zone: tzinfo = UTC
    issuer: str = ""
    most_bytes: int = MOST_BYTES


def read_fhir(data: bytes, site: FhirSite | None = None) -> Parsed:
    """The reads in a resource or a Bundle of them, one per DiagnosticReport, or per Observation that is in no report.

    Raises
    ------
    Refused
        If it is too large, or another resource.
    Malformed
        If it is no JSON, or an element has another shape than R4 gives it.

    """
    site = site or FhirSite()
    document = json_document(data, site.most_bytes)
    if not isinstance(document, dict):
        raise Malformed("a FHIR resource is an object")
    resources = Resources.of(document)
    if document.get("resourceType") not in RESOURCE_TYPES:
        raise Refused("resourceType: only DiagnosticReport, Observation and Bundles of them are read")
    faults, reads = Faults(), []
    for place, report, observations in resources.reports():
        try:
            read = _Reader(site, resources, faults, place, report, observations).read()
        except Malformed as error:
            faults.add(place, str(error))
            continue
        if read is not None:
            reads.append(read)
            faults.note_totals(place or "resource", read)
    return faults.parsed(reads, [] if reads or faults.count else ["no calcium score in the resource"])


@dataclass(frozen=True, slots=True)
class _Reader:
    site: FhirSite
    resources: Resources
    faults: Faults
    place: str
    report: Resource
    observations: list[tuple[str, Resource]]

    def read(self) -> HumanRead | None:
        before = self.faults.count
        amounts: dict[tuple[str, str], float] = {}
        spoken = False
        for place, one in self.observations:
            try:
                spoken |= self._take(one, place, amounts)
            except Malformed as error:
                self.faults.add(place or "Observation", str(error))
        if not spoken and self.faults.count == before:
            return None
        status = _STATUS.get(text_of(self.report, "status"), ReadStatus.PRELIMINARY)
        place = self.place or text_of(self.report, "resourceType")
        scores, key, at = scores_of(amounts, place, self.faults), self._key(), self._time()
        if self.faults.count > before:
            return None
        try:
            return HumanRead(
                source=ReadSource.FHIR,
                source_id=self._source_id(),
                version=self._version(at),
                status=status,
                study=key,
                reader=self._performer(),
                read_at=at,
                scores=scores,
            )
        except Malformed as error:
            self.faults.add(place, str(error))
            return None

    def _take(self, one: Resource, place: str, amounts: dict[tuple[str, str], float]) -> bool:
        """Take the values of an observation and its components; says whether one was a score of ours."""
        spoken = False
        inner = [(f"{place}.component[{at}]", each) for at, each in enumerate(objects_of(one, "component"))]
        for where, part in [(place, one), *inner]:
            target = self._target(part, one)
            if target is None:
                continue
            spoken = True
            value = _value(part, target)
            if not target.region:
                raise Malformed("a calcium score of no region that is known (bodySite)")
            key = (target.region, target.quantity)
            if value is not None and amounts.setdefault(key, value) != value:
                self.faults.add(where, f"{target.region} {target.quantity} stands twice with different values")
        return spoken

    def _target(self, part: Resource, whole: Resource) -> Target | None:
        codings = objects_of(object_of(part, "code"), "coding")
        target = self.site.codes.find((text_of(one, "system"), text_of(one, "code")) for one in codings)
        if target is None or target.region not in ("", "CAC"):
            return target
        site = object_of(whole, "bodySite")
        names = [_BODY_SITES.get(text_of(one, "code")) for one in objects_of(site, "coding")]
        names += [region_named(text_of(one, "display")) for one in objects_of(site, "coding")]
        names.append(region_named(text_of(site, "text")))
        known = next((name for name in names if name), "")
        if site and not known:
            raise Malformed("bodySite: no region that is known")
        return Target(known or target.region, target.quantity)

    def _key(self) -> StudyKey:
        patient, issuer = self._patient()
        return StudyKey(
            study_uid=self._study_uid(), accession=self._accession(), patient_id=patient, issuer=issuer[:LONGEST_FIELD]
        )

    def _patient(self) -> tuple[str, str]:
        """(id, system) of the subject: the wanted system's, else a medical record number, else the first."""
        subject = object_of(self.report, "subject")
        whole = self.resources.find(subject, self.report) or {}
        held = [
            one for one in (object_of(subject, "identifier"), *objects_of(whole, "identifier")) if text_of(one, "value")
        ]
        held.sort(
            key=lambda one: (
                text_of(one, "system") != self.site.issuer if self.site.issuer else 0,
                not typed(one, "MR"),
            )
        )
        return (text_of(held[0], "value"), text_of(held[0], "system")) if held else ("", self.site.issuer)

    def _references(self, *names: str) -> Iterator[Resource]:
        """Identifiers of what the report refers to under these names."""
        for name in names:
            for reference in objects_of(self.report, name):
                yield object_of(reference, "identifier")
                yield from objects_of(self.resources.find(reference, self.report) or {}, "identifier")

    def _study_uid(self) -> str:
        studies = self._references("imagingStudy", "derivedFrom", "partOf", "basedOn")
        for one in (*objects_of(self.report, "identifier"), *studies):
            if text_of(one, "system") == "urn:dicom:uid":
                found = _UID.fullmatch(text_of(one, "value"))
                if found is None or len(found[1]) > 64:
                    raise Malformed(f"identifier: {quoted(text_of(one, 'value'))} is no UID")
                return found[1]
        return ""

    def _accession(self) -> str:
        held = (*objects_of(self.report, "identifier"), *self._references("basedOn", "imagingStudy", "derivedFrom"))
        return next((text_of(one, "value") for one in held if typed(one, "ACSN")), "")

    def _source_id(self) -> str:
        own = [one for one in objects_of(self.report, "identifier") if text_of(one, "system") != "urn:dicom:uid"]
        named = [f"{text_of(one, 'system')}|{text_of(one, 'value')}" for one in own if not typed(one, "ACSN")]
        kind = text_of(self.report, "resourceType")
        return named[0] if named else f"{kind}/{text_of(self.report, 'id')}" if text_of(self.report, "id") else ""

    def _time(self) -> datetime | None:
        said = text_of(self.report, "issued") or text_of(self.report, "effectiveDateTime")
        return moment(said, self.site.zone) if said else None

    def _version(self, at: datetime | None) -> int:
        meta = object_of(self.report, "meta")
        count = text_of(meta, "versionId")
        if re.fullmatch(r"[1-9][0-9]{0,8}", count):
            return int(count)
        updated = text_of(meta, "lastUpdated")
        when = moment(updated, self.site.zone) if updated else at
        return 1 if when is None else version_at(when)

    def _performer(self) -> str:
        for one in (*objects_of(self.report, "resultsInterpreter"), *objects_of(self.report, "performer")):
            name = (
                text_of(object_of(one, "identifier"), "value") or text_of(one, "display") or text_of(one, "reference")
            )
            if name:
                return name
        return ""


def _value(part: Resource, target: Target) -> float | None:
    """The value of an observation or component; None where it says that there is none."""
    if "valueInteger" in part:
        amount, unit = part["valueInteger"], ""
    else:
        quantity = object_of(part, "valueQuantity")
        if text_of(quantity, "comparator"):
            raise Malformed(f"{quoted(text_of(quantity, 'comparator'))} is a limit, not a score")
        amount, unit = quantity.get("value"), text_of(quantity, "code") or text_of(quantity, "unit")
    if amount is None:
        if any(name.startswith("value") and name != "valueQuantity" for name in part):
            raise Malformed("a score is a valueQuantity or a valueInteger")
        return None
    if isinstance(amount, bool) or not isinstance(amount, int | float):
        raise Malformed("value: a number is needed")
    return in_unit(float(max(min(amount, 1e300), -1e300)), target.quantity, unit)
