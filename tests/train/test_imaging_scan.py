"""The simulated scanner has the sharpness, slice profile and noise it is told to have."""

import dataclasses

import numpy as np
import pytest
import torch

from train.anatomy.layers import balls
from train.imaging.deposit import deposit, deposit_moving, labels, strengths
from train.imaging.ranges import ImagingRanges, Scanner
from train.imaging.raster import PixelGrid
from train.imaging.scan import blur, draw_scanner, noise, resolve, slices, streaks


@pytest.mark.parametrize("sigma", [0.57, 0.8])
def test_point_spread_has_the_stated_width(sigma: float) -> None:
    image = torch.zeros(1, 101, 101)
    image[0, 50, 50] = 1.0
    spread = blur(image, (0.4, 0.4), sigma)[0].sum(dim=0)
    place = (torch.arange(101) - 50) * 0.4
    measured = float(torch.sqrt((spread * place**2).sum() / spread.sum()))
    assert measured == pytest.approx(sigma, rel=0.03)
    assert float(spread.sum()) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize("spacing", [0.4, 0.7, 1.0])
def test_noise_has_unit_standard_deviation(spacing: float) -> None:
    grain = noise(np.random.default_rng(1), (6, 128, 128), (spacing, spacing), 0.2)
    assert float(grain.std()) == pytest.approx(1.0, rel=0.03)
    assert abs(float(grain.mean())) < 0.02


def test_noise_power_peaks_where_gated_scans_do() -> None:
    grain = noise(np.random.default_rng(2), (40, 256, 256), (0.4, 0.4), 0.2)
    power = (torch.fft.fft2(grain).abs() ** 2).mean(dim=0).numpy()
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(256, 0.4), np.fft.fftfreq(256, 0.4)))
    bins = np.arange(0.02, 0.8, 0.03)
    profile = np.array([power[np.abs(frequency - centre) < 0.015].mean() for centre in bins])
    assert abs(bins[profile.argmax()] - 0.20) < 0.05
    assert 0.06 < profile[np.abs(bins - 0.55).argmin()] / profile.max() < 0.15


def test_drawn_scanners_stay_in_their_ranges() -> None:
    ranges = ImagingRanges()
    for seed in range(200):
        scanner = draw_scanner(np.random.default_rng(seed), ranges)
        assert ranges.noise_sd_hu[0] <= scanner.noise_sd_hu <= ranges.noise_sd_hu[1]
        assert ranges.psf_sigma_mm[0] <= scanner.psf_sigma_mm <= ranges.psf_sigma_mm[1]


def test_slice_profile_is_a_box() -> None:
    fine = torch.arange(12, dtype=torch.float32).reshape(6, 1, 2)
    assert slices(fine, 3).flatten().tolist() == [2.0, 3.0, 8.0, 9.0]


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


def test_streaks_need_metal() -> None:
    image = torch.zeros(3, 64, 64)
    image[1, 30:33, 30:33] = 3000.0
    added = streaks(np.random.default_rng(0), image, (1.0, 1.0), 1.0)
    assert float(added[0].abs().max()) == float(added[2].abs().max()) == 0.0
    assert float(added[1].abs().max()) > 10.0


def test_enhancing_kernel_overshoots_at_edges_and_nowhere_else() -> None:
    step = torch.zeros(1, 64, 64)
    step[..., 32:] = 100.0
    plain = Scanner(
        psf_sigma_mm=0.6,
        edge_gain=0.0,
        noise_sd_hu=1.0,
        noise_peak_per_mm=0.2,
        hu_shift=0.0,
        cupping_hu=0.0,
        streak_gain=1.0,
    )
    enhancing = dataclasses.replace(plain, edge_gain=0.3)
    flat, sharp = resolve(step, (0.5, 0.5), plain), resolve(step, (0.5, 0.5), enhancing)
    assert float(flat.max()) == pytest.approx(100.0, abs=0.01)
    assert 102.0 < float(sharp.max()) < 115.0
    assert torch.allclose(flat[..., 56:], sharp[..., 56:], atol=0.1)
