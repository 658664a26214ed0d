"""A phantom as CT images, and its truth as a Segmentation. The only module of ``train`` that speaks DICOM."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian, SegmentationStorage

from model.lesions import Vessel
from model.volume import CtVolume
from train.series.identity import SeriesIdentity
from train.series.scan import TrueScan

_INTERCEPT: Final = -1024
_LEAST_HU: Final = -1500
"""Noisy air is above, what was filled in is below."""
_PADDING: Final = -2000
_KERNEL: Final = "Qr36"
_IMPLEMENTATION: Final = "2.25.248170829370459182360542283746528177123"

_Code = tuple[str, str, str]
_CALCIFIED: Final[tuple[_Code, _Code]] = (
    ("49755003", "SCT", "Morphologically Abnormal Structure"),
    ("18115005", "SCT", "Pathologic calcification"),
)
_SITES: Final[dict[Vessel, tuple[_Code, tuple[int, int, int]]]] = {
    Vessel.LM: (("3227004", "SCT", "Left Main Coronary Artery"), (47299, 49588, 22078)),
    Vessel.LAD: (("59438005", "SCT", "Left Anterior Descending Coronary Artery"), (57498, 10747, 54274)),
    Vessel.LCX: (("57396003", "SCT", "Circumflex Coronary Artery"), (21170, 53250, 5175)),
    Vessel.RCA: (("13647002", "SCT", "Right Coronary Artery"), (63660, 27356, 57178)),
    Vessel.AV: (("34202007", "SCT", "Aortic Valve"), (43941, 43904, 51921)),
    Vessel.TA: (("113262008", "SCT", "Thoracic aorta"), (34886, 53484, 50172)),
}
"""SNOMED CT site and the colour (DICOM CIELab, PS3.3 C.10.7.1.1) viewers show it in."""


def write_ct(folder: Path, volume: CtVolume, identity: SeriesIdentity) -> None:
    """Write one CT image a slice (PS3.3 A.3), ``0001.dcm`` the topmost, as calcium-score scanners number them."""
    folder.mkdir(parents=True)
    count = volume.grid.shape[0]
    for index in range(count):
        number = count - index
        image = _ct_image(volume, identity, index, number)
        _write(folder / f"{number:04d}.dcm", image)


def write_segmentation(path: Path, scan: TrueScan, identity: SeriesIdentity) -> bool:
    """Write the true mask as a BINARY Segmentation (PS3.3 A.51) on the geometry of the scan.

    All six segments are described, numbered as :attr:`model.lesions.Vessel.label`; only frames with calcium are there.
    A scan without any gets no file, since a Segmentation cannot be without frames; then the answer is False.
    """
    places = [(v, int(at)) for v in Vessel for at in np.flatnonzero((scan.mask.labels == v.label).any(axis=(1, 2)))]
    if not places:
        return False
    dataset = _general(identity, "SEG", "segmentation", 2)
    dataset.SOPClassUID = SegmentationStorage
    dataset.SOPInstanceUID = identity.uid("segmentation:1")
    dataset.SeriesDescription = "True calcium by vessel"
    dataset.InstanceNumber = 1
    dataset.SoftwareVersions = dataset.DeviceSerialNumber = "1"
    _describe_mask(dataset, scan)
    dataset.SegmentSequence = [_segment(vessel, identity) for vessel in Vessel]
    _refer(dataset, scan, identity)
    _frames(dataset, scan, identity, places)
    _write(path, dataset)
    return True


def _write(path: Path, dataset: Dataset) -> None:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(_IMPLEMENTATION)
    meta.ImplementationVersionName = "PHANTOM"
    dataset.file_meta = meta
    dcmwrite(path, dataset, enforce_file_format=True)


def _general(identity: SeriesIdentity, modality: str, series: str, number: int) -> Dataset:
    """Patient, study, series, equipment and frame of reference (PS3.3 C.7.1 to C.7.5)."""
    dataset = Dataset()
    dataset.PatientName, dataset.PatientID = identity.patient_name, identity.patient_id
    dataset.PatientBirthDate, dataset.PatientSex = "", "O"
    dataset.PatientComments = "Computer phantom, no patient"
    day, time = identity.made_at.strftime("%Y%m%d"), identity.made_at.strftime("%H%M%S")
    for kind in ("Study", "Series", "Content"):
        setattr(dataset, f"{kind}Date", day)
        setattr(dataset, f"{kind}Time", time)
    dataset.AccessionNumber = identity.accession_number
    dataset.StudyID = str(identity.seed)
    dataset.StudyInstanceUID = identity.uid("study")
    dataset.ReferringPhysicianName = ""
    dataset.StudyDescription = "Computer phantom"
    dataset.Modality = modality
    dataset.SeriesInstanceUID = identity.uid(series)
    dataset.SeriesNumber = number
    dataset.BodyPartExamined = "HEART"
    dataset.Manufacturer, dataset.ManufacturerModelName = "Synthetic", "Computer phantom"
    dataset.FrameOfReferenceUID = identity.uid("frame of reference")
    dataset.PositionReferenceIndicator = ""
    return dataset


def _ct_image(volume: CtVolume, identity: SeriesIdentity, index: int, number: int) -> Dataset:
    image = _general(identity, "CT", "series", 1)
    image.SOPClassUID = CTImageStorage
    image.SOPInstanceUID = _image_uid(identity, index)
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.SeriesDescription = f"CaScore {volume.grid.slice_spacing_mm:.1f} {_KERNEL}"
    image.ProtocolName = "Calcium Score"
    image.AcquisitionDate, image.AcquisitionTime = image.ContentDate, image.ContentTime
    image.AcquisitionNumber, image.InstanceNumber = 1, number
    image.QualityControlImage = "YES"  # General Image module: of a phantom, not of a patient
    image.BurnedInAnnotation, image.LossyImageCompression = "NO", "00"
    image.PatientPosition = "HFS"
    image.KVP = f"{volume.kvp:g}"
    image.ScanOptions = "HEART"
    image.ConvolutionKernel = _KERNEL
    image.SliceThickness = _decimal(volume.slice_thickness_mm or volume.grid.slice_spacing_mm)
    _, down, along = volume.grid.directions
    image.ImageOrientationPatient = [_decimal(cosine) for cosine in (*along, *down)]
    image.ImagePositionPatient = _position(volume, index)
    image.PixelSpacing = [_decimal(step) for step in volume.grid.spacing_mm[1:]]
    _fill(image, volume.hu[index], padded=bool((volume.hu < _LEAST_HU).any()))
    return image


def _fill(image: Dataset, hu: NDArray[np.int16] | NDArray[np.float32], *, padded: bool) -> None:
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.Rows, image.Columns = hu.shape
    image.RescaleIntercept, image.RescaleSlope, image.RescaleType = _INTERCEPT, 1, "HU"
    image.WindowCenter, image.WindowWidth = 90, 750
    stored = np.rint(hu).astype(np.int32) - _INTERCEPT
    image.BitsAllocated = 16
    if padded:
        # as scanners do that fill what lies outside their circle: signed, and below all that can be measured
        image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 15, 1
        image.add_new("PixelPaddingValue", "SS", _PADDING)
        stored[hu < _LEAST_HU] = _PADDING
    else:
        image.BitsStored, image.HighBit, image.PixelRepresentation = 12, 11, 0
    low, high = (-(2**15), 2**15 - 1) if padded else (0, 2**12 - 1)
    image.add_new("PixelData", "OW", stored.clip(low, high).astype("<i2").tobytes())


def _image_uid(identity: SeriesIdentity, index: int) -> str:
    return identity.uid(f"image:{index}")


def _position(volume: CtVolume, index: int) -> list[str]:
    return [_decimal(place) for place in volume.grid.to_lps(np.array([index, 0, 0])).tolist()]


def _decimal(value: float) -> str:
    """A decimal string (PS3.5 6.2): at most 16 characters."""
    return f"{round(float(value), 6) + 0.0:.10g}"


def _coded(code: _Code) -> Sequence:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code
    return Sequence([item])


def _describe_mask(dataset: Dataset, scan: TrueScan) -> None:
    dataset.ImageType = ["DERIVED", "PRIMARY"]
    dataset.ContentLabel, dataset.ContentDescription = "TRUTH", "True calcium by vessel"
    dataset.ContentCreatorName = ""
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    _, dataset.Rows, dataset.Columns = scan.volume.grid.shape
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = dataset.PixelRepresentation = 0
    dataset.SegmentationType, dataset.SegmentsOverlap = "BINARY", "NO"
    dataset.LossyImageCompression = "00"


def _segment(vessel: Vessel, identity: SeriesIdentity) -> Dataset:
    site, cielab = _SITES[vessel]
    item = Dataset()
    item.SegmentNumber = vessel.label
    item.SegmentLabel = f"Calcium {vessel}"
    item.SegmentAlgorithmType, item.SegmentAlgorithmName = "AUTOMATIC", "Computer phantom"
    item.SegmentedPropertyCategoryCodeSequence, item.SegmentedPropertyTypeCodeSequence = map(_coded, _CALCIFIED)
    item.AnatomicRegionSequence = _coded(site)
    item.RecommendedDisplayCIELabValue = list(cielab)
    item.TrackingID, item.TrackingUID = f"True calcium {vessel}", identity.uid(f"tracking:{vessel}")
    return item


def _image_item(identity: SeriesIdentity, index: int) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = CTImageStorage
    item.ReferencedSOPInstanceUID = _image_uid(identity, index)
    return item


def _refer(dataset: Dataset, scan: TrueScan, identity: SeriesIdentity) -> None:
    series = Dataset()
    series.SeriesInstanceUID = identity.uid("series")
    series.ReferencedInstanceSequence = [_image_item(identity, at) for at in range(scan.volume.grid.shape[0])]
    dataset.ReferencedSeriesSequence = [series]
    organization = Dataset()
    organization.DimensionOrganizationUID = identity.uid("dimensions")
    dataset.DimensionOrganizationSequence = [organization]
    dataset.DimensionIndexSequence = Sequence()
    for pointer, group, label in (
        (0x0062000B, 0x0062000A, "Segment Number"),
        (0x00200032, 0x00209113, "Image Position"),
    ):
        index = Dataset()
        index.DimensionIndexPointer, index.FunctionalGroupPointer = pointer, group
        index.DimensionOrganizationUID = organization.DimensionOrganizationUID
        index.DimensionDescriptionLabel = label
        dataset.DimensionIndexSequence.append(index)


def _frames(dataset: Dataset, scan: TrueScan, identity: SeriesIdentity, places: list[tuple[Vessel, int]]) -> None:
    grid = scan.volume.grid
    measures, upright, shared = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = [_decimal(step) for step in grid.spacing_mm[1:]]
    measures.SliceThickness = measures.SpacingBetweenSlices = _decimal(grid.slice_spacing_mm)
    _, down, along = grid.directions
    upright.ImageOrientationPatient = [_decimal(cosine) for cosine in (*along, *down)]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [upright]
    dataset.SharedFunctionalGroupsSequence = [shared]
    ordinal = {at: number for number, at in enumerate(sorted({at for _, at in places}), start=1)}
    dataset.NumberOfFrames = len(places)
    dataset.PerFrameFunctionalGroupsSequence = [
        _frame(scan.volume, identity, vessel, (at, ordinal[at])) for vessel, at in places
    ]
    # bits run on from frame to frame, the first pixel in the lowest bit (PS3.5 8.1.1, annex D)
    bits = np.concatenate([(scan.mask.labels[at] == vessel.label).ravel() for vessel, at in places])
    packed = np.packbits(bits, bitorder="little").tobytes()
    dataset.add_new("PixelData", "OB", packed + b"\0" * (len(packed) % 2))


def _frame(volume: CtVolume, identity: SeriesIdentity, vessel: Vessel, place: tuple[int, int]) -> Dataset:
    at, ordinal = place
    frame, content, position, named, derived = Dataset(), Dataset(), Dataset(), Dataset(), Dataset()
    content.DimensionIndexValues = [vessel.label, ordinal]
    position.ImagePositionPatient = _position(volume, at)
    named.ReferencedSegmentNumber = vessel.label
    source = _image_item(identity, at)
    source.PurposeOfReferenceCodeSequence = _coded(("121322", "DCM", "Source image for image processing operation"))
    derived.DerivationCodeSequence = _coded(("113076", "DCM", "Segmentation"))
    derived.SourceImageSequence = [source]
    frame.FrameContentSequence, frame.PlanePositionSequence = [content], [position]
    frame.SegmentIdentificationSequence, frame.DerivationImageSequence = [named], [derived]
    return frame
