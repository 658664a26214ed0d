"""Human reads in structured reports: TID 1500, TID 3905, and the layout of syngo.via.

All three are a tree in which a number stands under, or after, what names its site: a Finding Site (TID 1500 group, TID
3905 container, or the number itself) or a Lesion Identifier (syngo.via: LM, LAD, CX, RCA, Total; its user sites U1 and
U2 are in no vessel). Whatever the template says it is, it is read so.
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import Final

from node.dicom.elements import Elements
from node.dicom.encoding import inflated
from node.dicom.files import content_of
from node.dicom.headers import CT_CLASSES, instance_of
from node.dicom.read_regions import moment_of, study_key
from node.dicom.report_tree import ReportTree
from node.domain.errors import Malformed, Refused
from node.domain.human_read import HumanRead, ReadSource, ReadStatus
from node.domain.versions import version_at

REPORT_CLASSES: Final = frozenset(f"1.2.840.10008.5.1.4.1.1.88.{last}" for last in (11, 22, 33, 34, 35))
MOST_BYTES: Final = 16_000_000


def read_report(data: bytes, *, zone: tzinfo = UTC, unverified: ReadStatus = ReadStatus.FINAL) -> HumanRead:
    """The read in the bytes of a structured report (a DICOM file).

    Parameters
    ----------
    zone
        The site's, for times without one.
    unverified
        What a complete report is that nobody has verified: many workstations never verify.

    Raises
    ------
    Malformed
        If it is no report, or a score of it is none; with every reason.
    Refused
        If this software made it, or no score of it is coded, or it is larger than is read.

    """
    elements = _elements(data)
    instance = instance_of(elements, "")
    if instance.sop_class_uid not in REPORT_CLASSES:
        raise Refused("not a structured report")
    tree = ReportTree()
    tree.walk(elements)
    if instance.made_by_this_software or tree.ours:
        raise Refused("this software made the report: it is no human read")
    at = _read_at(elements, zone)
    scores = tree.scores()
    if tree.faults:
        raise Malformed("\n".join(tree.faults))
    if not scores:
        raise Refused(f"the report has no coded calcium score of a known region ({tree.numbers} numbers in it)")
    return HumanRead(
        source=ReadSource.SR,
        source_id=instance.sop_uid,
        version=1 if at is None else version_at(at),
        status=_status(elements, unverified),
        study=study_key(elements, series_uid=_scored_series(elements)),
        reader=_verifier(elements) or tree.person,
        read_at=at,
        scores=scores,
        kvp=tree.kvp,
        remarks=tuple(dict.fromkeys(tree.remarks)),
    )


def predecessors_of(data: bytes) -> tuple[str, ...]:
    """SOP Instance UIDs of the documents that a report replaces or amends.

    Raises
    ------
    Malformed
        If it is no DICOM file.

    """
    studies = _elements(data).items("PredecessorDocumentsSequence")
    instances = (
        one
        for study in studies
        for series in study.items("ReferencedSeriesSequence")
        for one in series.items("ReferencedSOPSequence")
    )
    return tuple(dict.fromkeys(uid for one in instances if (uid := one.uid("ReferencedSOPInstanceUID"))))


def _elements(data: bytes) -> Elements:
    if len(data) > MOST_BYTES:
        raise Refused(f"the report has {len(data)} bytes; up to {MOST_BYTES} are read")
    content = content_of(data)
    plain = inflated(content.dataset, content.transfer_syntax_uid, MOST_BYTES * 4)
    return Elements.of(plain, content.transfer_syntax_uid)


def _status(elements: Elements, unverified: ReadStatus) -> ReadStatus:
    if elements.text("CompletionFlag") == "PARTIAL" or elements.text("PreliminaryFlag") == "PRELIMINARY":
        return ReadStatus.PRELIMINARY
    if elements.text("VerificationFlag") != "VERIFIED" and unverified is not ReadStatus.FINAL:
        return unverified
    return ReadStatus.CORRECTED if elements.items("PredecessorDocumentsSequence") else ReadStatus.FINAL


def _verifier(elements: Elements) -> str:
    who = elements.first("VerifyingObserverSequence")
    return "" if who is None else who.text("VerifyingObserverName")


def _read_at(elements: Elements, zone: tzinfo) -> datetime | None:
    who = elements.first("VerifyingObserverSequence")
    verified = "" if who is None else who.text("VerificationDateTime")
    offset = elements.text("TimezoneOffsetFromUTC")
    written = elements.text("ContentDate") + elements.text("ContentTime")
    return moment_of(verified, offset, zone) or moment_of(written, offset, zone)


def _scored_series(elements: Elements) -> str:
    """The one CT series among the evidence; empty where there are none or several."""
    found = {
        series.uid("SeriesInstanceUID")
        for study in elements.items("CurrentRequestedProcedureEvidenceSequence")
        for series in study.items("ReferencedSeriesSequence")
        if any(one.uid("ReferencedSOPClassUID") in CT_CLASSES for one in series.items("ReferencedSOPSequence"))
    }
    return found.pop() if len(found) == 1 else ""
