import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.preprocess import (
    AIR_HU,
    FIELD,
    Millimetre,
    OrientationError,
    Upright,
    coarse_input,
    context_slices,
    crop,
    fine_input,
    offsets_mm,
)
from model.volume import CtVolume, VolumeGrid

CPU = torch.device("cpu")
Z, Y, X = (0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)


def minus(vector):
    return tuple(-c for c in vector)


def volume(directions=(Z, Y, X), shape=(4, 6, 8), spacing=(3.0, 0.5, 0.4)):
    hu = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    grid = VolumeGrid(shape=shape, spacing_mm=spacing, origin_lps_mm=(-10.0, 20.0, -30.0), directions=directions)
    return CtVolume(hu=hu, grid=grid)


axial = st.builds(
    lambda swap, z, y, x: (
        minus(Z) if z else Z,
        *((minus(X) if x else X, minus(Y) if y else Y) if swap else (minus(Y) if y else Y, minus(X) if x else X)),
    ),
    *[st.booleans()] * 4,
)


@settings(deadline=None)
@given(directions=axial)
def test_every_voxel_keeps_its_place_in_the_patient_whatever_way_the_stack_runs(directions):
    scan = volume(directions)
    upright = Upright.of(scan)
    np.testing.assert_allclose(upright.grid.axes(), [Z, Y, X])
    index = np.indices(upright.grid.shape).reshape(3, -1)
    native = upright.native_index(index)
    np.testing.assert_array_equal(scan.hu[tuple(native)], upright.hu[tuple(index)])
    np.testing.assert_allclose(upright.grid.to_lps(index.T), scan.grid.to_lps(native.T), atol=1e-9)


def test_turning_upright_copies_nothing():
    scan = volume((minus(Z), minus(Y), X))
    assert np.shares_memory(Upright.of(scan).hu, scan.hu)


@pytest.mark.parametrize("directions", [(Y, Z, X), (X, Y, Z), (minus(Y), minus(Z), X)])
def test_coronal_and_sagittal_stacks_are_refused(directions):
    with pytest.raises(OrientationError, match="axial"):
        Upright.of(volume(directions))


@pytest.mark.parametrize(("degrees", "accepted"), [(5, True), (11, True), (14, False), (40, False)])
def test_a_slight_tilt_is_read_an_oblique_stack_is_not(degrees, accepted):
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    scan = volume(((0.0, -s, c), (0.0, c, s), X))
    if accepted:
        assert Upright.of(scan).grid.shape == (4, 6, 8)
    else:
        with pytest.raises(OrientationError):
            Upright.of(scan)


@settings(max_examples=20, deadline=None)
@given(rows=st.integers(20, 200), columns=st.integers(20, 200), pixel=st.floats(0.3, 3.0))
def test_millimetre_pixels_stand_where_the_native_ones_did(rows, columns, pixel):
    hu = np.zeros((2, rows, columns), dtype=np.float32)
    hu += np.linspace(0, 100, rows, dtype=np.float32)[:, None]
    grid = VolumeGrid(shape=hu.shape, spacing_mm=(3.0, pixel, pixel), origin_lps_mm=(0.0, 0.0, 0.0))
    upright = Upright.of(CtVolume(hu=hu, grid=grid))
    scan = Millimetre.of(upright, CPU)
    size = scan.hu.shape[1:]
    assert abs(size[0] - rows * pixel) <= 0.5 + 1e-6
    assert scan.spacing_mm[1] * size[0] == pytest.approx(rows * pixel)
    middle = np.array([0.0, (size[0] - 1) / 2, (size[1] - 1) / 2])
    np.testing.assert_allclose(scan.to_native(middle), [0, (rows - 1) / 2, (columns - 1) / 2], atol=1e-9)
    # a ramp has the same value at the same place
    assert float(scan.hu[0, size[0] // 2, 0]) == pytest.approx(
        np.interp(scan.to_native(np.array([0.0, size[0] // 2, 0.0]))[1], np.arange(rows), hu[0, :, 0]), abs=2.0
    )
    pixels = scan.pixel_of(0, np.arange(rows))
    assert 0 <= pixels.min() <= pixels.max() < size[0]
    back = scan.to_native(np.stack([pixels * 0, pixels, pixels * 0], axis=1).astype(float))[:, 1]
    assert np.abs(back - np.arange(rows)).max() <= scan.scale[0] / 2 + 1e-6


def test_the_coarse_input_is_four_millimetres_padded_with_air():
    hu = torch.full((48, 200, 210), 50.0)
    image, span = coarse_input(hu, (3.0, 1.0, 1.0), 8)
    assert image.shape == (1, 1, 40, 56, 56)
    assert span == pytest.approx((48 / 36, 4.0, 210 / 52))
    assert float(image[0, 0, 35, 49, 51]) == pytest.approx(0.1)
    assert float(image[0, 0, 36, 0, 0]) == -2.0
    assert float(image[0, 0, 0, 50, 0]) == -2.0


def test_the_coarse_input_keeps_a_mark_where_it_was():
    hu = torch.full((20, 160, 160), -1000.0)
    hu[8:12, 100:108, 40:48] = 1000.0
    image, span = coarse_input(hu, (3.0, 1.0, 1.0), 1)
    place = np.argwhere(image[0, 0].numpy() > 0).mean(axis=0)
    np.testing.assert_allclose((place + 0.5) * span - 0.5, [9.5, 103.5, 43.5], atol=1.5)


@pytest.mark.parametrize(
    ("spacing", "seen"),
    [(3.0, [3, 4, 5, 6, 7]), (2.5, [3, 4, 5, 6, 7]), (1.5, [1, 3, 5, 7, 9]), (5.0, [4, 4, 5, 6, 6])],
)
def test_context_is_three_millimetres_apart_at_any_spacing(spacing, seen):
    assert context_slices(5, 20, spacing) == seen


def test_context_repeats_the_end_slices():
    assert context_slices(0, 3, 3.0) == [0, 0, 0, 1, 2]
    assert context_slices(2, 3, 3.0) == [0, 1, 2, 2, 2]


def test_a_field_beyond_the_scan_is_air():
    hu = torch.zeros((1, 100, 300))
    field = crop(hu, (-46, 200))
    assert field.shape == (1, FIELD, FIELD)
    assert float(field[0, 45, 0]) == AIR_HU
    assert float(field[0, 46, 0]) == 0.0
    assert float(field[0, 145, 99]) == 0.0
    assert float(field[0, 146, 99]) == AIR_HU
    assert float(field[0, 100, 100]) == AIR_HU


def test_position_channels_are_zero_at_the_heart_and_grow_left_back_and_up():
    where = offsets_mm(torch.tensor([[90.0, 100.0]]), torch.tensor([12.0]))
    assert where[0, :, 100, 90].tolist() == [0.0, 0.0, 12.0]
    assert where[0, :, 110, 95].tolist() == [5.0, 10.0, 12.0]


def test_the_candidate_channel_marks_the_threshold_itself():
    slices = torch.full((1, 5, 4, 4), 129.0)
    slices[0, 2, 1, 1] = 130.0
    image = fine_input(slices, torch.zeros((1, 3, 4, 4)), 130.0)
    assert image.shape == (1, 9, 4, 4)
    assert image[0, 5].sum() == 1
    assert image[0, 5, 1, 1] == 1
    assert fine_input(slices, torch.zeros((1, 3, 4, 4)), 145.0)[0, 5].sum() == 0
