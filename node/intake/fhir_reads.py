"""Human reads in FHIR R4 JSON: a DiagnosticReport with its Observations (contained or in a Bundle), or an Observation.

Only the elements that a read needs are looked at, by hand: the package ``fhir.resources`` checks whole resources
against a model of all of FHIR, which is much to load and would refuse reports for faults that do not matter here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from node.domain.errors import Malformed, Refused
from node.domain.human_read import HumanRead, ReadSource, ReadStatus, StudyKey
from node.domain.region_names import region_named
from node.domain.versions import version_at
from node.intake.code_map import CodeMap, Target, in_unit
from node.intake.drafts import LONGEST_FIELD, scores_of
from node.intake.figures import moment
from node.intake.json_reads import json_document
from node.intake.parsed import Faults, Parsed, quoted

MOST_BYTES: Final = 4_000_000
_MOST_RESOURCES: Final = 5_000
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
Resource = Mapping[str, Any]


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
    resources = _Resources.of(document)
    if document.get("resourceType") not in ("Bundle", "DiagnosticReport", "Observation"):
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
    return faults.parsed(reads, [] if reads or faults.count else ["no calcium score in the resource"])


def _list(owner: Resource, name: str) -> list[Any]:
    value = owner.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Malformed(f"{name}: a list is needed")
    return value


def _objects(owner: Resource, name: str) -> list[Resource]:
    held = _list(owner, name)
    if not all(isinstance(one, dict) for one in held):
        raise Malformed(f"{name}: a list of objects is needed")
    return held


def _object(owner: Resource, name: str) -> Resource:
    value = owner.get(name)
    if value is not None and not isinstance(value, dict):
        raise Malformed(f"{name}: an object is needed")
    return value or {}


def _text(owner: Resource, name: str) -> str:
    value = owner.get(name)
    if value is not None and not isinstance(value, str):
        raise Malformed(f"{name}: a text is needed")
    return (value or "").strip()[:LONGEST_FIELD]


@dataclass(frozen=True, slots=True)
class _Resources:
    """All resources of a document: in order with their place, and by what refers to them."""

    ordered: list[tuple[str, Resource]]
    by_reference: Mapping[str, Resource]

    @classmethod
    def of(cls, document: Resource) -> _Resources:
        ordered: list[tuple[str, Resource]] = []
        known: dict[str, Resource] = {}
        entries = _objects(document, "entry") if document.get("resourceType") == "Bundle" else []
        tops = [("", document, "")] if not entries else []
        tops += [(f"entry[{at}]", _object(one, "resource"), _text(one, "fullUrl")) for at, one in enumerate(entries)]
        for place, one, url in tops:
            inner = [(f"{place}.contained[{at}]", each) for at, each in enumerate(_objects(one, "contained"))]
            ordered += [(place, one), *((where.strip("."), each) for where, each in inner)]
            known.update({url: one, f"{_text(one, 'resourceType')}/{_text(one, 'id')}": one})
        if len(ordered) > _MOST_RESOURCES:
            raise Refused(f"{len(ordered)} resources; up to {_MOST_RESOURCES} are read")
        return cls(ordered, known)

    def reports(self) -> Iterator[tuple[str, Resource, list[tuple[str, Resource]]]]:
        """(place, report or lone observation, its observations with their places)."""
        told: set[int] = set()
        for place, one in self.ordered:
            if one.get("resourceType") != "DiagnosticReport":
                continue
            results = one.get("result")
            referred = [each for each in results if isinstance(each, dict)] if isinstance(results, list) else []
            found = [self.find(each, one) for each in referred]
            told |= {id(each) for each in found if each is not None}
            places = {id(each): where for where, each in self.ordered}
            yield place, one, [(places.get(id(each), place), each) for each in found if each is not None]
        for place, one in self.ordered:
            if one.get("resourceType") == "Observation" and id(one) not in told:
                yield place, one, [(place, one)]

    def find(self, reference: Resource, owner: Resource) -> Resource | None:
        """What a Reference of ``owner`` points to, if it is in the document; '#' names what the owner contains."""
        name = reference.get("reference")
        if not isinstance(name, str) or not name:
            return None
        if name.startswith("#"):
            return next((one for one in _objects(owner, "contained") if one.get("id") == name[1:]), None)
        return self.by_reference.get(name)


@dataclass(frozen=True, slots=True)
class _Reader:
    site: FhirSite
    resources: _Resources
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
        status = _STATUS.get(_text(self.report, "status"), ReadStatus.PRELIMINARY)
        place = self.place or _text(self.report, "resourceType")
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
        inner = [(f"{place}.component[{at}]", each) for at, each in enumerate(_objects(one, "component"))]
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
        codings = _objects(_object(part, "code"), "coding")
        target = self.site.codes.find((_text(one, "system"), _text(one, "code")) for one in codings)
        if target is None or target.region not in ("", "CAC"):
            return target
        site = _object(whole, "bodySite")
        names = [_BODY_SITES.get(_text(one, "code")) for one in _objects(site, "coding")]
        names += [region_named(_text(one, "display")) for one in _objects(site, "coding")]
        names.append(region_named(_text(site, "text")))
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
        subject = _object(self.report, "subject")
        whole = self.resources.find(subject, self.report) or {}
        held = [one for one in (_object(subject, "identifier"), *_objects(whole, "identifier")) if _text(one, "value")]
        held.sort(
            key=lambda one: (_text(one, "system") != self.site.issuer if self.site.issuer else 0, not _typed(one, "MR"))
        )
        return (_text(held[0], "value"), _text(held[0], "system")) if held else ("", self.site.issuer)

    def _references(self, *names: str) -> Iterator[Resource]:
        """Identifiers of what the report refers to under these names."""
        for name in names:
            for reference in _objects(self.report, name):
                yield _object(reference, "identifier")
                yield from _objects(self.resources.find(reference, self.report) or {}, "identifier")

    def _study_uid(self) -> str:
        studies = self._references("imagingStudy", "derivedFrom", "partOf", "basedOn")
        for one in (*_objects(self.report, "identifier"), *studies):
            if _text(one, "system") == "urn:dicom:uid":
                found = _UID.fullmatch(_text(one, "value"))
                if found is None or len(found[1]) > 64:
                    raise Malformed(f"identifier: {quoted(_text(one, 'value'))} is no UID")
                return found[1]
        return ""

    def _accession(self) -> str:
        held = (*_objects(self.report, "identifier"), *self._references("basedOn", "imagingStudy", "derivedFrom"))
        return next((_text(one, "value") for one in held if _typed(one, "ACSN")), "")

    def _source_id(self) -> str:
        own = [one for one in _objects(self.report, "identifier") if _text(one, "system") != "urn:dicom:uid"]
        named = [f"{_text(one, 'system')}|{_text(one, 'value')}" for one in own if not _typed(one, "ACSN")]
        kind = _text(self.report, "resourceType")
        return named[0] if named else f"{kind}/{_text(self.report, 'id')}" if _text(self.report, "id") else ""

    def _time(self) -> datetime | None:
        said = _text(self.report, "issued") or _text(self.report, "effectiveDateTime")
        return moment(said, self.site.zone) if said else None

    def _version(self, at: datetime | None) -> int:
        meta = _object(self.report, "meta")
        count = _text(meta, "versionId")
        if re.fullmatch(r"[1-9][0-9]{0,8}", count):
            return int(count)
        updated = _text(meta, "lastUpdated")
        when = moment(updated, self.site.zone) if updated else at
        return 1 if when is None else version_at(when)

    def _performer(self) -> str:
        for one in (*_objects(self.report, "resultsInterpreter"), *_objects(self.report, "performer")):
            name = _text(_object(one, "identifier"), "value") or _text(one, "display") or _text(one, "reference")
            if name:
                return name
        return ""


def _typed(identifier: Resource, code: str) -> bool:
    return any(_text(one, "code") == code for one in _objects(_object(identifier, "type"), "coding"))


def _value(part: Resource, target: Target) -> float | None:
    """The value of an observation or component; None where it says that there is none."""
    if "valueInteger" in part:
        amount, unit = part["valueInteger"], ""
    else:
        quantity = _object(part, "valueQuantity")
        if _text(quantity, "comparator"):
            raise Malformed(f"{quoted(_text(quantity, 'comparator'))} is a limit, not a score")
        amount, unit = quantity.get("value"), _text(quantity, "code") or _text(quantity, "unit")
    if amount is None:
        if any(name.startswith("value") and name != "valueQuantity" for name in part):
            raise Malformed("a score is a valueQuantity or a valueInteger")
        return None
    if isinstance(amount, bool) or not isinstance(amount, int | float):
        raise Malformed("value: a number is needed")
    return in_unit(float(max(min(amount, 1e300), -1e300)), target.quantity, unit)
