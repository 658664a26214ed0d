"""The report for machines: TID 1500 Measurement Report in a Comprehensive 3D SR (PS3.16)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from pydicom.dataset import Dataset
from pydicom.uid import Comprehensive3DSRStorage

from model.lesions import CORONARIES, Vessel
from node.dicom import codes
from node.dicom.codes import SITES, Code
from node.dicom.content import (
    HAS_CONCEPT_MOD,
    HAS_OBS_CONTEXT,
    HAS_PROPERTIES,
    algorithm,
    code,
    container,
    language,
    new_document,
    number,
    observer,
    segment_reference,
    text,
    uid_reference,
)
from node.dicom.envelope import finished
from node.dicom.request import Request, Role, StoredObject
from node.dicom.segmentation import Segment, tracking_id
from node.domain.findings import RegionScore, ScoreDefinition

_ROI_GROUP: Final = "1411"  # Volumetric ROI Measurements and Qualitative Evaluations
_PLAIN_GROUP: Final = "1501"  # Measurement and Qualitative Evaluation Group
_CORONARY: Final = frozenset((*CORONARIES, "CAC"))


def build_measurements(
    request: Request, segments: tuple[Segment, ...], segmentation: StoredObject | None
) -> StoredObject:
    """The TID 1500 report: a group per vessel and total; vessels with a segment refer to it.

    Parameters
    ----------
    segments, segmentation
        The segments and the object that holds them; none for a reading without calcium.

    """
    by_vessel = {segment.vessel: segment for segment in segments}
    groups = [_vessel_group(request, vessel, by_vessel.get(vessel), segmentation) for vessel in Vessel]
    groups += [_coronary_group(request), _aortic_group(request)]
    root = container(
        codes.MEASUREMENT_REPORT,
        [
            language(),
            *observer(request),
            code(codes.PROCEDURE_REPORTED, codes.SCORING_CT, HAS_CONCEPT_MOD),
            container(codes.IMAGING_MEASUREMENTS, groups),
        ],
        template="1500",
    )
    return finished(new_document(request, Role.SR, Comprehensive3DSRStorage, root, segmentation), Role.SR)


def score_items(request: Request, region: str) -> list[Dataset]:
    """Agatston score with its interval, volume, mass and number of lesions of a vessel or total, as NUM items."""
    score = request.findings.scores[region]
    concept = codes.CORONARY_SCORE if region in _CORONARY else codes.CALCIUM_SCORE
    interval = request.findings.interval.get(region)
    agatston = [_method(codes.AGATSTON_METHOD), *_uncertainty(score, interval)]
    items = [
        number(concept, score.agatston, codes.NO_UNITS, agatston),
        number(codes.CALCIUM_VOLUME, score.volume_mm3, codes.MM3, [_method(codes.VOLUME_METHOD)]),
    ]
    if score.mass_mg is not None:
        items.append(number(codes.CALCIUM_MASS, score.mass_mg, codes.MG, [_method(codes.MASS_METHOD)]))
    items.append(number(codes.NUMBER_OF_LESIONS, score.lesions, codes.LESIONS))
    return items


def condition_items(definition: ScoreDefinition) -> list[Dataset]:
    """Under which conditions the scores were made, as NUM items: thresholds, calibration, tube voltage (TID 3905)."""
    items = [number(codes.SCORE_THRESHOLD, definition.threshold_hu, codes.HU)]
    factor = definition.mass_factor
    if factor is not None:
        items.append(number(codes.MASS_THRESHOLD, definition.threshold_hu * factor, codes.MG_PER_CM3))
        items.append(number(codes.CALIBRATION, factor, codes.MG_PER_HU_CM3))
    if definition.kvp is not None:
        items.append(number(codes.TUBE_VOLTAGE, definition.kvp, codes.KV))
    return items


def definition_text(definition: ScoreDefinition) -> str:
    """The rules of the scores in one line."""
    limits = "/".join(f"{limit:g}" for limit in definition.weight_limits_hu)
    return (
        f"{definition.profile}: per slice, {definition.connectivity}-connected, "
        f"minimum area {definition.minimum_area}, threshold {definition.threshold_hu:g} HU, weight limits {limits} HU"
    )


def category_items(request: Request) -> list[Dataset]:
    """Risk category and CAC-DRS, which only a private scheme can code."""
    findings = request.findings
    return [
        code(codes.RISK_CATEGORY, codes.private(f"CAC {findings.category}", f"Agatston score {findings.category}")),
        code(codes.CAC_DRS, codes.private(f"DRS {findings.cac_drs}", f"CAC-DRS {findings.cac_drs}")),
    ]


def _vessel_group(
    request: Request, vessel: Vessel, segment: Segment | None, segmentation: StoredObject | None
) -> Dataset:
    if segment is None or segmentation is None:
        return _group(request, vessel, request.uid(f"tracking:{vessel}"), score_items(request, vessel))
    references = [
        segment_reference(codes.REFERENCED_SEGMENT, segmentation.sop_class_uid, segmentation.sop_uid, segment.number),
        uid_reference(codes.SOURCE_SERIES, request.source.series_uid),
    ]
    items = [*references, *score_items(request, vessel)]
    return _group(request, vessel, segment.tracking_uid, items, template=_ROI_GROUP)


def _coronary_group(request: Request) -> Dataset:
    findings = request.findings
    adapted = codes.YES if findings.definition.kvp_adapted else codes.NO
    items = [
        *score_items(request, "CAC"),
        *condition_items(findings.definition),
        code(codes.ANALYSIS_PERFORMED, codes.CALCIUM_SCORING),
        *category_items(request),
        code(codes.KVP_ADAPTED, adapted),
        text(codes.SCORING_PROFILE, definition_text(findings.definition)),
        *_quality(request),
        *(text(codes.COMMENT, note) for note in findings.notes),
    ]
    return _group(request, "CAC", request.uid("tracking:CAC"), items)


def _aortic_group(request: Request) -> Dataset:
    return _group(request, "AC", request.uid("tracking:AC"), score_items(request, "AC"))


def _group(
    request: Request, region: str, tracking_uid: str, items: Iterable[Dataset], template: str = _PLAIN_GROUP
) -> Dataset:
    head = [
        text(codes.TRACKING_IDENTIFIER, tracking_id(region), HAS_OBS_CONTEXT),
        uid_reference(codes.TRACKING_UID, tracking_uid, HAS_OBS_CONTEXT),
        code(codes.FINDING_CATEGORY, codes.ABNORMAL_STRUCTURE),
        code(codes.FINDING, codes.CALCIFICATION),
        code(codes.FINDING_SITE, SITES[region].site, HAS_CONCEPT_MOD),
        *algorithm(request),
    ]
    return container(codes.MEASUREMENT_GROUP, [*head, *items], template=template)


def _method(method: Code) -> Dataset:
    return code(codes.MEASUREMENT_METHOD, method, HAS_CONCEPT_MOD)


def _uncertainty(score: RegionScore, interval: tuple[float, float] | None) -> list[Dataset]:
    """How far the interval reaches above and below the score (TID 310)."""
    if interval is None:
        return []
    low, high = interval
    return [
        number(codes.ABOVE, max(high - score.agatston, 0.0), codes.NO_UNITS, relation=HAS_PROPERTIES),
        number(codes.BELOW, max(score.agatston - low, 0.0), codes.NO_UNITS, relation=HAS_PROPERTIES),
    ]


def _quality(request: Request) -> list[Dataset]:
    return [_quality_item(key, value) for key, value in sorted(request.findings.quality.items())]


def _quality_item(key: str, value: object) -> Dataset:
    """One fact about the scan under its own name; the name says the unit."""
    concept = codes.private(key.upper().replace("_", "-"), f"Image quality: {key.replace('_', ' ')}")
    if isinstance(value, bool):
        return code(concept, codes.YES if value else codes.NO)
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return text(concept, "not measured")
    if isinstance(value, (int, float)):
        units = (unit for suffix, unit in codes.UNITS_BY_SUFFIX.items() if key.endswith(suffix))
        return number(concept, value, next(units, codes.NO_UNITS))
    if isinstance(value, (list, tuple, set, frozenset)):
        parts = (f"{part:.6g}" if isinstance(part, float) else str(part) for part in value)
        return text(concept, "; ".join(parts) or "none")
    return text(concept, str(value))
