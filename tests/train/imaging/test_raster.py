"""Lattice fields reach every pixel, whatever the numbers of pixels and lattice points."""

import pytest
import torch

from train.imaging.raster import PixelGrid, Raster


@pytest.mark.parametrize("rows", [*range(160, 262), 512])
def test_a_whole_field_fills_the_image(rows: int) -> None:
    pixel = 1.0 if rows < 512 else 0.4321
    grid = PixelGrid(shape=(2, rows, rows), spacing_mm=(3.0, pixel, pixel), per_slice=1)
    frame = grid.frame(2.5, "cpu")
    shown = Raster(frame, grid).to_pixels(torch.ones(frame.shape))
    assert shown.shape == grid.shape
    assert torch.allclose(shown, torch.ones(grid.shape), atol=1e-5)
