"""Content items of structured reports (PS3.3 C.17.3) and the document around them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.valuerep import format_number_as_ds

from node.dicom import codes
from node.dicom.codes import Code
from node.dicom.envelope import instance_reference, new_object, order_item, plain, plane_references
from node.dicom.headers import SOFTWARE_NAME
from node.dicom.request import PredecessorRef, Request, Role, StoredObject

CONTAINS = "CONTAINS"
HAS_CONCEPT_MOD = "HAS CONCEPT MOD"
HAS_OBS_CONTEXT = "HAS OBS CONTEXT"
HAS_PROPERTIES = "HAS PROPERTIES"
DATE_TIME = "%Y%m%d%H%M%S.%f"  # without the zone: "+0000" is legal, and dcmtk refuses the whole document for it
_NO_DELIMITERS = str.maketrans("^=", "  ")


def container(concept: Code, children: Iterable[Dataset], *, template: str = "", relation: str = CONTAINS) -> Dataset:
    """A CONTAINER; ``template`` is the TID of the mapping resource DCMR that it follows."""
    item = _item("CONTAINER", concept, relation)
    item.ContinuityOfContent = "SEPARATE"
    if template:
        identifier = Dataset()
        identifier.MappingResource = "DCMR"
        identifier.TemplateIdentifier = template
        item.ContentTemplateSequence = [identifier]
    _add_children(item, children)
    return item


def code(concept: Code, value: Code, relation: str = CONTAINS) -> Dataset:
    """A CODE item."""
    item = _item("CODE", concept, relation)
    item.ConceptCodeSequence = value.sequence()
    return item


def text(concept: Code, value: str, relation: str = CONTAINS) -> Dataset:
    """A TEXT item, in ASCII; lines end as PS3.5 6.1.3 wants them."""
    item = _item("TEXT", concept, relation)
    item.TextValue = plain(value).replace("\n", "\r\n") or "-"
    return item


def uid_reference(concept: Code, uid: str, relation: str = CONTAINS) -> Dataset:
    """A UIDREF item."""
    item = _item("UIDREF", concept, relation)
    item.UID = uid
    return item


def number(
    concept: Code, value: float, unit: Code, children: Iterable[Dataset] = (), relation: str = CONTAINS
) -> Dataset:
    """A NUM item.

    Numeric Value is rounded to what a person reads, two decimals but never to zero; Floating Point Value beside it is
    exact (PS3.3 C.18.1).
    """
    item = _item("NUM", concept, relation)
    measured = Dataset()
    shown = round(float(value), 2)
    measured.NumericValue = _decimal(shown if shown or not value else float(f"{value:.2g}"))
    measured.FloatingPointValue = float(value)
    measured.MeasurementUnitsCodeSequence = unit.sequence()
    item.MeasuredValueSequence = [measured]
    _add_children(item, children)
    return item


def date_time(concept: Code, value: datetime, relation: str = CONTAINS) -> Dataset:
    """A DATETIME item; ``value`` is in the zone of the document."""
    item = _item("DATETIME", concept, relation)
    item.DateTime = value.strftime(DATE_TIME)
    return item


def person_name(concept: Code, value: str, relation: str = CONTAINS) -> Dataset:
    """A PNAME item, in ASCII."""
    item = _item("PNAME", concept, relation)
    item.PersonName = plain_name(value)
    return item


def plain_name(value: str) -> str:
    """A name in one component, in ASCII (PS3.5 6.2: at most 64 characters, without the delimiters of PN)."""
    return plain(value, 64).translate(_NO_DELIMITERS).strip() or "-"


def segment_reference(concept: Code, sop_class_uid: str, sop_uid: str, segment: int) -> Dataset:
    """An IMAGE item that refers to one segment of a Segmentation."""
    item = _item("IMAGE", concept, CONTAINS)
    reference = instance_reference(sop_class_uid, sop_uid)
    reference.ReferencedSegmentNumber = segment
    item.ReferencedSOPSequence = [reference]
    return item


def observer(request: Request) -> list[Dataset]:
    """Who observed: this node as a device (TID 1001, TID 1002, TID 1004)."""
    identity = request.identity
    return [
        code(codes.OBSERVER_TYPE, codes.DEVICE, HAS_OBS_CONTEXT),
        uid_reference(codes.OBSERVER_UID, request.device_uid, HAS_OBS_CONTEXT),
        text(codes.OBSERVER_NAME, identity.station_name or SOFTWARE_NAME, HAS_OBS_CONTEXT),
        text(codes.OBSERVER_MANUFACTURER, identity.manufacturer, HAS_OBS_CONTEXT),
        text(codes.OBSERVER_MODEL, SOFTWARE_NAME, HAS_OBS_CONTEXT),
        text(codes.OBSERVER_SERIAL, identity.device_serial, HAS_OBS_CONTEXT),
    ]


def algorithm(request: Request, relation: str = HAS_CONCEPT_MOD) -> list[Dataset]:
    """By what it was observed (TID 4019)."""
    model = request.findings.model
    return [
        text(codes.ALGORITHM_NAME, model.name, relation),
        text(codes.ALGORITHM_VERSION, model.version, relation),
        text(codes.ALGORITHM_PARAMETERS, f"sha256={model.sha256}", relation),
        code(codes.ALGORITHM_FAMILY, codes.ARTIFICIAL_INTELLIGENCE, relation),
    ]


def language() -> Dataset:
    """The language of the document (TID 1204)."""
    return code(codes.LANGUAGE, codes.ENGLISH, HAS_CONCEPT_MOD)


def new_document(
    request: Request, role: Role, sop_class_uid: str, root: Dataset, segmentation: StoredObject | None
) -> Dataset:
    """A structured report around its content tree (PS3.3 C.17.2): complete, not verified by anyone."""
    dataset = new_object(request, role, sop_class_uid)
    dataset.ReferencedPerformedProcedureStepSequence = Sequence()
    dataset.PerformedProcedureCodeSequence = Sequence()
    dataset.CompletionFlag = "COMPLETE"
    dataset.VerificationFlag = "UNVERIFIED"
    order = order_item(request)
    if order is not None:
        order.ReferencedStudySequence = Sequence()
        order.PlacerOrderNumberImagingServiceRequest = ""
        order.FillerOrderNumberImagingServiceRequest = ""
        order.RequestedProcedureCodeSequence = Sequence()
        dataset.ReferencedRequestSequence = [order]
    dataset.CurrentRequestedProcedureEvidenceSequence = [_evidence(request, segmentation)]
    predecessor = request.predecessors.get(role)
    if predecessor is not None:
        dataset.PredecessorDocumentsSequence = [predecessor_item(request.source.study_uid, predecessor)]
    for element in root:
        if element.keyword != "RelationshipType":
            dataset[element.tag] = element
    return dataset


def predecessor_item(study_uid: str, predecessor: PredecessorRef) -> Dataset:
    """An item of Predecessor Documents Sequence (PS3.3 C.17.2.2)."""
    instance = instance_reference(predecessor.sop_class_uid, predecessor.sop_uid)
    return _study(study_uid, {predecessor.series_uid: Sequence([instance])})


def _decimal(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else format_number_as_ds(value)


def _item(value_type: str, concept: Code, relation: str) -> Dataset:
    item = Dataset()
    item.RelationshipType = relation
    item.ValueType = value_type
    item.ConceptNameCodeSequence = concept.sequence()
    return item


def _add_children(item: Dataset, children: Iterable[Dataset]) -> None:
    held = Sequence(list(children))
    if held:
        item.ContentSequence = held


def _evidence(request: Request, segmentation: StoredObject | None) -> Dataset:
    series = {request.source.series_uid: plane_references(request.source.planes)}
    if segmentation is not None:
        made = instance_reference(segmentation.sop_class_uid, segmentation.sop_uid)
        series[segmentation.series_uid] = Sequence([made])
    return _study(request.source.study_uid, series)


def _study(study_uid: str, series: dict[str, Sequence]) -> Dataset:
    study = Dataset()
    study.StudyInstanceUID = study_uid
    study.ReferencedSeriesSequence = Sequence()
    for uid, instances in series.items():
        item = Dataset()
        item.SeriesInstanceUID = uid
        item.ReferencedSOPSequence = instances
        study.ReferencedSeriesSequence.append(item)
    return study
