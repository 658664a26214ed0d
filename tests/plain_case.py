"""The plainest case training can run on: a ball of heart in a box of lung, with calcium in fixed places."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.labels import Anatomy, Territory


@dataclass(frozen=True, kw_only=True)
class PlainCase:
    hu: NDArray[np.int16]
    calcium: NDArray[np.uint8]
    territory: NDArray[np.uint8]
    anatomy: NDArray[np.uint8]
    spacing_mm: tuple[float, float, float]


def plain_case(seed: int = 0, *, shape=(24, 96, 96), spacing_mm=(5.0, 2.0, 2.0), heart: bool = True) -> PlainCase:
    rng = np.random.default_rng(seed)
    z, y, x = np.meshgrid(
        *((np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(shape, spacing_mm, strict=True)), indexing="ij"
    )
    distance = np.sqrt(x**2 + y**2 + z**2)
    anatomy = np.full(shape, Anatomy.LUNG, dtype=np.uint8)
    hu = np.full(shape, -850, dtype=np.float64)
    calcium, territory = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    if heart:
        anatomy[distance < 45] = Anatomy.EPICARDIAL
        anatomy[distance < 38] = Anatomy.LEFT_VENTRICLE
        hu[distance < 45] = -90
        hu[distance < 38] = 45
        for vessel, sides in zip(
            range(1, 8), [(1, 1), (1, -1), (-1, 1), (-1, -1), (0, 1), (1, 0), (0, 0)], strict=True
        ):
            near = (np.abs(x - 25 * sides[0]) < 5) & (np.abs(y - 25 * sides[1]) < 5) & (np.abs(z) < 15)
            territory[near] = vessel
            inner = near & (np.abs(x - 25 * sides[0]) < 3) & (np.abs(y - 25 * sides[1]) < 3) & (np.abs(z) < 9)
            calcium[inner] = vessel
            hu[inner] = 400
    spine = np.hypot(x, y - 80) < 12
    hu[spine], anatomy[spine] = 300, Anatomy.BONE
    hu += rng.normal(0, 10, shape)
    assert Territory.CONFUSER == 7
    return PlainCase(
        hu=hu.round().astype(np.int16), calcium=calcium, territory=territory, anatomy=anatomy, spacing_mm=spacing_mm
    )
