"""Artefacts appear where they should and nowhere else."""

import numpy as np
import pytest
import torch

from train.imaging.artefacts import cupping, doubled, outside_circle, rings, shading, streaks


def test_streaks_need_metal() -> None:
    image = torch.zeros(3, 64, 64)
    image[1, 30:33, 30:33] = 3000.0
    added = streaks(np.random.default_rng(0), image, (1.0, 1.0), 1.0)
    assert float(added[0].abs().max()) == float(added[2].abs().max()) == 0.0
    assert float(added[1].abs().max()) > 10.0


def test_streaks_do_not_hang_on_the_pixel_size() -> None:
    coarse, fine = torch.zeros(1, 64, 64), torch.zeros(1, 128, 128)
    coarse[0, 30:33, 30:33] = 3000.0
    fine[0, 60:66, 60:66] = 3000.0
    wide, narrow = (
        streaks(np.random.default_rng(0), image, (step, step), 0.2) for image, step in ((coarse, 1.0), (fine, 0.5))
    )
    assert float(narrow.std()) == pytest.approx(float(wide.std()), rel=0.2)


def test_cupping_is_a_bowl() -> None:
    bowl = cupping((65, 65), (2.0, 2.0), 10.0, "cpu")
    assert float(bowl[32, 32]) == pytest.approx(-10.0)
    assert float(bowl[32, 0]) > float(bowl[32, 16]) > float(bowl[32, 32])


def test_heart_moves_and_chest_does_not() -> None:
    image = torch.zeros(6, 64, 64)
    image[:, 20:40, 20:40] = 100.0
    near = torch.zeros_like(image)
    near[:, 10:50, 10:50] = 1.0
    image[:, :4] = 300.0
    seen = doubled(np.random.default_rng(3), image, near, (1.0, 1.0), (0.4, 4.0))
    assert torch.equal(seen[near == 0], image[near == 0])
    between = (seen > 1) & (seen < 99)
    assert between.any()
    assert float(seen[:, 28:32, 28:32].min()) == 100.0


def test_nothing_outside_the_circle() -> None:
    outside = outside_circle((64, 64), (0.5, 0.5), "cpu")
    assert outside[0, 0]
    assert not outside[32, 1]
    assert float(outside.float().mean()) == pytest.approx(1 - np.pi / 4, abs=0.02)


def test_rings_and_shading_are_as_strong_as_told() -> None:
    ringed = rings(np.random.default_rng(1), (128, 128), (1.0, 1.0), 8.0, "cpu")
    assert 2.0 < float(ringed.abs().max()) < 25.0
    uneven = shading(np.random.default_rng(1), (128, 128), 5.0, "cpu")
    assert 2.0 < float(uneven.std()) < 8.0
    assert float(torch.diff(uneven, dim=0).abs().max()) < 2.0
