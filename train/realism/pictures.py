"""Real scans and phantoms side by side, at matched levels, pixels and windows. Not for the repository."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np

from train.realism.sources import Scan

mpl.use("Agg")
import matplotlib.pyplot as plt

LEVELS_MM: Final = (48.0, 28.0, 10.0, -10.0, -30.0, -50.0)
WINDOWS_HU: Final = {"soft": (-160.0, 240.0), "wide": (-1000.0, 600.0), "calcium": (80.0, 600.0)}
_HALF_MM = 105.0


def side_by_side(path: Path, scans: list[Scan], window: str) -> None:
    """A row a scan, a column a level above the heart's middle; air where a scan ends."""
    low, high = WINDOWS_HU[window]
    figure, axes = plt.subplots(
        len(scans), len(LEVELS_MM), figsize=(3.4 * len(LEVELS_MM), 3.5 * len(scans)), squeeze=False
    )
    for row, scan in zip(axes, scans, strict=True):
        for axis, level in zip(row, LEVELS_MM, strict=True):
            axis.imshow(_slice(scan, level), cmap="gray", vmin=low, vmax=high, extent=(-105, 105, 105, -105))
            axis.set_title(f"{scan.name} {level:+.0f} mm", fontsize=9)
            axis.axis("off")
    figure.tight_layout()
    figure.savefig(path, dpi=70)
    plt.close(figure)


def _slice(scan: Scan, level_mm: float) -> np.ndarray:
    """A square of 210 mm about the heart's middle."""
    row, column = (max(1, round(_HALF_MM / step)) for step in scan.spacing_mm[1:])
    square = np.full((2 * row, 2 * column), -1024.0, dtype=np.float32)
    z, y, x = (round(middle) for middle in scan.centre)
    number = z + round(level_mm / scan.spacing_mm[0])
    if not 0 <= number < scan.hu.shape[0]:
        return square
    image = scan.hu[number]
    top, left = y - row, x - column
    inside = image[max(0, top) : top + 2 * row, max(0, left) : left + 2 * column]
    square[max(0, -top) :, max(0, -left) :][: inside.shape[0], : inside.shape[1]] = inside
    return square
