"""Objects in which people report calcium: what workstations of other makers send."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComprehensiveSRStorage, ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from node.dicom import codes
from node.dicom.codes import SITES
from node.dicom.content import code, container, number


def a_report(first: Dataset, lad: float, **changes: object) -> Dataset:
    """A TID 1500 report of another maker, of the study of an image: the score of the LAD."""
    group = [code(codes.FINDING_SITE, SITES["LAD"].site, "HAS CONCEPT MOD")]
    lad = container(codes.MEASUREMENT_GROUP, [*group, number(codes.CALCIUM_SCORE, lad, codes.NO_UNITS, ())])
    root = container(codes.MEASUREMENT_REPORT, [container(codes.IMAGING_MEASUREMENTS, [lad])])
    dataset = Dataset()
    for name in ("StudyInstanceUID", "PatientID", "PatientName", "AccessionNumber", "StudyDate", "StudyID"):
        if name in first:
            setattr(dataset, name, first[name].value)
    dataset.SOPClassUID, dataset.SOPInstanceUID = ComprehensiveSRStorage, generate_uid()
    dataset.SeriesInstanceUID, dataset.Modality, dataset.InstanceNumber = generate_uid(), "SR", 1
    dataset.ContentDate, dataset.ContentTime = "20260304", "101500"
    dataset.CompletionFlag, dataset.VerificationFlag = "COMPLETE", "UNVERIFIED"
    for element in root:
        if element.keyword != "RelationshipType":
            dataset[element.tag] = element
    for name, value in changes.items():
        setattr(dataset, name, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def a_capture(image: Dataset, rgb: NDArray[np.uint8], **changes: object) -> Dataset:
    """A coloured picture (rows, columns, 3) of a CT image, which it names as its source."""
    dataset = Dataset()
    source = Dataset()
    source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    dataset.SourceImageSequence = [source]
    dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    dataset.StudyInstanceUID, dataset.PatientID = image.StudyInstanceUID, image.PatientID
    dataset.SeriesInstanceUID, dataset.Modality, dataset.InstanceNumber = generate_uid(), "OT", 1
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.Rows, dataset.Columns = rgb.shape[:2]
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
    dataset.add_new(0x7FE00010, "OB", rgb.tobytes())
    for name, value in changes.items():
        setattr(dataset, name, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset
