"""Test objects of plastic: shaped like a thorax or not, never with a heart. The localiser must not see one in them."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from model.labels import Organ

Array = NDArray[np.float32]


def solids(rng: Generator, shape: tuple[int, int, int]) -> tuple[Array, NDArray[np.int64]]:
    """HU float32 and organs int64 (z, y, x) at about 4 mm: a body of plastic with hollows, a spine and inserts.

    The 'lungs' and the 'spine' keep their organ's label, since what they are made of looks the same; all else is OTHER.
    """
    z, y, x = np.meshgrid(*(np.arange(n, dtype=np.float32) - (n - 1) / 2 for n in shape), indexing="ij")
    x, y = x - np.float32(rng.normal(0, 3)), y - np.float32(rng.normal(0, 3))
    across, deep = rng.uniform(24, 45), rng.uniform(16, 30)
    body = _oval(x, y, across, deep, rng.uniform(2.0, 3.5)) & (np.abs(z) < rng.uniform(8, 40))
    hu = np.full(shape, -1000.0, dtype=np.float32)
    organs = np.full(shape, Organ.OTHER, dtype=np.int64)
    plastic = rng.uniform(-110, 90)
    hu[body] = plastic
    if rng.random() < 0.75:
        hollow = body & _oval(x, y, across * 0.88, deep * 0.82, 2.2) & (np.abs(x) > rng.uniform(0, 4))
        hu[hollow] = rng.uniform(-920, -700)
        organs[hollow] = Organ.LUNG
    if rng.random() < 0.75:
        _spine(rng, hu, organs, x, y - np.float32(deep * rng.uniform(0.5, 0.8)), body)
    for number in range(int(rng.integers(1, 4))):
        radius = rng.uniform(8, 16) if number == 0 else rng.uniform(1.5, 8)
        left, back = rng.normal(0, 4 if number == 0 else 10), rng.normal(-2, 4 if number == 0 else 8)
        insert = body & (np.hypot(x - left, y - back) < radius)
        if rng.random() < 0.3:
            insert &= np.abs(z) < rng.uniform(3, 20)
        hu[insert] = rng.uniform(-60, 110)
        organs[insert] = Organ.OTHER
    for _ in range(int(rng.integers(0, 10))):
        bead = rng.normal(0, 6, 3)
        hu[(x - bead[0]) ** 2 + (y - bead[1]) ** 2 + (z - bead[2]) ** 2 < rng.uniform(0.5, 2.5)] += rng.uniform(50, 600)
    return hu, organs


def _oval(x: Array, y: Array, across: float, deep: float, power: float) -> NDArray[np.bool_]:
    return np.asarray(np.abs(x / across) ** power + np.abs(y / deep) ** power < 1)


def _spine(rng: Generator, hu: Array, organs: NDArray[np.int64], x: Array, y: Array, body: NDArray[np.bool_]) -> None:
    distance = np.hypot(x, y)
    radius = rng.uniform(3, 6)
    cortex = body & (distance < radius + 0.8)
    hu[cortex] = rng.uniform(200, 800)
    hu[body & (distance < radius)] = rng.uniform(80, 300)
    organs[cortex] = Organ.BONE
