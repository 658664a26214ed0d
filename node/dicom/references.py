"""What the answers must repeat of the source images: identity, geometry, references (PS3.3 C.7.1, C.7.2, C.7.6.2).

Text is carried as the bytes that were sent, so that patient and study of an answer never differ from those of its
source by a round trip through a character set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from node.dicom.elements import Elements, tag_of
from node.dicom.encoding import inflated
from node.dicom.files import read_content
from node.dicom.headers import ENHANCED_CT, LEGACY_ENHANCED_CT, groups_of, macro
from node.domain.errors import Unreadable

PATIENT: Final = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
STUDY: Final = (
    "StudyInstanceUID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyID",
)
OPTIONAL: Final = (
    "TimezoneOffsetFromUTC",
    "StudyDescription",
    "IssuerOfPatientID",
    "OtherPatientIDs",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "EthnicGroup",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
)
LOSSY: Final = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")
_EQUIPMENT: Final = (
    "Manufacturer",
    "InstitutionName",
    "StationName",
    "ManufacturerModelName",
    "DeviceSerialNumber",
    "SoftwareVersions",
)
_OTHERS: Final = ("SpecificCharacterSet", "BodyPartExamined", "SeriesNumber", "FrameOfReferenceUID")
_ORDER: Final = ("RequestedProcedureID", "RequestedProcedureDescription", "ScheduledProcedureStepID")
_ISSUER: Final = ("LocalNamespaceEntityID", "UniversalEntityID", "UniversalEntityIDType")
_ABSENT: Final = Elements(memoryview(b""), {}, explicit=True)
_CARRIED: Final = (*PATIENT, *STUDY, *OPTIONAL, *LOSSY, *_EQUIPMENT, *_OTHERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """One source image plane: a CT image, or one frame of a multi-frame image (``frame`` counts from 1)."""

    sop_class_uid: str
    sop_uid: str
    frame: int | None
    position: tuple[str, ...]  # Image Position (Patient) as sent


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Source:
    """A source series as far as the answers need it; made by :func:`read_source`, opaque outside of this package.

    ``carried``, ``order`` and ``issuer`` hold values as sent, by keyword: of the image, of the first item of its
    Request Attributes Sequence, and of its Issuer of Accession Number Sequence.
    """

    carried: Mapping[str, bytes]
    order: Mapping[str, bytes]
    issuer: Mapping[str, bytes]
    study_uid: str
    series_uid: str
    planes: tuple[Plane, ...]  # in slice order
    orientation: tuple[str, ...]
    pixel_spacing: tuple[str, ...]
    slice_thickness: str
    rows: int
    columns: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of slices, rows and columns."""
        return len(self.planes), self.rows, self.columns

    @property
    def sop_uids(self) -> tuple[str, ...]:
        """SOP Instance UIDs in slice order, each once."""
        return tuple(dict.fromkeys(plane.sop_uid for plane in self.planes))

    @property
    def slice_spacing_mm(self) -> float | None:
        """Median distance between neighbouring planes along their normal; None for a single plane."""
        places = _along_normal(self.planes, self.orientation)
        return float(np.median(np.abs(np.diff(places)))) if len(places) > 1 else None


def read_source(paths: Sequence[Path], planes: Sequence[tuple[str, int]] | None = None) -> Source:
    """Read the headers of a source series.

    Parameters
    ----------
    paths
        Part-10 files in slice order: CT images, or multi-frame CT, whose frames are put in slice order here.
    planes
        (SOP Instance UID, frame number from 1) of each slice, in slice order, where not all planes of the files were
        read (one phase of several, say).

    Raises
    ------
    Malformed
        A file is not DICOM.
    Unreadable
        A plane has no position, orientation or pixel spacing, or a wanted plane is in none of the files.

    """
    if not paths:
        raise Unreadable("a source needs at least one file")
    first = _elements(paths[0], None)
    if first.uid("SOPClassUID") in (ENHANCED_CT, LEGACY_ENHANCED_CT):
        images = [first, *(_elements(path, None) for path in paths[1:])]
        groups = groups_of(first, 0)
        upright = macro(groups, "PlaneOrientationSequence") or _ABSENT
        measures = macro(groups, "PixelMeasuresSequence") or _ABSENT
        found = _in_order([plane for image in images for plane in _frames(image)], upright)
    else:
        last = tag_of("ImageOrientationPatient")
        upright = measures = first
        found = [_plane(first), *(_plane(_elements(path, last)) for path in paths[1:])]
    if planes is not None:
        by_name = {(plane.sop_uid, plane.frame or 1): plane for plane in found}
        if not by_name.keys() >= set(planes):
            raise Unreadable("a slice that was read is in none of the source files")
        found = [by_name[name] for name in planes]
    return _source(first, found, upright, measures)


def _elements(path: Path, last: int | None) -> Elements:
    content = read_content(path)
    data = inflated(content.dataset, content.transfer_syntax_uid)
    return Elements.of(data, content.transfer_syntax_uid, last=last)


def _plane(image: Elements, holder: Elements | None = None, frame: int | None = None) -> Plane:
    return Plane(
        sop_class_uid=image.uid("SOPClassUID"),
        sop_uid=image.uid("SOPInstanceUID"),
        frame=frame,
        position=_decimals(holder or image, "ImagePositionPatient", 3),
    )


def _frames(image: Elements) -> list[Plane]:
    shared = groups_of(image, None)
    own = image.items("PerFrameFunctionalGroupsSequence")
    if not own:
        raise Unreadable("a multi-frame source without functional groups has no geometry")
    places = [macro([groups, *shared], "PlanePositionSequence") or _ABSENT for groups in own]
    return [_plane(image, place, number) for number, place in enumerate(places, start=1)]


def _in_order(planes: list[Plane], upright: Elements) -> list[Plane]:
    along = _along_normal(planes, _decimals(upright, "ImageOrientationPatient", 6))
    return [planes[index] for index in np.argsort(along, kind="stable")]


def _source(image: Elements, planes: Sequence[Plane], upright: Elements, measures: Elements) -> Source:
    request = image.first("RequestAttributesSequence")
    issuer = image.first("IssuerOfAccessionNumberSequence")
    return Source(
        carried=_values(image, _CARRIED),
        order=_values(request, _ORDER) if request is not None else {},
        issuer=_values(issuer, _ISSUER) if issuer is not None else {},
        study_uid=image.uid("StudyInstanceUID"),
        series_uid=image.uid("SeriesInstanceUID"),
        planes=tuple(planes),
        orientation=_decimals(upright, "ImageOrientationPatient", 6),
        pixel_spacing=_decimals(measures, "PixelSpacing", 2),
        slice_thickness=measures.text("SliceThickness"),
        rows=image.integer("Rows") or 0,
        columns=image.integer("Columns") or 0,
    )


def _values(elements: Elements, keywords: Sequence[str]) -> dict[str, bytes]:
    found = ((keyword, bytes(elements.raw(keyword))) for keyword in keywords)
    return {keyword: value for keyword, value in found if value.strip(b" \0")}


def _decimals(elements: Elements, keyword: str, count: int) -> tuple[str, ...]:
    numbers, texts = elements.numbers(keyword), elements.texts(keyword)
    if numbers is None or len(numbers) != count or not np.isfinite(numbers).all():
        raise Unreadable(f"a source image has no valid {keyword}")
    return texts


def _along_normal(planes: Sequence[Plane], orientation: Sequence[str]) -> list[float]:
    row, column = np.array(orientation, dtype=float).reshape(2, 3)
    normal = np.cross(row, column)
    return [float(normal @ np.array(plane.position, dtype=float)) for plane in planes]
