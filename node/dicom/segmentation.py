"""The Segmentation object: BINARY, one segment per vessel that holds calcium (PS3.3 A.51, C.8.20)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import SegmentationStorage
from pydicom.valuerep import format_number_as_ds

from model.lesions import Vessel
from node.dicom import codes
from node.dicom.codes import SITES
from node.dicom.envelope import add_lossy, finished, new_object, order_item, plain, plane_references, source_image
from node.dicom.request import Request, Role, StoredObject
from node.domain.errors import Unreadable

_LONGEST_DS: Final = 16
_SEGMENT_NUMBER: Final = 0x0062000B  # Referenced Segment Number
_SEGMENT_GROUP: Final = 0x0062000A  # Segment Identification Sequence
_POSITION: Final = 0x00200032  # Image Position (Patient)
_POSITION_GROUP: Final = 0x00209113  # Plane Position Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """A segment as SEG and SR name it; ``slices`` are the slices in which it has voxels."""

    number: int
    vessel: Vessel
    tracking_id: str
    tracking_uid: str
    slices: tuple[int, ...]


def segments_of(request: Request) -> tuple[Segment, ...]:
    """The segments of a reading, in order of vessel; none where nothing is labelled."""
    areas = vessel_areas(request.labels)
    slices_of = {vessel: tuple(int(at) for at in np.flatnonzero(areas[vessel.label])) for vessel in Vessel}
    found = [(vessel, slices) for vessel, slices in slices_of.items() if slices]
    return tuple(
        Segment(
            number=number,
            vessel=vessel,
            tracking_id=tracking_id(vessel),
            tracking_uid=request.uid(f"tracking:{vessel}"),
            slices=slices,
        )
        for number, (vessel, slices) in enumerate(found, start=1)
    )


def vessel_areas(labels: NDArray[np.uint8]) -> NDArray[np.intp]:
    """(labels, slices): how many pixels each label, the background left at zero, has in each slice."""
    slices = labels.shape[0]
    areas = np.zeros((len(Vessel) + 1, slices), np.intp)
    for at in np.flatnonzero(labels.reshape(slices, -1).max(axis=1)):
        present = labels[at][labels[at] > 0]
        areas[:, at] = np.bincount(present, minlength=len(areas))
    return areas


def tracking_id(region: str) -> str:
    """The Tracking ID under which SEG and SR speak of a vessel or total."""
    return f"Calcium {region}"


def build_segmentation(request: Request, segments: tuple[Segment, ...]) -> StoredObject:
    """The Segmentation of a reading, on exactly the geometry of its source, without empty frames.

    Raises
    ------
    Unreadable
        If there is no segment, which a Segmentation must have.

    """
    if not segments:
        raise Unreadable("there is no calcium to segment")
    dataset = new_object(request, Role.SEG, SegmentationStorage)
    order = order_item(request)
    if order is not None and "RequestedProcedureID" in request.source.order:
        dataset.RequestAttributesSequence = [order]
    _add_image(dataset, request)
    dataset.SegmentSequence = [_segment(segment, request) for segment in segments]
    _add_references(dataset, request)
    _add_dimensions(dataset, request)
    _add_frames(dataset, request, segments)
    return finished(dataset, Role.SEG)


def _add_image(dataset: Dataset, request: Request) -> None:
    source = request.source
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.ContentLabel = "CALCIUM"
    dataset.ContentDescription = "Coronary and aortic calcium by vessel"
    dataset.ContentCreatorName = ""
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = source.rows, source.columns
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = dataset.PixelRepresentation = 0
    dataset.SegmentationType = "BINARY"
    dataset.SegmentsOverlap = "NO"
    add_lossy(dataset, request)
    dataset.FrameOfReferenceUID = request.frame_of_reference_uid
    dataset.PositionReferenceIndicator = ""


def _segment(segment: Segment, request: Request) -> Dataset:
    site, model = SITES[segment.vessel], request.findings.model
    algorithm = Dataset()
    algorithm.AlgorithmFamilyCodeSequence = codes.ARTIFICIAL_INTELLIGENCE.sequence()
    algorithm.AlgorithmName = plain(model.name, 64)
    algorithm.AlgorithmVersion = plain(model.version, 64)
    algorithm.AlgorithmParameters = f"sha256={model.sha256}"
    item = Dataset()
    item.SegmentNumber = segment.number
    item.SegmentLabel = f"Calcium {segment.vessel}"
    item.SegmentDescription = f"Calcium of: {site.name}"
    item.SegmentAlgorithmType = "AUTOMATIC"
    item.SegmentAlgorithmName = plain(model.name, 64)
    item.SegmentationAlgorithmIdentificationSequence = [algorithm]
    item.SegmentedPropertyCategoryCodeSequence = codes.ABNORMAL_STRUCTURE.sequence()
    item.SegmentedPropertyTypeCodeSequence = codes.CALCIFICATION.sequence()
    item.AnatomicRegionSequence = site.site.sequence()
    item.RecommendedDisplayCIELabValue = list(site.cielab)
    item.TrackingID = segment.tracking_id
    item.TrackingUID = segment.tracking_uid
    return item


def _add_references(dataset: Dataset, request: Request) -> None:
    series = Dataset()
    series.SeriesInstanceUID = request.source.series_uid
    series.ReferencedInstanceSequence = plane_references(request.source.planes)
    dataset.ReferencedSeriesSequence = [series]


def _add_dimensions(dataset: Dataset, request: Request) -> None:
    organization = Dataset()
    organization.DimensionOrganizationUID = request.uid("dimensions")
    dataset.DimensionOrganizationSequence = [organization]
    dataset.DimensionIndexSequence = Sequence()
    for pointer, group, label in (
        (_SEGMENT_NUMBER, _SEGMENT_GROUP, "Segment Number"),
        (_POSITION, _POSITION_GROUP, "Image Position"),
    ):
        index = Dataset()
        index.DimensionIndexPointer = pointer
        index.FunctionalGroupPointer = group
        index.DimensionOrganizationUID = organization.DimensionOrganizationUID
        index.DimensionDescriptionLabel = label
        dataset.DimensionIndexSequence.append(index)


def _add_frames(dataset: Dataset, request: Request, segments: tuple[Segment, ...]) -> None:
    places = sorted({index for segment in segments for index in segment.slices})
    ordinal = {index: number for number, index in enumerate(places, start=1)}
    dataset.SharedFunctionalGroupsSequence = [_shared(request)]
    frames = Sequence()
    bits: list[NDArray[np.uint8]] = []
    for segment in segments:
        for index in segment.slices:
            frames.append(_frame(request, segment, index, ordinal[index]))
            bits.append((request.labels[index] == segment.vessel.label).view(np.uint8).ravel())
    dataset.NumberOfFrames = len(frames)
    dataset.PerFrameFunctionalGroupsSequence = frames
    # Bits run on from frame to frame, the first pixel in the lowest bit (PS3.5 8.1.1, annex D).
    packed = np.packbits(np.concatenate(bits), bitorder="little").tobytes()
    dataset.add_new(0x7FE00010, "OB", packed + b"\0" * (len(packed) % 2))


def _shared(request: Request) -> Dataset:
    source = request.source
    spacing = source.slice_spacing_mm
    measures = Dataset()
    measures.PixelSpacing = [_decimal(value) for value in source.pixel_spacing]
    measures.SliceThickness = _decimal(source.slice_thickness) if source.slice_thickness else _decimal(spacing or 1.0)
    if spacing is not None:
        measures.SpacingBetweenSlices = _decimal(spacing)
    upright = Dataset()
    upright.ImageOrientationPatient = [_decimal(value) for value in source.orientation]
    shared = Dataset()
    shared.PixelMeasuresSequence = [measures]
    shared.PlaneOrientationSequence = [upright]
    return shared


def _frame(request: Request, segment: Segment, index: int, place: int) -> Dataset:
    plane = request.source.planes[index]
    content, position, identification, derivation = Dataset(), Dataset(), Dataset(), Dataset()
    content.DimensionIndexValues = [segment.number, place]
    position.ImagePositionPatient = [_decimal(value) for value in plane.position]
    identification.ReferencedSegmentNumber = segment.number
    derivation.DerivationCodeSequence = codes.SEGMENTATION.sequence()
    derivation.SourceImageSequence = [source_image(plane)]
    frame = Dataset()
    frame.FrameContentSequence = [content]
    frame.PlanePositionSequence = [position]
    frame.SegmentIdentificationSequence = [identification]
    frame.DerivationImageSequence = [derivation]
    return frame


def _decimal(value: str | float) -> str:
    """A decimal string as sent; one that the standard does not allow is written anew as exactly as fits."""
    if isinstance(value, str) and len(value) <= _LONGEST_DS:
        return value
    return format_number_as_ds(float(value))
