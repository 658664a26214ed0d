import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.labels import Organ
from train.views import UNKNOWN, Box, Views, Volume, draw_bend, draw_box, framed, see, within

SHAPE = (48, 64, 64)


def volume():
    """A ball of heart low in the middle of lung, a bone to its left, another behind it."""
    z, y, x = np.meshgrid(*(np.arange(n) for n in (50, 60, 60)), indexing="ij")
    organs = np.full(z.shape, Organ.LUNG, dtype=np.uint8)
    organs[(z - 20) ** 2 + (y - 28) ** 2 + (x - 30) ** 2 < 8**2] = Organ.HEART
    organs[np.abs(x - 45) < 2] = Organ.BONE
    organs[np.abs(y - 45) < 2] = Organ.ABDOMEN
    hu = np.choose(organs, [0, 40, 0, 0, 60, 0, -850, 300]).astype(np.int16)
    return Volume.of(hu, organs)


def view(box):
    return framed(*see(np.random.default_rng(0), volume(), box, np.eye(3), 0.0), box, SHAPE)


@given(st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_boxes_fit_and_hold_the_heart_off_centre_by_a_fifth_at_most(seed):
    box = draw_box(np.random.default_rng(seed), Views(), SHAPE)
    assert all(4 <= n <= most for n, most in zip(box.size, SHAPE, strict=True))
    for place, n in zip(box.heart[1:], box.size[1:], strict=True):
        assert abs(place - (n - 1) / 2) <= 0.2 * n + 1e-9


@given(st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
def test_no_body_is_mirrored_and_all_keep_a_human_size(seed):
    bend = draw_bend(np.random.default_rng(seed), Views())
    assert (np.diag(bend) > 0.5).all()
    assert 0.25 < np.linalg.det(bend) < 4.5


def test_a_straight_view_is_the_volume_itself():
    box = Box(size=(40, 44, 44), heart=np.array([14.0, 20.0, 22.0]), round=False)
    hu, organs = view(box)
    assert hu.shape == organs.shape == SHAPE
    assert organs[14, 20, 22] == Organ.HEART
    assert organs[14, 20, 37] == Organ.BONE  # 15 voxels to the left
    assert organs[14, 37, 22] == Organ.ABDOMEN  # 17 to the back
    assert (organs[40:] == UNKNOWN).all()
    assert (organs[:, 44:] == UNKNOWN).all()
    assert (hu[40:] == -1000).all()
    heart = np.argwhere(organs.numpy() == Organ.HEART).mean(axis=0)
    np.testing.assert_allclose(heart, [14, 20, 22], atol=0.01)
    assert float(hu[14, 20, 22]) == pytest.approx(40, abs=0.01)


def test_a_round_field_is_air_outside():
    box = Box(size=(40, 44, 44), heart=np.array([14.0, 20.0, 22.0]), round=True)
    hu, organs = view(box)
    assert float(hu[10, 1, 1]) == -1000
    assert organs[10, 1, 1] == Organ.OTHER
    assert organs[10, 22, 1] == Organ.LUNG


def test_what_the_volume_does_not_show_is_unknown():
    box = Box(size=(40, 64, 64), heart=np.array([14.0, 40.0, 40.0]), round=False)
    _, organs = view(box)
    assert (organs[:40, :11] == UNKNOWN).all()
    assert organs[14, 12, 40] == Organ.LUNG


def test_a_scan_has_no_empty_slices():
    wanted = Box(size=(48, 40, 40), heart=np.array([30.0, 20.0, 20.0]), round=False)
    box = within(wanted, np.eye(3), volume())
    assert box.size == (38, 40, 40)
    np.testing.assert_allclose(box.heart, [20, 20, 20])
    _, organs = view(box)
    assert (organs[:38, 20, 20] != UNKNOWN).all()


def test_a_case_without_a_heart_is_refused():
    with pytest.raises(ValueError, match="no heart"):
        Volume.of(np.zeros((4, 4, 4), np.int16), np.zeros((4, 4, 4), np.uint8))
