"""``reading.json``, schema 1: findings or a declined series as strict JSON, both ways.

A declined series has ``"eligible": false``, its reasons, and null or empty values for everything a reading would hold.
Keys that the schema does not name are ignored when reading, so that a later writer may add some.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from node.domain import json_values as values
from node.domain.errors import Malformed
from node.domain.findings import REGIONS, Findings, LesionFinding, ModelIdentity, RegionScore, ScoreDefinition

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Declined:
    """A series that was not read, and every reason."""

    study_uid: str
    series_uid: str
    reasons: tuple[str, ...]
    notes: tuple[str, ...] = ()


def to_document(reading: Findings | Declined) -> dict[str, object]:
    """The content of ``reading.json`` as plain JSON values.

    A measurement that is not a finite number is a fault and raises ValueError with its place; within ``quality``, where
    it means 'could not be measured', it becomes null.
    """
    document: dict[str, object] = {
        "schema": SCHEMA,
        "study_uid": reading.study_uid,
        "series_uid": reading.series_uid,
        "eligible": isinstance(reading, Findings),
    }
    document |= _declined(reading) if isinstance(reading, Declined) else _read(reading)
    values.check_finite(document)
    return document


def dumps(reading: Findings | Declined) -> str:
    """``reading.json`` as text: strict JSON, no NaN, ending in a line break."""
    return json.dumps(to_document(reading), allow_nan=False, ensure_ascii=False, indent=2) + "\n"


def loads(text: str | bytes) -> Findings | Declined:
    """Read ``reading.json``; :class:`Malformed` says what is wrong and where."""
    try:
        document = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"reading.json is not strict JSON: {error}") from error
    return from_document(values.mapping(document, "reading.json"))


def from_document(document: Mapping[str, object]) -> Findings | Declined:
    """Findings or declined series of a parsed ``reading.json``; :class:`Malformed` says what is wrong and where."""
    root = values.Place(document)
    schema = root.integer("schema")
    if schema != SCHEMA:
        raise Malformed(f"schema: {schema} is not known here, only {SCHEMA}")
    reasons = root.strings("reasons")
    if not root.boolean("eligible"):
        if not reasons:
            raise Malformed("reasons: a declined series needs at least one")
        return Declined(
            study_uid=root.string("study_uid"),
            series_uid=root.string("series_uid"),
            reasons=reasons,
            notes=root.strings("notes", missing=()),
        )
    return Findings(
        study_uid=root.string("study_uid"),
        series_uid=root.string("series_uid"),
        scores={region: _score(root.at("scores").at(region)) for region in REGIONS},
        category=root.string("category"),
        cac_drs=root.string("cac_drs"),
        interval={name: root.at("interval").pair(name) for name in root.at("interval").names},
        lesions=tuple(_lesion(lesion) for lesion in root.places("lesions")),
        quality=dict(root.at("quality").content),
        definition=_definition(root.at("definition")),
        model=_model(root.at("model")),
        notes=root.strings("notes", missing=()),
        timings_ms={name: root.at("timings_ms").number(name) for name in root.at("timings_ms").names},
    )


def _declined(declined: Declined) -> dict[str, object]:
    if not declined.reasons:
        raise ValueError("reasons: a declined series needs at least one")
    return {
        "reasons": list(declined.reasons),
        "scores": {},
        "category": None,
        "cac_drs": None,
        "interval": {},
        "lesions": [],
        "quality": {},
        "definition": None,
        "model": None,
        "timings_ms": {},
        "notes": list(declined.notes),
    }


def _read(findings: Findings) -> dict[str, object]:
    missing = [region for region in REGIONS if region not in findings.scores]
    if missing:
        raise ValueError(f"scores: {', '.join(missing)} missing")
    return {
        "reasons": [],
        "scores": {region: asdict(findings.scores[region]) for region in REGIONS},
        "category": findings.category,
        "cac_drs": findings.cac_drs,
        "interval": {name: list(ends) for name, ends in findings.interval.items()},
        "lesions": [values.plain(asdict(lesion)) for lesion in findings.lesions],
        "quality": values.plain(_measured(dict(findings.quality))),
        "definition": values.plain(asdict(findings.definition)),
        "model": asdict(findings.model),
        "timings_ms": dict(findings.timings_ms),
        "notes": list(findings.notes),
    }


def _measured(value: object) -> object:
    """The value with null for every number that is not finite."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _measured(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_measured(item) for item in value]
    return value


def _score(place: values.Place) -> RegionScore:
    return RegionScore(
        agatston=place.number("agatston"),
        volume_mm3=place.number("volume_mm3"),
        mass_mg=place.number_or_null("mass_mg"),
        lesions=place.integer("lesions"),
    )


def _lesion(place: values.Place) -> LesionFinding:
    first, last = place.integers("slices", 2)
    x, y, z = place.numbers("centroid_lps_mm", 3)
    return LesionFinding(
        vessel=place.string("vessel"),
        agatston=place.number("agatston"),
        volume_mm3=place.number("volume_mm3"),
        mass_mg=place.number_or_null("mass_mg"),
        peak_hu=place.number("peak_hu"),
        centroid_lps_mm=(x, y, z),
        slices=(first, last),
        probability=place.number_or_null("probability"),
    )


def _definition(place: values.Place) -> ScoreDefinition:
    low, middle, high = place.numbers("weight_limits_hu", 3)
    return ScoreDefinition(
        profile=place.string("profile"),
        connectivity=place.integer("connectivity"),
        minimum_area=place.string("minimum_area"),
        threshold_hu=place.number("threshold_hu"),
        weight_limits_hu=(low, middle, high),
        kvp=place.number_or_null("kvp"),
        kvp_adapted=place.boolean("kvp_adapted"),
        mass_factor=place.number_or_null("mass_factor"),
    )


def _model(place: values.Place) -> ModelIdentity:
    return ModelIdentity(
        name=place.string("name"),
        version=place.string("version"),
        sha256=place.string("sha256"),
        trained_on=place.string("trained_on", missing=""),
    )


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")
