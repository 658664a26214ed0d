"""What an instance says of itself: from the bytes of its data set to :class:`node.domain.series.Instance`.

Pixels are not decoded. Only bytes that are not the DICOM they claim to be are an error; values that make no sense
(no rows, a spacing that is not a number) are kept as they are, for eligibility to name them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from node.dicom.elements import Elements, tag_of
from node.dicom.encoding import DEFLATED, inflated, is_uid
from node.dicom.files import content_of
from node.domain.errors import Malformed
from node.domain.series import Acquisition, Instance, SliceGeometry, Vector

SOFTWARE_NAME: Final = "calcium-second-reader"

CT_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT: Final = "1.2.840.10008.5.1.4.1.1.2.1"
LEGACY_ENHANCED_CT: Final = "1.2.840.10008.5.1.4.1.1.2.2"
CT_CLASSES: Final = frozenset((CT_IMAGE, ENHANCED_CT, LEGACY_ENHANCED_CT))


def read_instance(data: bytes | memoryview, transfer_syntax_uid: str) -> Instance:
    """Facts about one instance.

    Parameters
    ----------
    data
        The data set as it came over the wire: no preamble, no file meta information.
    transfer_syntax_uid
        How it is encoded.

    Raises
    ------
    Malformed
        If the data are cut off, an element claims more bytes than there are, a CT image has no pixel data, or a UID
        that names the instance, its class, series or study is missing or invalid.

    """
    elements = Elements.of(inflated(data, transfer_syntax_uid), transfer_syntax_uid)
    return instance_of(elements, transfer_syntax_uid)


def read_file_instance(path: Path) -> Instance:
    """:func:`read_instance` of a DICOM file, with or without its preamble.

    Raises
    ------
    Malformed
        If it is not a DICOM file, or as for :func:`read_instance`.

    """
    content = content_of(path.read_bytes())
    return read_instance(content.dataset, content.transfer_syntax_uid)


def identity_of(data: bytes | memoryview, transfer_syntax_uid: str) -> tuple[str, str]:
    """(SOP Class UID, SOP Instance UID) from the first elements alone; either may be empty.

    Raises
    ------
    Malformed
        If the beginning of the data is no data set.

    """
    plain = inflated(data, transfer_syntax_uid) if transfer_syntax_uid == DEFLATED else memoryview(data)
    elements = Elements.of(plain, transfer_syntax_uid, last=tag_of("SOPInstanceUID"))
    return elements.uid("SOPClassUID"), elements.uid("SOPInstanceUID")


def instance_of(elements: Elements, transfer_syntax_uid: str) -> Instance:
    """The same from elements that are parsed already."""
    if elements.uid("SOPClassUID") in CT_CLASSES and "PixelData" not in elements:
        raise Malformed("a CT image without pixel data: cut off")
    return Instance(
        sop_class_uid=_named(elements, "SOPClassUID"),
        sop_uid=_named(elements, "SOPInstanceUID"),
        study_uid=_named(elements, "StudyInstanceUID"),
        series_uid=_named(elements, "SeriesInstanceUID"),
        transfer_syntax_uid=transfer_syntax_uid,
        instance_number=elements.integer("InstanceNumber"),
        acquisition=_acquisition(elements),
        slices=_slices(elements),
        made_by_this_software=_made_here(elements),
    )


def _named(elements: Elements, keyword: str) -> str:
    uid = elements.uid(keyword)
    if not uid:
        raise Malformed(f"{keyword} is missing or empty")
    if not is_uid(uid):
        raise Malformed(f"{keyword} is not a valid UID")
    return uid


def _made_here(elements: Elements) -> bool:
    makers = [elements, *elements.items("ContributingEquipmentSequence")]
    return any(maker.text("ManufacturerModelName").lower() == SOFTWARE_NAME for maker in makers)


def groups_of(elements: Elements, index: int | None) -> list[Elements]:
    """Functional groups that hold for a frame: its own first, then the shared ones (PS3.3 C.7.6.16)."""
    shared = elements.first("SharedFunctionalGroupsSequence")
    own = elements.items("PerFrameFunctionalGroupsSequence") if index is not None else []
    mine = [own[index]] if index is not None and index < len(own) else []
    return [*mine, *([shared] if shared is not None else [])]


def macro(groups: list[Elements], keyword: str) -> Elements | None:
    """The item of a functional group macro, from the frame's own groups or else from the shared ones."""
    for group in groups:
        item = group.first(keyword)
        if item is not None:
            return item
    return None


def geometry_of(
    plane: Elements | None, orientation: Elements | None, measures: Elements | None, image: Elements
) -> SliceGeometry:
    """Where a plane lies; each argument holds the attributes of its macro, or is the whole image."""
    return SliceGeometry(
        position_lps_mm=_vector(plane, "ImagePositionPatient"),
        orientation=_cosines(orientation),
        rows=image.integer("Rows") or 0,
        columns=image.integer("Columns") or 0,
        pixel_spacing_mm=_pair(measures),
    )


def frame_geometries(elements: Elements) -> tuple[SliceGeometry, ...]:
    """One geometry per frame of an enhanced multi-frame image."""
    shared = groups_of(elements, None)
    found = []
    for own in elements.items("PerFrameFunctionalGroupsSequence"):
        groups = [own, *shared]
        found.append(
            geometry_of(
                macro(groups, "PlanePositionSequence"),
                macro(groups, "PlaneOrientationSequence"),
                macro(groups, "PixelMeasuresSequence"),
                elements,
            )
        )
    return tuple(found)


def _slices(elements: Elements) -> tuple[SliceGeometry, ...]:
    sop_class = elements.uid("SOPClassUID")
    if sop_class in CT_CLASSES - {CT_IMAGE}:
        return frame_geometries(elements)
    if sop_class == CT_IMAGE or ("ImagePositionPatient" in elements and "Rows" in elements):
        return (geometry_of(elements, elements, elements, elements),)
    return ()


def _vector(plane: Elements | None, keyword: str) -> Vector | None:
    values = plane.numbers(keyword) if plane is not None else None
    return (values[0], values[1], values[2]) if values is not None and len(values) == 3 else None


def _cosines(plane: Elements | None) -> tuple[float, float, float, float, float, float] | None:
    values = plane.numbers("ImageOrientationPatient") if plane is not None else None
    if values is None or len(values) != 6:
        return None
    return (values[0], values[1], values[2], values[3], values[4], values[5])


def _pair(measures: Elements | None) -> tuple[float, float] | None:
    values = measures.numbers("PixelSpacing") if measures is not None else None
    return (values[0], values[1]) if values is not None and len(values) == 2 else None


def _acquisition(elements: Elements) -> Acquisition:
    frame = groups_of(elements, 0) if "SharedFunctionalGroupsSequence" in elements else []
    measures = macro(frame, "PixelMeasuresSequence") or elements
    exposure = macro(frame, "CTXRayDetailsSequence") or elements
    reconstruction = macro(frame, "CTReconstructionSequence") or elements
    synchronised = macro(frame, "CardiacSynchronizationSequence") or elements
    return Acquisition(
        modality=elements.text("Modality"),
        image_type=elements.texts("ImageType"),
        series_description=elements.text("SeriesDescription"),
        protocol=elements.text("ProtocolName"),
        study_description=elements.text("StudyDescription"),
        kernel=" ".join(reconstruction.texts("ConvolutionKernel")),
        kvp=exposure.number("KVP"),
        slice_thickness_mm=measures.number("SliceThickness"),
        contrast=_contrast(elements),
        scan_options=elements.texts("ScanOptions"),
        gating=_gating(elements, synchronised),
        cardiac_phase_percent=synchronised.number("NominalPercentageOfCardiacPhase"),
        gantry_tilt_deg=elements.number("GantryDetectorTilt"),
        acquisition_number=elements.integer("AcquisitionNumber"),
        acquisition_time=elements.text("AcquisitionDateTime")
        or elements.text("AcquisitionDate") + elements.text("AcquisitionTime"),
        frame_of_reference_uid=elements.uid("FrameOfReferenceUID"),
        manufacturer=elements.text("Manufacturer"),
        model=elements.text("ManufacturerModelName"),
        software=" ".join(elements.texts("SoftwareVersions")),
        station=elements.text("StationName"),
        body_part=elements.text("BodyPartExamined"),
    )


def _contrast(elements: Elements) -> str:
    coded = (
        item.text("CodeMeaning") or item.text("CodeValue") for item in elements.items("ContrastBolusAgentSequence")
    )
    return elements.text("ContrastBolusAgent") or next((text for text in coded if text), "")


def _gating(elements: Elements, synchronised: Elements) -> str:
    said = [
        elements.text("CardiacSynchronizationTechnique"),
        elements.text("CardiacSignalSource"),
        f"trigger {elements.text('TriggerTime')} ms" if elements.text("TriggerTime") else "",
        f"phase {phase:g} %" if (phase := synchronised.number("NominalPercentageOfCardiacPhase")) is not None else "",
    ]
    return ", ".join(text for text in said if text)
