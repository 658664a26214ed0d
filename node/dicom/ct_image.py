"""Writes a CT volume as CT images, one per slice: for the demo and for anyone who has voxels but no DICOM."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO

import numpy as np
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from model.volume import CtVolume
from node.domain.identity import derived_uid

_INTERCEPT = -1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanIdentity:
    """Who and what a written scan claims to be. Everything here is made up by the caller."""

    seed: str  # the same seed gives the same UIDs
    patient_id: str
    patient_name: str
    patient_sex: str
    accession_number: str
    made_at: datetime
    series_description: str = "CaSc 3.0 Qr36"
    kernel: str = "Qr36"

    def uid(self, role: str) -> str:
        """A UID that belongs to this scan."""
        return derived_uid(sources=(self.seed,), model_sha256="", settings_sha256="", role=role)


def ct_images(volume: CtVolume, scan: ScanIdentity) -> Iterator[tuple[str, bytes]]:
    """SOP Instance UID and Part-10 bytes of each slice, Explicit VR Little Endian (PS3.3 A.3)."""
    for number in range(volume.grid.shape[0]):
        uid = scan.uid(f"slice:{number}")
        dataset = _header(volume, scan, number, uid)
        buffer = BytesIO()
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = UID(uid)
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        FileDataset(buffer, dataset, file_meta=meta, preamble=b"\0" * 128).save_as(buffer, enforce_file_format=True)
        yield uid, buffer.getvalue()


def _header(volume: CtVolume, scan: ScanIdentity, number: int, uid: str) -> Dataset:
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = uid
    day, time = scan.made_at.strftime("%Y%m%d"), scan.made_at.strftime("%H%M%S")
    for kind in ("Study", "Series", "Acquisition", "Content"):
        setattr(dataset, f"{kind}Date", day)
        setattr(dataset, f"{kind}Time", time)
    dataset.AccessionNumber = scan.accession_number
    dataset.Modality = "CT"
    dataset.Manufacturer = "calcium-second-reader stand-in scanner"
    dataset.ReferringPhysicianName = ""
    dataset.StudyDescription = "Synthetic calcium score"
    dataset.SeriesDescription = scan.series_description
    dataset.PatientName = scan.patient_name
    dataset.PatientID = scan.patient_id
    dataset.PatientBirthDate = ""
    dataset.PatientSex = scan.patient_sex
    dataset.KVP = volume.kvp
    dataset.SliceThickness = volume.slice_thickness_mm or volume.grid.slice_spacing_mm
    dataset.ConvolutionKernel = scan.kernel
    dataset.PatientPosition = "HFS"
    dataset.StudyInstanceUID = scan.uid("study")
    dataset.SeriesInstanceUID = scan.uid("series")
    dataset.FrameOfReferenceUID = scan.uid("frame")
    dataset.PositionReferenceIndicator = ""
    dataset.StudyID = "1"
    dataset.SeriesNumber = 1
    dataset.AcquisitionNumber = 1
    dataset.InstanceNumber = number + 1
    _place(dataset, volume, number)
    _fill(dataset, volume, number)
    return dataset


def _place(dataset: Dataset, volume: CtVolume, number: int) -> None:
    position = volume.grid.to_lps(np.array([number, 0, 0]))
    dataset.ImagePositionPatient = [f"{coordinate:.10g}" for coordinate in position]
    _, down, along = volume.grid.directions
    dataset.ImageOrientationPatient = [f"{cosine:.10g}" for cosine in (*along, *down)]
    dataset.PixelSpacing = [f"{spacing:.10g}" for spacing in volume.grid.spacing_mm[1:]]


def _fill(dataset: Dataset, volume: CtVolume, number: int) -> None:
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = volume.grid.shape[1:]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.RescaleIntercept, dataset.RescaleSlope = _INTERCEPT, 1
    dataset.RescaleType = "HU"
    dataset.WindowCenter, dataset.WindowWidth = 90, 750
    stored = np.clip(np.rint(volume.hu[number]).astype(np.int32) - _INTERCEPT, 0, 4095).astype("<u2")
    dataset.PixelData = stored.tobytes()
