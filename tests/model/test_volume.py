from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.volume import CtVolume, VolumeGrid
from tests.phantoms import grid, uniform

TURNED = ((0.0, 0.0, -1.0), (0.6, 0.8, 0.0), (0.8, -0.6, 0.0))


def test_pixel_area_and_voxel_volume_use_each_spacing_once():
    place = grid(spacing_mm=(2.5, 0.4, 0.5))
    assert place.slice_spacing_mm == 2.5
    assert place.pixel_area_mm2 == pytest.approx(0.2)
    assert place.voxel_volume_mm3 == pytest.approx(0.5)


def test_columns_grow_to_the_left_rows_to_the_back_slices_upwards():
    place = grid(spacing_mm=(3.0, 0.5, 0.4), origin_lps_mm=(-100.0, -90.0, 10.0))
    assert place.to_lps(np.array([2, 10, 20])) == pytest.approx([-92.0, -85.0, 16.0])


def test_a_turned_grid_keeps_its_directions():
    place = VolumeGrid(shape=(4, 4, 4), spacing_mm=(3.0, 1.0, 2.0), origin_lps_mm=(1.0, 2.0, 3.0), directions=TURNED)
    # one slice down, then one row of 1 mm along (0.6, 0.8, 0), then one column of 2 mm along (0.8, -0.6, 0)
    assert place.to_lps(np.array([1, 1, 1])) == pytest.approx([1 + 0.6 + 1.6, 2 + 0.8 - 1.2, 3 - 3])


@given(
    index=st.tuples(*[st.floats(-500, 500)] * 3),
    spacing=st.tuples(*[st.floats(0.1, 10)] * 3),
    turned=st.booleans(),
)
def test_index_and_position_are_inverse(index, spacing, turned):
    directions = TURNED if turned else grid().directions
    place = VolumeGrid(shape=(2, 2, 2), spacing_mm=spacing, origin_lps_mm=(5.0, -7.0, 900.0), directions=directions)
    assert place.to_index(place.to_lps(np.array(index))) == pytest.approx(index, abs=1e-6)


def test_many_positions_at_once_keep_their_shape():
    index = np.zeros((5, 7, 3), dtype=np.int64)
    assert grid().to_lps(index).shape == (5, 7, 3)
    assert grid().to_index(np.zeros((5, 3))).shape == (5, 3)


@pytest.mark.parametrize("shape", [(0, 4, 4), (4, 4), (4, 4, -1)])
def test_a_volume_without_voxels_is_refused(shape):
    with pytest.raises(ValueError, match="at least one voxel"):
        VolumeGrid(shape=shape, spacing_mm=(1.0, 1.0, 1.0), origin_lps_mm=(0.0, 0.0, 0.0))


@pytest.mark.parametrize("spacing", [(0.0, 1.0, 1.0), (1.0, -1.0, 1.0), (1.0, 1.0, float("nan"))])
def test_spacing_that_is_no_distance_is_refused(spacing):
    with pytest.raises(ValueError, match="spacing"):
        grid(spacing_mm=spacing)


def test_an_origin_that_is_no_place_is_refused():
    with pytest.raises(ValueError, match="origin"):
        grid(origin_lps_mm=(0.0, float("inf"), 0.0))


@pytest.mark.parametrize(
    "directions",
    [
        ((0.0, 0.0, 1.0), (0.0, 1.0, 0.0), (0.0, 1.0, 0.0)),
        ((0.0, 0.0, 2.0), (0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
    ],
)
def test_directions_that_are_skewed_or_stretched_are_refused(directions):
    with pytest.raises(ValueError, match="perpendicular"):
        VolumeGrid(shape=(1, 1, 1), spacing_mm=(1.0, 1.0, 1.0), origin_lps_mm=(0.0, 0.0, 0.0), directions=directions)


def test_voxels_that_do_not_fill_the_grid_are_refused():
    with pytest.raises(ValueError, match="do not fill"):
        CtVolume(hu=np.zeros((4, 16, 15), np.int16), grid=grid())


@pytest.mark.parametrize("dtype", [np.float64, np.uint16, np.int32])
def test_hounsfield_units_are_int16_or_float32(dtype):
    with pytest.raises(ValueError, match="int16 or float32"):
        uniform(dtype=dtype)
