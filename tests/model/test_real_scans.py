"""The shipped bundle on real scans with open licences. Phantom scores alone prove nothing.

LIDC-IDRI (10.7937/K9/TCIA.2015.LO9QL9SX) with masks of heart (1), bone (2) and coronary calcium (3) by AIM-Harvard
DeepCAC: non-contrast chest CT, not gated, 3 mm isotropic. The heart masks reach up along the great vessels.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pytest

from model.bundle import default_bundle
from model.lesions import CORONARIES
from model.reader import Reader
from model.volume import CtVolume
from node.dicom.volumes import read_volume
from tests.nrrd import read_nrrd, reference_data

pytestmark = pytest.mark.reference

CORONARY_LABELS = [vessel.label for vessel in CORONARIES]


@lru_cache(maxsize=1)
def reader():
    return Reader(default_bundle(), device="cpu")


@pytest.fixture(scope="module", params=["0506", "0909"])
def read(request):
    folder = reference_data("lidc-chest")
    hu, grid = read_nrrd(folder / f"{request.param}_img.nrrd")
    mask, _ = read_nrrd(folder / f"{request.param}_msk.nrrd")
    return hu, mask, grid, reader().read(CtVolume(hu=hu, grid=grid))


def test_the_heart_is_found_within_15_mm(read):
    _, mask, grid, reading = read
    middle = grid.to_lps(np.argwhere((mask == 1) | (mask == 3)).mean(axis=0))
    assert reading.heart.found
    assert np.linalg.norm(middle - np.array(reading.heart.centre_lps_mm)) <= 15
    assert reading.heart.truncated == ()


def test_bone_is_not_coronary(read):
    hu, mask, _, reading = read
    bone = (mask == 2) & (hu >= 130)
    assert bone.sum() > 10_000
    assert np.isin(reading.mask.labels[bone], CORONARY_LABELS).sum() <= 5


def test_coronary_calcium_is_called_coronary(read):
    hu, mask, _, reading = read
    calcium = (mask == 3) & (hu >= 130)
    assert calcium.sum() >= 10
    assert np.isin(reading.mask.labels[calcium], CORONARY_LABELS).mean() >= 0.7


def test_there_is_no_contrast_agent(read):
    reading = read[3]
    assert 20 < reading.quality.blood_pool_hu < 75
    assert not reading.quality.contrast
    assert 3 < reading.quality.noise_sd_hu < 30


def scan(name):
    return read_volume(sorted((reference_data(name) / "dicom").glob("*.dcm"))).volume


def test_a_phantom_of_plastic_has_no_heart():
    """QRM thorax phantom, Aquilion ONE (MolloiLab/CAC-stanford-data; van Praagh et al. 2021)."""
    reading = reader().read(scan("qrm-phantom-canon"))
    assert not reading.heart.found
    assert "no heart found" in reading.notes
    assert not reading.mask.labels.any()


def test_contrast_agent_is_seen():
    """TCIA CPTAC-PDA, chest with contrast agent, blood at about 110 HU."""
    reading = reader().read(scan("cptac-chest"))
    assert reading.heart.found
    assert reading.quality.contrast
    assert reading.quality.blood_pool_hu == pytest.approx(110, abs=15)
