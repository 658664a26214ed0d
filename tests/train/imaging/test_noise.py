"""Noise has the level and spectrum asked for, also where pixels stand for finer ones."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from train.imaging.noise import level, noise, power
from train.imaging.ranges import Grain

QRM = Grain(peak_per_mm=0.33, order=4.0, floor=1.0)


def spectrum(grain: torch.Tensor, pixel_mm: float, at: list[float]) -> np.ndarray:
    values = grain.numpy()
    count = values.shape[-1]
    density = (np.abs(np.fft.fft2(values)) ** 2).mean(axis=0) * pixel_mm**2 / count**2
    line = np.fft.fftfreq(count, pixel_mm)
    frequency = np.hypot(line[:, None], line[None])
    return np.array([density[np.abs(frequency - place) < 0.02].mean() for place in at])


@pytest.mark.parametrize("grain", [Grain(), QRM, Grain(peak_per_mm=0.1, order=3.0, across=3.0, angle=0.4)])
@pytest.mark.parametrize("spacing", [0.35, 0.49])
def test_noise_has_unit_standard_deviation(grain: Grain, spacing: float) -> None:
    made = noise(np.random.default_rng(1), (6, 192, 192), (spacing, spacing), grain)
    assert float(made.std()) == pytest.approx(1.0, rel=0.04)
    assert abs(float(made.mean())) < 0.02


def test_noise_power_peaks_where_gated_scans_do() -> None:
    made = noise(np.random.default_rng(2), (20, 256, 256), (0.4, 0.4), Grain(peak_per_mm=0.2))
    places = list(np.arange(0.02, 0.8, 0.03))
    profile = spectrum(made, 0.4, places)
    assert abs(places[int(profile.argmax())] - 0.20) < 0.05
    assert 0.06 < profile[np.abs(np.array(places) - 0.55).argmin()] / profile.max() < 0.15


def test_noise_power_can_be_that_of_the_qrm_scan() -> None:
    """Measured on 16 slices of the homogeneous middle, Aquilion ONE FC12 (see ImagingRanges)."""
    measured = {0.05: 0.65, 0.17: 1.0, 0.27: 0.9, 0.35: 0.85, 0.47: 0.5, 0.52: 0.32, 0.62: 0.11, 0.72: 0.02}
    model = power(torch.tensor(list(measured)), QRM).numpy()
    assert np.abs(model / model.max() - np.array(list(measured.values()))).max() < 0.2


@pytest.mark.parametrize("grain", [Grain(peak_per_mm=0.14), Grain(peak_per_mm=0.28), QRM])
def test_averaged_pixels_hold_the_noise_that_reading_leaves(grain: Grain) -> None:
    """512 fine pixels brought to 1 mm by antialiased interpolation, as model.preprocess does, against noise at 1 mm."""
    fine = noise(np.random.default_rng(3), (6, 512, 512), (0.4375, 0.4375), grain)
    read = F.interpolate(fine[:, None], size=(224, 224), mode="bilinear", antialias=True, align_corners=False)[:, 0]
    made = noise(np.random.default_rng(4), (6, 224, 224), (1.0, 1.0), grain, averaged=True)
    assert float(made.std()) == pytest.approx(float(read.std()), rel=0.04)
    places = [0.06, 0.15, 0.25, 0.35]
    assert spectrum(made, 1.0, places) == pytest.approx(spectrum(read, 1.0, places), rel=0.15)


def test_qrm_noise_falls_to_two_thirds_when_read_at_1_mm() -> None:
    """Measured there: 21.4 HU at 0.488 mm, 14.4 HU at 1 mm."""
    made = noise(np.random.default_rng(5), (6, 224, 224), (1.0, 1.0), QRM, averaged=True)
    assert float(made.std()) == pytest.approx(0.67, abs=0.08)


def test_streaks_run_along_their_angle() -> None:
    made = noise(np.random.default_rng(6), (4, 128, 128), (0.5, 0.5), Grain(across=6.0)).numpy()
    along = (made[:, :, 2:] * made[:, :, :-2]).mean()
    across = (made[:, 2:] * made[:, :-2]).mean()
    assert along > across + 0.1


def test_noise_is_less_in_lungs_and_more_behind() -> None:
    image = torch.full((2, 128, 128), 40.0)
    image[:, :, :48] = -850.0
    rise = level(image, (1.0, 1.0), 0.6, 0.3)
    assert float(rise[0, 64, 100]) == pytest.approx(1.1, abs=0.1)
    assert float(rise[0, 64, 10]) < 0.7
    assert float(rise[0, 120, 100]) > float(rise[0, 8, 100])
