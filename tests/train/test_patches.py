import dataclasses

import numpy as np
import pytest
import torch

from model.labels import Anatomy, Organ, Territory
from model.network import CONTEXT_SLICES, FINE_CHANNELS
from model.preprocess import FIELD, POSITION_MM
from tests.plain_case import plain_case
from train.cohort import Cohort, Prepared, case_path, paths
from train.config import Augmentation
from train.disturbance import noise_bank
from train.patches import FineTask

CPU = torch.device("cpu")
STILL = Augmentation(
    rotation_deg=0.0,
    scale=(1.0, 1.0),
    stretch_sd=0.0,
    shift_sd_mm=0.0,
    elastic_mm=0.0,
    centre_sd_mm=0.0,
    no_position=0.0,
    contrast=0.0,
    solids=0.0,
    thick_share=0.0,
    moved_share=0.0,
    repeated_share=0.0,
    gain_sd=0.0,
    offset_sd_hu=0.0,
    gamma=(1.0, 1.0),
    sharpness=(0.0, 0.0),
    noise_hu=(0.01, 0.02),
    noise_shape_sd=0.0,
    native_noise_hu=(0.0, 0.0),
    narrow_share=0.0,
    faded_share=0.0,
    removed_share=0.0,
    planted_share=0.0,
)


@pytest.fixture(scope="module")
def cohort():
    return Cohort(cases=tuple(Prepared.of(plain_case(seed)) for seed in range(2)))


def test_the_heart_of_a_prepared_case_is_in_its_middle(cohort):
    case = cohort.cases[0]
    assert case.hu.shape == case.calcium.shape == case.anatomy.shape == (24, 192, 192)
    np.testing.assert_allclose(case.centre, [11.5, 95.5, 95.5], atol=0.7)
    assert case.organs.shape == (30, 48, 48)
    assert (case.organs == Organ.HEART).sum() * 64 / 1000 == pytest.approx(4 / 3 * np.pi * 4.5**3, rel=0.1)
    assert set(np.unique(case.calcium)) == set(range(8))


def test_a_case_without_a_heart_cannot_be_trained_on():
    with pytest.raises(ValueError, match="no heart"):
        Prepared.of(plain_case(heart=False))


def test_a_prepared_case_survives_the_disk(cohort, tmp_path):
    cohort.cases[1].write(case_path(tmp_path, 12))
    cohort.cases[0].write(case_path(tmp_path, 3))
    assert [path.name for path in paths(tmp_path)] == ["case-0000003.npz", "case-0000012.npz"]
    read = Cohort.read(tmp_path).cases[1]
    for name in Prepared.__slots__:
        np.testing.assert_array_equal(getattr(read, name), getattr(cohort.cases[1], name))


def test_large_arrays_stay_in_the_file_and_are_never_written_to(cohort, tmp_path):
    case, path = cohort.cases[0], case_path(tmp_path, 3)
    large = dataclasses.replace(case, hu=np.arange(2**18, dtype=np.int16).reshape(4, 256, 256))
    large.write(path)
    read = Prepared.read(path)
    assert isinstance(read.hu, np.memmap)
    assert not read.hu.flags.writeable
    np.testing.assert_array_equal(read.hu, large.hu)
    np.savez_compressed(path, **{name: getattr(large, name) for name in Prepared.__slots__})
    np.testing.assert_array_equal(Prepared.read(path).hu, large.hu)


def test_what_calcium_a_slice_holds_is_kept_and_found_again_where_it_was_not(cohort, tmp_path):
    case, path = cohort.cases[0], case_path(tmp_path, 3)
    for number, labels in enumerate(case.calcium):
        assert np.flatnonzero(case.present[number]).tolist() == np.unique(labels).tolist()
    np.savez(path, **{name: getattr(case, name) for name in Prepared.__slots__ if name != "present"})
    np.testing.assert_array_equal(Prepared.read(path).present, case.present)


def test_a_cohort_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="no prepared cases"):
        Cohort.read(tmp_path)


def test_a_step_always_sees_the_same_fields(cohort):
    first, again = (FineTask(cohort, Augmentation(), 5).batch(3, 2, CPU) for _ in range(2))
    for name in ("image", "hu", "bright", "calcium", "territory", "anatomy", "scored"):
        torch.testing.assert_close(getattr(first, name), getattr(again, name), rtol=0, atol=0)
    other = FineTask(cohort, Augmentation(), 5).batch(4, 2, CPU)
    assert not torch.equal(first.image, other.image)


def test_without_augmentation_a_field_is_the_case_itself(cohort):
    batch = FineTask(cohort, STILL, 1).batch(0, 6, CPU)
    assert batch.image.shape == (6, FINE_CHANNELS, FIELD, FIELD)
    inside = batch.anatomy == Anatomy.LEFT_VENTRICLE
    clean = inside & (batch.territory == 0)
    assert float(batch.hu[clean].mean()) == pytest.approx(45, abs=5)
    assert float(batch.hu[batch.anatomy == Anatomy.LUNG].median()) < -800
    calcium = batch.calcium > 0
    assert calcium.any()
    assert float((batch.hu[calcium] > 130).float().mean()) > 0.8
    assert torch.equal(batch.calcium[calcium], batch.territory[calcium])
    candidate = batch.image[:, 2 * CONTEXT_SLICES + 1]
    torch.testing.assert_close(candidate, (batch.hu >= 130).float())


def test_position_channels_are_zero_at_the_heart_wherever_the_field_was_moved(cohort):
    plan = Augmentation(centre_sd_mm=0.0, no_position=0.0, contrast=0.0)
    batch = FineTask(cohort, plan, 2).batch(1, 8, CPU)
    heart = ((batch.anatomy == Anatomy.LEFT_VENTRICLE) | (batch.anatomy == Anatomy.EPICARDIAL)).float()
    x, y = (batch.image[:, channel] * POSITION_MM for channel in (-3, -2))
    for k in range(8):
        if heart[k].sum() > 500:
            assert float((x[k] * heart[k]).sum() / heart[k].sum()) == pytest.approx(0, abs=2.5)
            assert float((y[k] * heart[k]).sum() / heart[k].sum()) == pytest.approx(0, abs=2.5)
            # left is left and back is back: nothing is ever mirrored
            assert float(x[k, 96, -1] - x[k, 96, 0]) > 150
            assert float(y[k, -1, 96] - y[k, 0, 96]) > 150


def test_vessels_keep_their_sides(cohort):
    batch = FineTask(cohort, Augmentation(no_position=0.0), 3).batch(2, 16, CPU)
    columns = torch.arange(FIELD).float()
    sides = {}
    for label in (Territory.LAD, Territory.LCX):
        where = batch.territory == label
        sides[label] = float((where * columns).sum() / where.sum())
    # in the plain case the LAD lies to the left (+x), the LCX to the right
    assert sides[Territory.LAD] > sides[Territory.LCX] + 20


def test_contrast_agent_is_never_scored(cohort):
    batch = FineTask(cohort, Augmentation(contrast=1.0), 3).batch(0, 4, CPU)
    assert not batch.scored.any()
    assert float(batch.hu[batch.anatomy == Anatomy.LEFT_VENTRICLE].median()) > 90


def test_noise_is_of_unit_strength_and_band_limited():
    bank = noise_bank(np.random.default_rng(0), sheets=2, slices=2, size=128).numpy()
    assert bank.std(axis=(1, 2, 3)) == pytest.approx([1, 1], abs=0.01)
    power = np.abs(np.fft.fft2(bank)) ** 2
    low, middle, high = (power[..., 0, k].mean() for k in (1, 20, 62))
    assert middle > 2 * high
    assert middle > low
