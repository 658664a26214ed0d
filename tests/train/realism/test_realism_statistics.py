"""What is measured on scans is what was put into them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from train.realism.measuring import measure
from train.realism.sources import Scan
from train.realism.statistics import components, edge_mm, noise
from train.realism.tissues import tissues

STEP = (3.0, 0.8, 0.8)


def chest(sigma_mm: float = 0.6, sd: float = 0.0) -> Scan:
    """Lungs around a block of muscle, fat before it, bone behind."""
    hu = np.full((40, 240, 240), -850.0)
    hu[:, 70:170, 80:160] = 45.0
    hu[:, 10:60, 80:160] = -100.0
    hu[:, 185:205, 100:140] = 400.0
    hu = ndimage.gaussian_filter(hu, (0, sigma_mm / STEP[1], sigma_mm / STEP[2]))
    hu += np.random.default_rng(1).normal(0, sd, hu.shape) if sd else 0.0
    return Scan(name="made", hu=hu.astype(np.float32), spacing_mm=STEP, centre=(20.0, 120.0, 120.0))


def test_tissues_are_told_apart() -> None:
    scan = chest(sd=10.0)
    found = tissues(scan)
    for name, hu in {"lung": -850, "fat": -100, "heart": 45, "bone": 400}.items():
        assert scan.hu[found[name]].mean() == pytest.approx(hu, abs=8 if name != "bone" else 40)
        assert found[name].sum() > 500


@pytest.mark.parametrize("sd", [8.0, 25.0])
def test_noise_is_that_put_in(sd: float) -> None:
    measured = noise(chest(sd=sd))
    assert measured is not None
    assert measured.sd_hu == pytest.approx(sd, rel=0.1)
    assert np.nanmin(measured.power[2:]) > 0.6  # white


def test_no_soft_tissue_no_noise() -> None:
    air = Scan(name="air", hu=np.full((8, 64, 64), -900, dtype=np.float32), spacing_mm=STEP, centre=(4.0, 32.0, 32.0))
    assert noise(air) is None
    assert components(air).number == 0
    assert len(edge_mm(air)) == 0


@pytest.mark.parametrize("sigma", [0.8, 1.2])
def test_edges_rise_as_the_point_spread_says(sigma: float) -> None:
    """From 10 to 90 % an edge blurred by a Gaussian takes 2.56 standard deviations."""
    assert np.median(edge_mm(chest(sigma))) == pytest.approx(2.563 * sigma, rel=0.12)


def test_edge_of_nothing_is_no_edge() -> None:
    scan = chest()
    scan.hu[:, :, :80] = -1024.0
    assert len(edge_mm(scan)) < len(edge_mm(chest()))


def test_components_are_counted_and_sized() -> None:
    scan = chest(sigma_mm=0.1)
    scan.hu[20, 120, 120] = scan.hu[10, 100, 100] = 300.0
    found = components(scan)
    assert (found.number, found.small) == (3, 2)
    assert found.heart is None


def test_test_objects_are_measured_for_physics_alone() -> None:
    made = measure(chest(sd=10.0), plastic=True)
    assert made.tissues == {}
    assert made.components is None
    assert made.fine_noise is not None
