"""The report for people: a Comprehensive SR after TID 3900, CT/MR Cardiovascular Analysis Report (PS3.16)."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.uid import ComprehensiveSRStorage

from model.lesions import Vessel
from node.dicom import codes
from node.dicom.codes import SITES
from node.dicom.content import (
    HAS_CONCEPT_MOD,
    code,
    container,
    language,
    new_document,
    observer,
    text,
)
from node.dicom.envelope import finished
from node.dicom.impression import impression
from node.dicom.measurements import condition_items, definition_text, score_items
from node.dicom.request import Request, Role, StoredObject


def build_narrative(request: Request, segmentation: StoredObject | None) -> StoredObject:
    """The report with an Impression that any viewer shows as text (TID 3900 > 3902 > 3905, 3906; TID 3927)."""
    root = container(
        codes.CARDIOVASCULAR_REPORT,
        [
            language(),
            code(codes.PROCEDURE_REPORTED, codes.CARDIOVASCULAR_CT, HAS_CONCEPT_MOD),
            *observer(request),
            container(codes.FINDINGS, _findings(request)),
            container(codes.IMPRESSIONS, [text(codes.IMPRESSION, impression(request.findings))]),
        ],
        template="3900",
    )
    return finished(new_document(request, Role.REPORT, ComprehensiveSRStorage, root, segmentation), Role.REPORT)


def _findings(request: Request) -> list[Dataset]:
    definition = request.findings.definition
    return [
        code(codes.ANALYSIS_PERFORMED, codes.CALCIUM_SCORING),
        *condition_items(definition),
        text(codes.COMMENT, definition_text(definition)),
        *(_region(request, region) for region in ("CAC", *Vessel, "AC")),
    ]


def _region(request: Request, region: str) -> Dataset:
    site = code(codes.FINDING_SITE, SITES[region].site, HAS_CONCEPT_MOD)
    return container(codes.FINDINGS, [site, *score_items(request, region)])
