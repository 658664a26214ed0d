"""The QRM phantom scan as a source to be answered: bright inserts stand in for calcium of two vessels."""

import os
from pathlib import Path

import numpy as np
import pydicom
import pytest

from model.lesions import Vessel
from node.dicom.references import read_source
from node.dicom.request import Request
from tests.answer_cases import Case

ROOT = Path(__file__).parents[2]


def phantom_files() -> list[Path]:
    """Its files in order of position."""
    data = Path(os.environ.get("SECOND_READER_REFERENCE_DATA", ROOT.parent / "shared" / "data"))
    folder = data / "qrm-phantom-canon" / "dicom"
    if not folder.is_dir():
        pytest.skip(f"no reference data at {data}")
    return sorted(
        folder.glob("*.dcm"),
        key=lambda path: float(pydicom.dcmread(path, specific_tags=["ImagePositionPatient"]).ImagePositionPatient[2]),
    )


def phantom_request() -> Request:
    """The scan with the left half of its bright voxels labelled LAD, the right half RCA."""
    paths = phantom_files()
    source = read_source(paths)
    hu = np.stack([pydicom.dcmread(path).pixel_array for path in paths]).astype(np.int16)
    middle = np.s_[:, 200:320, 200:320]
    labels = np.zeros(source.shape, np.uint8)
    labels[middle][hu[middle] >= 130] = Vessel.LAD.label
    labels[:, :, :256][labels[:, :, :256] > 0] = Vessel.RCA.label
    return Case(shape=source.shape, lesions=()).request_of(source, labels=labels, hu=hu)
