"""Synthetic DICOM: CT series and enhanced CT images of any volume, in any encoding, for tests of every room.

Nothing is random and nothing comes from a scanner. UIDs are derived from ``Style.name``, so that two series of the
same name are the same series.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import dcmwrite, write_dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    LegacyConvertedEnhancedCTImageStorage,
)

from model.volume import CtVolume, VolumeGrid


def uid(*parts: object) -> str:
    """A UID that is the same for the same parts."""
    digest = hashlib.sha256("/".join(str(part) for part in parts).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:15], 'big')}"


@dataclass(frozen=True, kw_only=True)
class Style:
    """How a scanner writes. ``tags`` are set last on every image: keyword -> value, None deletes."""

    name: str = "series"
    syntax: str = ExplicitVRLittleEndian
    signed: bool = True
    bits_stored: int = 16
    slope: float = 1.0
    intercept: float = -1024.0
    intercepts: tuple[float, ...] = ()  # one per slice, if they differ
    padding: int | None = None  # stored value; voxels of PADDED_HU are written with it
    overlay_bits: bool = False  # dirt above the stored bits
    tags: Mapping[str, Any] = field(default_factory=dict)

    def study_uid(self) -> str:
        """Study Instance UID of everything of this name."""
        return uid(self.name, "study")

    def series_uid(self) -> str:
        """Series Instance UID."""
        return uid(self.name, "series")

    def sop_uid(self, index: int) -> str:
        """SOP Instance UID of a slice."""
        return uid(self.name, "image", index)


PADDED_HU = -1024


def thorax(slices: int = 6, rows: int = 24, columns: int = 32, *, spacing_mm: float = 3.0) -> CtVolume:
    """A small asymmetric volume: no two of its 48 orientations look alike. -1024 to 1000 HU."""
    z, y, x = np.mgrid[0:slices, 0:rows, 0:columns].astype(np.float64)
    hu = np.full((slices, rows, columns), -1024.0)
    body = ((y - rows / 2) / (rows / 2.2)) ** 2 + ((x - columns / 2) / (columns / 2.2)) ** 2 < 1
    hu[body] = (40 + 3 * x + 5 * y + 11 * z)[body]
    hu[slices // 2, rows // 4 : rows // 4 + 3, columns // 2 : columns // 2 + 5] = 700
    hu[1, rows // 2, columns // 2] = 1000
    grid = VolumeGrid(
        shape=(slices, rows, columns), spacing_mm=(spacing_mm, 0.7, 0.5), origin_lps_mm=(-12.5, -31.0, 88.25)
    )
    return CtVolume(hu=hu.astype(np.int16), grid=grid, slice_thickness_mm=spacing_mm)


def turned(volume: CtVolume, order: tuple[int, int, int] = (0, 1, 2), flips: Sequence[int] = ()) -> CtVolume:
    """The same anatomy in the same patient space with its index axes in another order or direction."""
    grid = volume.grid
    hu = np.transpose(volume.hu, order)
    axes = np.asarray(grid.directions)[list(order)]
    spacing = np.asarray(grid.spacing_mm)[list(order)]
    origin = np.asarray(grid.origin_lps_mm, dtype=float)
    for axis in flips:
        origin = origin + axes[axis] * spacing[axis] * (hu.shape[axis] - 1)
        axes[axis] = -axes[axis]
        hu = np.flip(hu, axis)
    return CtVolume(
        hu=np.ascontiguousarray(hu),
        grid=VolumeGrid(
            shape=hu.shape,
            spacing_mm=tuple(spacing.tolist()),
            origin_lps_mm=tuple(origin.tolist()),
            directions=tuple(tuple(axis) for axis in axes.tolist()),
        ),
        kvp=volume.kvp,
        slice_thickness_mm=volume.slice_thickness_mm,
    )


def ct_series(volume: CtVolume, style: Style | None = None) -> list[Dataset]:
    """One CT Image Storage object per slice, uncompressed or Deflated as ``style.syntax`` says."""
    style = style or Style()
    return [_ct_image(volume, style, index) for index in range(volume.grid.shape[0])]


def enhanced_ct(volume: CtVolume, style: Style | None = None, *, legacy: bool = False) -> Dataset:
    """The whole volume in one Enhanced (or Legacy Converted Enhanced) CT object, a frame per slice."""
    style = style or Style()
    image = _patient_and_series(volume, style)
    image.SOPClassUID = LegacyConvertedEnhancedCTImageStorage if legacy else EnhancedCTImageStorage
    image.SOPInstanceUID = style.sop_uid(0)
    image.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    image.InstanceNumber = 1
    shared = Dataset()
    shared.PixelMeasuresSequence = _one(
        PixelSpacing=list(volume.grid.spacing_mm[1:]), SliceThickness=volume.slice_thickness_mm
    )
    shared.PlaneOrientationSequence = _one(ImageOrientationPatient=_orientation(volume))
    if not style.intercepts:
        shared.PixelValueTransformationSequence = _rescale(style, 0)
    if not legacy:
        shared.CTXRayDetailsSequence = _one(KVP=volume.kvp)
        shared.CTReconstructionSequence = _one(ConvolutionKernel="FC12")
    image.SharedFunctionalGroupsSequence = Items([shared])
    frames = []
    for index in range(volume.grid.shape[0]):
        frame = Dataset()
        frame.PlanePositionSequence = _one(ImagePositionPatient=_position(volume, index))
        if style.intercepts:
            frame.PixelValueTransformationSequence = _rescale(style, index)
        frames.append(frame)
    image.PerFrameFunctionalGroupsSequence = Items(frames)
    stored = np.stack([_stored(volume.hu[index], style, index) for index in range(volume.grid.shape[0])])
    _pixels(image, stored, style)
    image.NumberOfFrames = len(frames)
    _override(image, style)
    return image


def _one(**values: object) -> Items:
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return Items([item])


def _rescale(style: Style, index: int) -> Items:
    return _one(RescaleSlope=style.slope, RescaleIntercept=_intercept(style, index), RescaleType="HU")


def _intercept(style: Style, index: int) -> float:
    return style.intercepts[index] if style.intercepts else style.intercept


def _orientation(volume: CtVolume) -> list[float]:
    _, down, along = volume.grid.directions
    return [*along, *down]


def _position(volume: CtVolume, index: int) -> list[float]:
    return [round(float(value), 6) for value in volume.grid.to_lps(np.array([index, 0, 0]))]


def _patient_and_series(volume: CtVolume, style: Style) -> Dataset:
    image = Dataset()
    image.SpecificCharacterSet = "ISO_IR 100"
    image.Modality = "CT"
    image.PatientName = "Phantom^Synthetic"
    image.PatientID = "PHANTOM-1"
    image.PatientBirthDate = "19600101"
    image.PatientSex = "M"
    image.StudyInstanceUID = style.study_uid()
    image.SeriesInstanceUID = style.series_uid()
    image.FrameOfReferenceUID = uid("frame of reference")  # one table position for all series
    image.StudyDate, image.StudyTime, image.StudyID = "20260105", "081500", "1"
    image.AccessionNumber = "A1"
    image.ReferringPhysicianName = ""
    image.SeriesNumber = 3
    image.Manufacturer, image.ManufacturerModelName = "Synthetic", "Phantom CT"
    image.SeriesDescription, image.ProtocolName = "CaScore 3.0", "Calcium Score"
    image.AcquisitionNumber, image.AcquisitionDate, image.AcquisitionTime = 1, "20260105", "081512"
    image.PositionReferenceIndicator = ""
    return image


def _ct_image(volume: CtVolume, style: Style, index: int) -> Dataset:
    image = _patient_and_series(volume, style)
    image.SOPClassUID = CTImageStorage
    image.SOPInstanceUID = style.sop_uid(index)
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.InstanceNumber = index + 1
    image.ImagePositionPatient = _position(volume, index)
    image.ImageOrientationPatient = _orientation(volume)
    image.PixelSpacing = list(volume.grid.spacing_mm[1:])
    image.SliceThickness = volume.slice_thickness_mm
    image.KVP = volume.kvp
    image.ConvolutionKernel = "FC12"
    image.RescaleSlope, image.RescaleIntercept = style.slope, _intercept(style, index)
    _pixels(image, _stored(volume.hu[index], style, index), style)
    _override(image, style)
    return image


def _stored(hu: NDArray[Any], style: Style, index: int) -> NDArray[Any]:
    values = np.rint((hu.astype(np.float64) - _intercept(style, index)) / style.slope).astype(np.int64)
    if style.padding is not None:
        values[hu == PADDED_HU] = style.padding
    words = values & 0xFFFF
    if style.bits_stored < 16:
        words &= (1 << style.bits_stored) - 1
        if style.overlay_bits:
            words |= 1 << 15
    return words.astype(np.uint16)


def _pixels(image: Dataset, stored: NDArray[Any], style: Style) -> None:
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.Rows, image.Columns = stored.shape[-2:]
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, style.bits_stored, style.bits_stored - 1
    image.PixelRepresentation = int(style.signed)
    if style.padding is not None:
        image.add_new("PixelPaddingValue", "SS" if style.signed else "US", style.padding)
    image.add_new("PixelData", "OW", stored.astype("<u2").tobytes())
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = UID(style.syntax)


def _override(image: Dataset, style: Style) -> None:
    for keyword, value in style.tags.items():
        if value is None:
            del image[keyword]
        else:
            setattr(image, keyword, value)


def encapsulated(image: Dataset, frames: Sequence[bytes], syntax: str) -> Dataset:
    """The image with its pixels replaced by compressed frames."""
    image.PixelData = encapsulate(list(frames))
    image["PixelData"].VR = "OB"
    image["PixelData"].is_undefined_length = True
    image.file_meta.TransferSyntaxUID = UID(syntax)
    return image


def file_bytes(image: Dataset) -> bytes:
    """The bytes of a DICOM file."""
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    target = BytesIO()
    dcmwrite(target, image, enforce_file_format=True)
    return target.getvalue()


def wire_bytes(image: Dataset) -> bytes:
    """The data set alone, as it goes over the wire (Deflated is not packed here: use a file for that)."""
    syntax = image.file_meta.TransferSyntaxUID
    target = DicomBytesIO()
    target.is_little_endian = True
    target.is_implicit_VR = syntax == ImplicitVRLittleEndian
    if syntax == DeflatedExplicitVRLittleEndian:
        raise ValueError("take the data set out of file_bytes()")
    write_dataset(target, image)
    return bytes(target.getvalue())


def write_series(images: Sequence[Dataset], folder: Path) -> list[Path]:
    """Files 0000.dcm, 0001.dcm, ... in the order given."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, image in enumerate(images):
        path = folder / f"{number:04d}.dcm"
        path.write_bytes(file_bytes(image))
        paths.append(path)
    return paths
