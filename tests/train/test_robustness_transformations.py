"""What happens to the scan does not happen to the patient."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from model.labels import Anatomy
from model.preprocess import Upright
from model.reader import Reader
from model.volume import CtVolume, VolumeGrid
from tests.heart_scan import heart_scan
from tests.plain_case import plain_case
from tests.tiny_bundle import tiny_bundle
from train.cases import Case, Recipe
from train.imaging.noise import noise
from train.imaging.ranges import Grain
from train.robustness.sample import Sample, fine_recipe, thick
from train.robustness.transformations import (
    brightened,
    cropped,
    mapped_back,
    measured_noise,
    noisier,
    off_centre,
    repixelled,
    turned,
)
from train.series.scan import scored

AXES = [(), (0,), (1,), (2,), (0, 2), (1, 2), (0, 1), (0, 1, 2)]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def sample_of(case) -> Sample:
    grid = VolumeGrid(shape=case.hu.shape, spacing_mm=case.spacing_mm, origin_lps_mm=(-7.0, 11.0, -180.0))
    return Sample(volume=CtVolume(hu=case.hu, grid=grid), calcium=case.calcium, anatomy=case.anatomy)


@pytest.fixture(scope="module")
def plain() -> Sample:
    return sample_of(plain_case(1))


@pytest.fixture(scope="module")
def finely() -> Sample:
    """A ball of heart in small pixels."""
    return sample_of(plain_case(2, shape=(12, 240, 240), spacing_mm=(6.0, 0.6, 0.6)))


@pytest.mark.parametrize("axes", AXES)
def test_turned_is_the_same_patient(axes, plain):
    other = turned(plain, axes)
    rng = np.random.default_rng(0)
    for index in rng.integers(0, other.volume.grid.shape, (50, 3)):
        place = other.volume.grid.to_lps(index)
        own = tuple(np.rint(plain.volume.grid.to_index(place)).astype(int))
        for name in ("calcium", "anatomy"):
            assert getattr(other, name)[tuple(index)] == getattr(plain, name)[own]
        assert other.volume.hu[tuple(index)] == plain.volume.hu[own]
    once, again = Upright.of(plain.volume), Upright.of(other.volume)
    assert np.array_equal(once.hu, again.hu)
    assert np.allclose(once.grid.origin_lps_mm, again.grid.origin_lps_mm)


@pytest.mark.parametrize("axes", AXES)
def test_turned_is_read_the_same_in_every_voxel(axes):
    volume = heart_scan(beads=((14, 50, 70), (10, 60, 40), (18, 70, 80)))
    reader = Reader(tiny_bundle(seed=3), device="cpu")
    nothing = np.zeros(volume.grid.shape, np.uint8)
    other = turned(Sample(volume=volume, calcium=nothing, anatomy=nothing), axes).volume
    first, second = reader.read(volume), reader.read(other)
    back = mapped_back(second.mask.labels, second.mask.grid, volume.grid)
    assert first.mask.labels.any()
    assert np.array_equal(back, first.mask.labels)
    assert second.scores.regions["CAC"].agatston == pytest.approx(first.scores.regions["CAC"].agatston)


@settings(max_examples=40, deadline=None)
@given(labels=arrays(np.uint8, (3, 4, 5), elements=st.integers(0, 6)), axes=st.sampled_from(AXES))
def test_mapping_back_undoes_turning(labels, axes):
    grid = VolumeGrid(shape=(3, 4, 5), spacing_mm=(3.0, 0.37, 0.41), origin_lps_mm=(1.5, -20.25, 7.0))
    one = Sample(volume=CtVolume(hu=labels.astype(np.int16), grid=grid), calcium=labels, anatomy=labels)
    other = turned(one, axes)
    assert np.array_equal(mapped_back(other.calcium, other.volume.grid, grid), labels)


def test_mapping_back_needs_the_same_voxels(plain):
    grid = plain.volume.grid
    for spacing, origin in (((5.0, 2.0, 2.1), grid.origin_lps_mm), (grid.spacing_mm, (-6.5, 11.0, -180.0))):
        other = VolumeGrid(shape=grid.shape, spacing_mm=spacing, origin_lps_mm=origin)
        assert mapped_back(plain.calcium, other, grid) is None
    far = VolumeGrid(shape=grid.shape, spacing_mm=grid.spacing_mm, origin_lps_mm=(1993.0, 11.0, -180.0))
    assert not mapped_back(plain.calcium, far, grid).any()


def test_a_cropped_field_keeps_the_heart_where_it_was(plain):
    other = cropped(plain, 10.0)
    assert other.volume.grid.shape[1] < plain.volume.grid.shape[1]
    back = mapped_back(other.calcium, other.volume.grid, plain.volume.grid)
    assert np.array_equal(back, plain.calcium)
    heart = (plain.anatomy == Anatomy.LEFT_VENTRICLE).sum()
    assert (other.anatomy == Anatomy.LEFT_VENTRICLE).sum() == heart


@pytest.mark.parametrize("axes", [(), (1,), (2,), (1, 2)])
def test_an_off_centre_field_spares_the_heart(axes, plain):
    """The ball lies in the middle but for 10 mm towards one corner of the field."""
    rolled = np.roll
    lopsided = Sample(
        volume=CtVolume(hu=rolled(plain.volume.hu, (5, 9), (1, 2)), grid=plain.volume.grid),
        calcium=rolled(plain.calcium, (5, 9), (1, 2)),
        anatomy=rolled(plain.anatomy, (5, 9), (1, 2)),
    )
    one = turned(lopsided, axes)
    other = off_centre(one, 0.2)
    assert other.volume.hu.shape == one.volume.hu.shape
    moved = np.subtract(other.volume.grid.origin_lps_mm, one.volume.grid.origin_lps_mm)
    assert sorted(np.abs(moved).tolist()) == pytest.approx([0, 0, 19 * 2.0])
    back = mapped_back(other.calcium, other.volume.grid, one.volume.grid)
    assert np.array_equal(back, one.calcium)
    assert (other.volume.hu == -1024).any(axis=0).sum() == 19 * 96


def test_hu_move_and_stay_in_range(plain):
    assert np.array_equal(brightened(plain, 10).volume.hu, plain.volume.hu + 10)
    assert brightened(plain, 5000).volume.hu.max() == 3071
    up = scored(brightened(plain, 10).volume, plain.calcium).labels > 0
    assert (up >= (scored(plain.volume, plain.calcium).labels > 0)).all()


@pytest.mark.parametrize("pixel_mm", [0.35, 0.49, 0.75])
def test_other_pixels_show_the_same_things_in_the_same_places(pixel_mm, finely):
    other = repixelled(finely, pixel_mm)
    grid = other.volume.grid
    assert grid.spacing_mm[1] == pytest.approx(pixel_mm, abs=0.002)
    extent = grid.shape[1] * grid.spacing_mm[1]
    assert extent == pytest.approx(finely.volume.grid.shape[1] * finely.volume.grid.spacing_mm[1])
    for label in (1, 4, 7):
        centres = [
            one.volume.grid.to_lps(np.argwhere(one.calcium == label).mean(axis=0)) for one in (finely, other)
        ]  # fmt: skip
        assert np.abs(centres[0] - centres[1]).max() < pixel_mm / 2 + 0.1
        areas = [(one.calcium == label).sum() * one.volume.grid.pixel_area_mm2 for one in (finely, other)]
        assert areas[1] == pytest.approx(areas[0], rel=0.2)  # ten pixels wide: one more or less
    bright = [np.median(one.volume.hu[one.calcium == 1]) for one in (finely, other)]
    assert bright[1] == pytest.approx(bright[0], abs=15)


@pytest.mark.parametrize("peak", [0.14, 0.25])
def test_noise_is_measured_and_raised_with_its_own_texture(peak, finely):
    rng = np.random.default_rng(3)
    shape, steps = finely.volume.grid.shape, finely.volume.grid.spacing_mm[1:]
    grain = 20 * noise(rng, shape, steps, Grain(peak_per_mm=peak)).numpy()
    quiet = finely.with_hu(np.where(finely.anatomy == Anatomy.LEFT_VENTRICLE, 45, finely.volume.hu) + grain)
    deviation, frequency = measured_noise(quiet)
    assert deviation == pytest.approx(20 * np.std(grain / 20), rel=0.1)
    assert frequency == pytest.approx(peak * 1.596, rel=0.12)
    louder = noisier(quiet, 1.3, seed=1)
    raised, still = measured_noise(louder)
    assert raised == pytest.approx(1.3 * deviation, rel=0.05)
    assert still == pytest.approx(frequency, rel=0.08)
    assert louder.volume.hu.astype(float).mean() == pytest.approx(quiet.volume.hu.mean(), abs=0.5)
    assert np.array_equal(noisier(quiet, 1.3, seed=1).volume.hu, louder.volume.hu)


def test_without_chambers_no_noise_is_added(plain):
    bare = Sample(volume=plain.volume, calcium=plain.calcium, anatomy=np.zeros_like(plain.anatomy))
    assert noisier(bare, 1.3, seed=0) is bare
    assert np.array_equal(cropped(bare, 5.0).volume.hu, plain.volume.hu)


def fine_case(slices: int = 30) -> Case:
    rng = np.random.default_rng(0)
    hu = rng.normal(50, 60, (slices, 20, 20)).astype(np.int16)
    calcium = np.zeros(hu.shape, np.uint8)
    calcium[4:9, 5, 5], calcium[9, 5, 5], calcium[1, 2, 2] = 2, 7, 3
    return Case(
        seed=0,
        hu=hu,
        spacing_mm=(0.5, 0.4, 0.4),
        calcium=calcium,
        territory=calcium,
        anatomy=np.arange(slices, dtype=np.uint8)[:, None, None] * np.ones((1, 20, 20), np.uint8),
        heart_centre_mm=(7.0, 4.0, 4.0),
    )


@pytest.mark.parametrize(("spacing", "shift", "count"), [(3.0, 0.0, 5), (2.5, 0.0, 6), (1.5, 0.0, 10), (3.0, 1.5, 4)])
def test_thick_slices_are_means_of_fine_ones(spacing, shift, count):
    fine = fine_case()
    one = thick(fine, spacing, shift)
    per, first = round(spacing / 0.5), round(shift / 0.5)
    assert one.volume.hu.shape == (count, 20, 20)
    for at in range(count):
        block = fine.hu[first + at * per : first + (at + 1) * per]
        assert np.abs(one.volume.hu[at] - block.mean(axis=0)).max() <= 0.51
        middle = (first + at * per + (per - 1) / 2) * 0.5
        assert one.volume.grid.to_lps(np.array([at, 0, 0]))[2] == pytest.approx(middle)
        assert np.abs(one.anatomy[at, 0, 0] - (first + at * per + (per - 1) / 2)) <= 0.5


def test_thick_slices_are_labelled_by_most_of_their_calcium():
    one = thick(fine_case(), 3.0)
    assert one.calcium[:, 5, 5].tolist() == [2, 2, 0, 0, 0]
    assert one.calcium[0, 2, 2] == 3
    assert one.calcium.astype(bool).sum() == 3


def test_fine_slices_are_as_noisy_as_their_dose():
    recipe = fine_recipe(Recipe(slices=(40, 40)))
    assert recipe.slice_mm == (0.5,)
    assert recipe.slices == (288, 288)
    assert recipe.imaging.noise_sd_hu[0] == pytest.approx(Recipe().imaging.noise_sd_hu[0] * 6**0.5)
    assert recipe.imaging.overlapping == 0
