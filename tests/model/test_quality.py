import numpy as np
import pytest
import torch

from model.heart import HeartFinding
from model.labels import Anatomy
from model.preprocess import FIELD, Millimetre, Upright
from model.quality import Quality, assess
from model.surroundings import Surroundings
from model.volume import CtVolume, VolumeGrid

FOUND = HeartFinding(found=True, centre_lps_mm=(0.0, 0.0, 0.0), volume_ml=600.0, blood_pool_hu=44.0)
SHAPE, SPACING = (6, 400, 400), (3.0, 0.5, 0.5)


def around(hu, anatomy, corner=(4, 4), directions=((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0))):
    grid = VolumeGrid(shape=SHAPE, spacing_mm=SPACING, origin_lps_mm=(0.0, 0.0, 0.0), directions=directions)
    upright = Upright.of(CtVolume(hu=hu.round().astype(np.int16), grid=grid))
    scan = Millimetre.of(upright, torch.device("cpu"))
    return Surroundings(upright=upright, scan=scan, anatomy=anatomy, corner=corner)


def blood(label, sd=0.0, value=45.0):
    """A cylinder of blood, 30 mm across, in fat; the field begins 4 mm inside the scan."""
    hu = np.full(SHAPE, -100.0)
    rows, columns = np.ogrid[:400, :400]
    disc = np.hypot(rows * 0.5 - 80, columns * 0.5 - 110) < 15
    hu[:, disc] = value
    hu += np.random.default_rng(2).normal(0, sd, SHAPE) if sd else 0
    anatomy = np.zeros((6, FIELD, FIELD), np.uint8)
    rows, columns = np.ogrid[:FIELD, :FIELD]
    anatomy[:, np.hypot(rows + 4 - 80, columns + 4 - 110) < 15] = label
    return hu, anatomy


@pytest.mark.parametrize("label", [Anatomy.ASCENDING_AORTA, Anatomy.DESCENDING_AORTA, Anatomy.LEFT_ATRIUM])
@pytest.mark.parametrize("sd", [0.0, 12.0, 40.0])
def test_noise_and_level_of_the_blood_are_measured(label, sd):
    quality = assess(FOUND, around(*blood(label, sd)))
    assert quality.noise_sd_hu == pytest.approx(sd, rel=0.05, abs=0.1)
    assert quality.blood_pool_hu == pytest.approx(45, abs=2)
    assert ("noisy" in " ".join(quality.doubts)) == (sd == 40.0)


def test_the_aorta_goes_before_the_chambers():
    hu, anatomy = blood(Anatomy.ASCENDING_AORTA)
    anatomy[:, :40, :40] = Anatomy.LEFT_VENTRICLE
    assert assess(FOUND, around(hu, anatomy)).blood_pool_hu == 45


def test_mirrored_stacks_are_measured_in_the_same_place():
    hu, anatomy = blood(Anatomy.ASCENDING_AORTA, value=52.0)
    turned = hu[:, ::-1, ::-1]
    place = around(turned, anatomy, directions=((0.0, 0.0, 1.0), (0.0, -1.0, 0.0), (-1.0, 0.0, 0.0)))
    assert assess(FOUND, place).blood_pool_hu == 52


def test_without_blood_in_view_the_localisers_word_is_taken():
    hu, anatomy = blood(Anatomy.ASCENDING_AORTA)
    quality = assess(FOUND, around(hu, anatomy * 0))
    assert (quality.noise_sd_hu, quality.blood_pool_hu) == (None, 44.0)


def test_metal_is_measured_in_the_field_and_only_there():
    hu, anatomy = blood(Anatomy.ASCENDING_AORTA)
    hu[2, 100:105, 100:104] = 3000
    hu[2, 0, 0] = 3000
    quality = assess(FOUND, around(hu, anatomy))
    assert quality.metal_mm3 == pytest.approx(20 * 0.75)
    assert quality.doubts == ("metal: 15 mm3 above 2500 HU",)


def quality(**changes: object):
    plain = {"heart_found": True, "noise_sd_hu": 20.0, "blood_pool_hu": 45.0, "truncated": (), "metal_mm3": 0.0}
    return Quality(**{**plain, **changes})


def test_a_good_scan_raises_no_doubt():
    assert quality().doubts == ()
    assert quality(noise_sd_hu=None, blood_pool_hu=None).doubts == ()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"heart_found": False}, "no heart"),
        ({"blood_pool_hu": 100.0}, "contrast agent: blood is 100 HU"),
        ({"noise_sd_hu": 31.0}, "noisy: standard deviation of blood is 31 HU"),
        ({"truncated": ("feet", "left")}, "heart cut off: feet, left"),
    ],
)
def test_each_doubt_is_said(change, says):
    (doubt,) = quality(**change).doubts
    assert says in doubt


def test_contrast_begins_at_100_hu():
    assert not quality(blood_pool_hu=99.9).contrast
    assert quality(blood_pool_hu=100.0).contrast


def test_no_surroundings_no_measures():
    found = assess(HeartFinding(found=False), None)
    assert found.doubts == ("no heart found",)
