"""Readings to be answered, for tests: synthetic CT series with plain or ugly headers, findings, labels.

``from tests.answer_cases import Case``. The picture is a thorax of a few ellipses; the calcium lies where a coronary
would, but nothing is segmented or scored: findings are simply stated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian

from model.lesions import Vessel
from node.dicom.answers import NodeIdentity, PredecessorRef, Request, Role
from node.dicom.references import Source, read_source
from node.domain.findings import Findings, LesionFinding, ModelIdentity, RegionScore, ScoreDefinition

MADE_AT = datetime(2026, 3, 4, 5, 6, 7, 890000, tzinfo=UTC)
MODEL = ModelIdentity(
    name="unet-phantom",
    version="1.2.0",
    sha256="ab" * 32,
    trained_on="Synthetic phantoms only; never on scans of patients.",
)
DEFINITION = ScoreDefinition(
    profile="agatston-1990",
    connectivity=8,
    minimum_area="1 mm2",
    threshold_hu=130.0,
    weight_limits_hu=(200.0, 300.0, 400.0),
    kvp=120.0,
    kvp_adapted=False,
    mass_factor=0.78,
)
IDENTITY = NodeIdentity(device_serial="SN-1", software_version="0.1.0", station_name="CALCIUM2R")
STUDY_UID, SERIES_UID = "1.2.826.0.1.1", "1.2.826.0.1.1.2"

HeaderChange = Callable[[Dataset], None]


@dataclass(kw_only=True)
class Case:
    """A reading under construction; ``lesions`` are (vessel, slice, row, column, half-width) squares of calcium."""

    shape: tuple[int, int, int] = (6, 64, 80)
    lesions: Sequence[tuple[Vessel, int, int, int, int]] = (
        (Vessel.LAD, 1, 20, 30, 3),
        (Vessel.LAD, 2, 21, 30, 2),
        (Vessel.RCA, 4, 33, 44, 2),
        (Vessel.TA, 3, 50, 60, 4),
    )
    change: HeaderChange | None = None
    spacing_mm: tuple[str, str] = ("0.7", "0.5")
    step_mm: float = 2.5
    notes: tuple[str, ...] = ()
    quality: dict[str, object] = field(default_factory=lambda: {"noise_sd_hu": 18.25, "metal": False})
    definition: ScoreDefinition = DEFINITION

    def labels(self) -> NDArray[np.uint8]:
        labels = np.zeros(self.shape, np.uint8)
        for vessel, at, row, column, half in self.lesions:
            labels[at, row - half : row + half + 1, column - half : column + half + 1] = vessel.label
        return labels

    def hu(self) -> NDArray[np.int16]:
        slices, rows, columns = self.shape
        y, x = np.mgrid[0:rows, 0:columns]
        y, x = (y - rows / 2) / rows * 2, (x - columns / 2) / columns * 2
        body = np.where(x**2 + (y * 1.2) ** 2 < 0.9, -850, -1000)
        heart = (x * 1.7) ** 2 + (y * 1.9) ** 2 < 0.6
        ring = (x**2 + (y * 1.2) ** 2 < 0.9) & (x**2 + (y * 1.2) ** 2 > 0.72)
        plane = np.where(ring, 20, np.where(heart, 45, body))
        noise = np.random.default_rng(1).normal(0, 18, self.shape)
        volume = np.broadcast_to(plane, (slices, rows, columns)) + noise
        return np.where(self.labels() > 0, 420 + noise, volume).astype(np.int16)

    def datasets(self) -> list[Dataset]:
        return [self._dataset(number) for number in range(self.shape[0])]

    def write(self, folder: Path) -> list[Path]:
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for number, dataset in enumerate(self.datasets()):
            path = folder / f"{number:03}.dcm"
            save(dataset, path)
            paths.append(path)
        return paths

    def write_enhanced(self, folder: Path) -> list[Path]:
        """The same slices as one Enhanced CT, whose frames are stored upside down."""
        folder.mkdir(parents=True, exist_ok=True)
        save(self._enhanced(), folder / "enhanced.dcm")
        return [folder / "enhanced.dcm"]

    def findings(self) -> Findings:
        return findings_of(self.labels(), self)

    def request(self, paths: Sequence[Path], **changes: object) -> Request:
        return self.request_of(read_source(paths), **changes)

    def request_of(self, source: Source, **changes: object) -> Request:
        stated: dict[str, object] = {
            "findings": self.findings(),
            "labels": self.labels(),
            "hu": self.hu(),
            "source": source,
            "identity": IDENTITY,
            "settings_sha256": "cd" * 32,
            "made_at": MADE_AT,
        }
        return Request(**(stated | changes))  # type: ignore[arg-type]

    def _dataset(self, number: int) -> Dataset:
        dataset = patient_and_study()
        dataset.SOPClassUID = CTImageStorage
        dataset.SOPInstanceUID = f"{SERIES_UID}.{number + 1}"
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        dataset.InstanceNumber = self.shape[0] - number
        dataset.ImagePositionPatient = ["-128.50580", "-106.00581", f"{672.875 + self.step_mm * number:.3f}"]
        dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
        dataset.PixelSpacing = list(self.spacing_mm)
        dataset.SliceThickness = "3.0"
        dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
        dataset.KVP = 120
        dataset.PixelData = self.hu()[number].astype("<i2").tobytes()
        _pixels(dataset, self.shape)
        if self.change is not None:
            self.change(dataset)
        return dataset

    def _enhanced(self) -> Dataset:
        dataset = patient_and_study()
        dataset.SOPClassUID = EnhancedCTImageStorage
        dataset.SOPInstanceUID = f"{SERIES_UID}.77"
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
        dataset.InstanceNumber = 1
        order = range(self.shape[0] - 1, -1, -1)
        dataset.NumberOfFrames = self.shape[0]
        shared, upright, measures = Dataset(), Dataset(), Dataset()
        upright.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
        measures.PixelSpacing, measures.SliceThickness = list(self.spacing_mm), "3.0"
        shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = Items([upright]), Items([measures])
        dataset.SharedFunctionalGroupsSequence = Items([shared])
        frames = Items()
        for number in order:
            frame, place = Dataset(), Dataset()
            place.ImagePositionPatient = ["-128.5", "-106", f"{672.875 + self.step_mm * number:.3f}"]
            frame.PlanePositionSequence = Items([place])
            frames.append(frame)
        dataset.PerFrameFunctionalGroupsSequence = frames
        dataset.PixelData = b"".join(self.hu()[number].astype("<i2").tobytes() for number in order)
        _pixels(dataset, self.shape)
        if self.change is not None:
            self.change(dataset)
        return dataset


def patient_and_study() -> Dataset:
    """The modules above the image, as a careful scanner would fill them."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.PatientName, dataset.PatientID = "Doe^Jane", "PID-77"
    dataset.PatientBirthDate, dataset.PatientSex = "19600102", "F"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = STUDY_UID, SERIES_UID
    dataset.StudyDate, dataset.StudyTime = "20260303", "101500"
    dataset.SeriesDate, dataset.SeriesTime = "20260303", "101600"
    dataset.AcquisitionDate, dataset.AcquisitionTime = "20260303", "101700"
    dataset.AccessionNumber, dataset.StudyID = "ACC-1", "S1"
    dataset.ReferringPhysicianName = "Ref^Doctor"
    dataset.StudyDescription, dataset.SeriesDescription = "Cardiac", "CaSc 3.0"
    dataset.Modality, dataset.SeriesNumber = "CT", 3
    dataset.Manufacturer, dataset.ManufacturerModelName = "Maker", "Scanner 1"
    dataset.DeviceSerialNumber, dataset.SoftwareVersions = "777", "V1"
    dataset.StationName, dataset.InstitutionName = "CT01", "General Hospital"
    dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator = "1.2.826.0.1.1.9", ""
    dataset.BodyPartExamined, dataset.PatientPosition = "CHEST", "HFS"
    return dataset


def save(dataset: Dataset, path: Path, transfer_syntax: str = ExplicitVRLittleEndian) -> None:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = transfer_syntax
    dataset.save_as(path, enforce_file_format=True)


def findings_of(labels: NDArray[np.uint8], case: Case) -> Findings:
    """Findings whose Agatston score is three times the number of voxels of a region, so that each differs."""
    voxels = {str(vessel): int((labels == vessel.label).sum()) for vessel in Vessel}
    voxels["CAC"] = sum(voxels[key] for key in ("LM", "LAD", "LCX", "RCA"))
    voxels["AC"] = voxels["AV"] + voxels["TA"]
    found = {str(vessel): sum(lesion[0] is vessel for lesion in case.lesions) for vessel in Vessel}
    found["CAC"] = sum(found[key] for key in ("LM", "LAD", "LCX", "RCA"))
    found["AC"] = found["AV"] + found["TA"]
    factor = case.definition.mass_factor
    scores = {
        key: RegionScore(
            agatston=3.125 * count,
            volume_mm3=0.875 * count,
            mass_mg=None if factor is None else 0.3 * count,
            lesions=found[key],
        )
        for key, count in voxels.items()
    }
    total = scores["CAC"].agatston
    vessels = sum(voxels[key] > 0 for key in ("LM", "LAD", "LCX", "RCA"))
    grade = 0 if total == 0 else 1 if total < 100 else 2 if total < 300 else 3
    return Findings(
        study_uid=STUDY_UID,
        series_uid=SERIES_UID,
        scores=scores,
        category="0" if total == 0 else "1-99" if total < 100 else "100-399" if total < 400 else ">=400",
        cac_drs=f"A{grade}/N{vessels}",
        interval={"CAC": (total * 0.9, total * 1.1)},
        lesions=tuple(
            LesionFinding(
                vessel=str(vessel),
                agatston=3.125 * (2 * half + 1) ** 2,
                volume_mm3=0.875 * (2 * half + 1) ** 2,
                mass_mg=None if factor is None else 0.3 * (2 * half + 1) ** 2,
                peak_hu=480.0,
                centroid_lps_mm=(float(column), float(row), 2.5 * at),
                slices=(at, at),
                probability=0.9,
            )
            for vessel, at, row, column, half in case.lesions
        ),
        quality=case.quality,
        definition=case.definition,
        model=MODEL,
        notes=case.notes,
    )


def predecessor_of(request: Request, role: Role, sop_class_uid: str) -> PredecessorRef:
    return PredecessorRef(
        series_uid=request.uid(f"series:{role}"), sop_class_uid=sop_class_uid, sop_uid=request.uid(role)
    )


def _pixels(dataset: Dataset, shape: tuple[int, int, int]) -> None:
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows, dataset.Columns = shape[1:]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 1
