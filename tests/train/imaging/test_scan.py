"""The simulated scanner has the sharpness and slice profile it is told to have."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from train.anatomy.layers import balls
from train.imaging.deposit import deposit, deposit_moving, labels, strengths
from train.imaging.ranges import ImagingRanges, Scanner
from train.imaging.raster import PixelGrid
from train.imaging.scan import blur, draw_scanner, profile, resolve, slices


@pytest.mark.parametrize("sigma", [0.57, 0.8])
def test_point_spread_has_the_stated_width(sigma: float) -> None:
    image = torch.zeros(1, 101, 101)
    image[0, 50, 50] = 1.0
    spread = blur(image, (0.4, 0.4), sigma)[0].sum(dim=0)
    place = (torch.arange(101) - 50) * 0.4
    measured = float(torch.sqrt((spread * place**2).sum() / spread.sum()))
    assert measured == pytest.approx(sigma, rel=0.03)
    assert float(spread.sum()) == pytest.approx(1.0, abs=1e-5)


def test_drawn_scanners_stay_in_their_ranges() -> None:
    ranges = ImagingRanges()
    for seed in range(200):
        scanner = draw_scanner(np.random.default_rng(seed), ranges)
        assert ranges.noise_sd_hu[0] <= scanner.noise_sd_hu <= ranges.noise_sd_hu[1]
        assert ranges.psf_sigma_mm[0] <= scanner.psf_sigma_mm <= ranges.psf_sigma_mm[1]


def test_hard_slice_profile_is_a_box() -> None:
    fine = torch.arange(12, dtype=torch.float32).reshape(6, 1, 2)
    weights = profile(Scanner(psf_sigma_mm=0.6, noise_sd_hu=1.0), 3.0, 1.0)
    assert weights == pytest.approx([1 / 3] * 3)
    assert slices(fine, 3, weights).flatten().tolist() == pytest.approx([2.0, 3.0, 8.0, 9.0])


@given(
    softness=st.floats(0, 0.8),
    step=st.sampled_from([1.5, 2.5, 3.0]),
    parts=st.integers(1, 4),
    overlapping=st.booleans(),
)
def test_slice_profile_is_even_and_sees_each_height_as_much(
    softness: float, step: float, parts: int, *, overlapping: bool
) -> None:
    scanner = Scanner(psf_sigma_mm=0.6, noise_sd_hu=1.0, profile_softness=softness, overlapping=overlapping)
    weights = profile(scanner, step, step / parts)
    assert weights == pytest.approx(weights[::-1])
    assert (len(weights) - parts) % 2 == 0
    flat = slices(torch.full((8 * parts, 1, 1), 40.0), parts, weights)
    assert flat.flatten().tolist() == pytest.approx([40.0] * 8, rel=1e-4)
    speck = torch.zeros(8 * parts, 1, 1)
    speck[4 * parts] = 1.0
    assert float(slices(speck, parts, weights).sum()) == pytest.approx(1 / parts, rel=0.12)


def test_overlapping_slices_are_twice_as_thick() -> None:
    scanner = Scanner(psf_sigma_mm=0.6, noise_sd_hu=1.0, overlapping=True)
    assert profile(scanner, 1.5, 1.5) == pytest.approx([0.25, 0.5, 0.25])
    assert profile(scanner, 3.0, 3.0) == pytest.approx([1.0])


def test_averaged_pixels_show_edges_as_averaging_does() -> None:
    """A step at 0.25 mm pixels, blurred and brought to 1 mm as reading does, against one rendered there."""
    scanner = Scanner(psf_sigma_mm=0.6, noise_sd_hu=1.0)
    place = (torch.arange(256) + 0.5) * 0.25 - 31.8
    fine = (place / 0.6 + 0.5).clamp(0, 1).expand(1, 256, 256)
    read = F.interpolate(
        resolve(fine, (0.25, 0.25), scanner)[None], size=(64, 64), mode="bilinear", antialias=True, align_corners=False
    )[0, 0, 32]
    coarse = (place.reshape(64, 4).mean(dim=1) / 1.0 + 0.5).clamp(0, 1).expand(1, 64, 64)
    made = resolve(coarse, (1.0, 1.0), scanner, averaged=True)[0, 32]
    assert torch.allclose(read, made, atol=0.03)
    assert not torch.allclose(read, resolve(coarse, (1.0, 1.0), scanner)[0, 32], atol=0.03)


@pytest.mark.parametrize("pixel", [0.4, 1.0])
@pytest.mark.parametrize("radius", [1.0, 2.0])
def test_ball_keeps_its_volume(pixel: float, radius: float) -> None:
    grid = PixelGrid(shape=(20, 40, 40), spacing_mm=(1.5, pixel, pixel), per_slice=1)
    ball = balls(np.array([[0.2, 0.1, -0.3]]), radius, 500.0, 3)
    keys = deposit(ball, grid, np.array([500.0]), "cpu")
    volume = float(strengths(keys).sum()) / 500 * 1.5 * pixel**2
    assert volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.2)
    assert set(np.unique(labels(keys)[strengths(keys) > 1].numpy())) == {3}


def test_motion_smears_but_keeps_the_amount() -> None:
    grid = PixelGrid(shape=(10, 60, 60), spacing_mm=(1.5, 0.5, 0.5), per_slice=1)
    still = balls(np.zeros((1, 3)), 1.5, 800.0, 4)
    moving = balls(np.zeros((1, 3)), 1.5, 800.0, 4, np.array([0.0, 0.0, 5.0]))
    sharp, _ = deposit_moving(still, grid, still.hu, "cpu")
    smeared, _ = deposit_moving(moving, grid, moving.hu, "cpu")
    assert float(smeared.max()) < float(sharp.max())
    assert float(smeared.sum()) == pytest.approx(float(sharp.sum()), rel=0.05)


@pytest.mark.parametrize("radius", [0.8, 1.2, 2.0])
def test_plaques_look_alike_read_from_fine_pixels_and_made_at_1_mm(radius: float) -> None:
    """Peak and area at or above 130 HU, over balls of calcium that lie anywhere between the pixels."""
    rng = np.random.default_rng(8)
    places = np.stack([np.repeat(np.arange(-30.0, 31.0, 15.0), 5), np.tile(np.arange(-30.0, 31.0, 15.0), 5)], axis=1)
    centres = np.concatenate([np.zeros((25, 1)), places + rng.uniform(-0.5, 0.5, places.shape)], axis=1)
    plaques = balls(centres, radius, 900.0, 2)
    scanner = Scanner(psf_sigma_mm=0.6, noise_sd_hu=1.0)
    images = []
    for count, step in ((200, 0.4), (80, 1.0)):
        grid = PixelGrid(shape=(1, count, count), spacing_mm=(3.0, step, step), per_slice=2)
        fine, _ = deposit_moving(plaques, grid.fine(), plaques.hu, "cpu")
        shown = resolve(slices(fine, 2, profile(scanner, 3.0, 1.5)), (step, step), scanner, averaged=step == 1.0)
        images.append(shown)
    read = F.interpolate(images[0][None], size=(80, 80), mode="bilinear", antialias=True, align_corners=False)[0, 0]
    peaks = [
        F.max_pool2d(image[None, None], 15, stride=15)[0, 0][:5, :5].mean() for image in (read[3:], images[1][0, 3:])
    ]
    assert float(peaks[1]) == pytest.approx(float(peaks[0]), rel=0.12)
    areas = [float((image >= 130 - 45).sum()) for image in (read, images[1][0])]
    assert areas[1] == pytest.approx(areas[0], rel=0.15, abs=6)


def test_enhancing_kernel_overshoots_at_edges_and_nowhere_else() -> None:
    step = torch.zeros(1, 64, 64)
    step[..., 32:] = 100.0
    plain = Scanner(psf_sigma_mm=0.6, noise_sd_hu=1.0)
    enhancing = dataclasses.replace(plain, edge_gain=0.3)
    flat, sharp = resolve(step, (0.5, 0.5), plain), resolve(step, (0.5, 0.5), enhancing)
    assert float(flat.max()) == pytest.approx(100.0, abs=0.01)
    assert 102.0 < float(sharp.max()) < 115.0
    assert torch.allclose(flat[..., 56:], sharp[..., 56:], atol=0.1)
