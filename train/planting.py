"""Calcium made weaker, taken away, or copied to where none is scored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from model.labels import Anatomy
from model.network import CONTEXT_SLICES
from train.cohort import Prepared
from train.config import Augmentation

_MARGIN: Final = 3
_LARGEST: Final = 40
"""Pixels; longer plaques are not copied."""
_BANK: Final = 48
_REACH: Final = 75
"""Pixels around the heart's centre in which plaques are planted."""
_CLEAR: Final = 4
_PLACES: Final = (
    Anatomy.OTHER,
    Anatomy.LEFT_VENTRICLE,
    Anatomy.RIGHT_VENTRICLE,
    Anatomy.LEFT_ATRIUM,
    Anatomy.RIGHT_ATRIUM,
    Anatomy.PULMONARY_ARTERY,
    Anatomy.LUNG,
    Anatomy.ABDOMEN,
)
_TRIES: Final = 12
_EVERY_DIRECTION: Final = np.ones((3, 3, 3), dtype=np.bool_)

Floats = NDArray[np.float32]
Labels = NDArray[np.uint8]
Piece = tuple[tuple[slice, slice, slice], NDArray[np.bool_]]


def change(hu: Floats, calcium: Labels, rng: Generator, plan: Augmentation) -> None:
    """Fade or remove pieces of calcium in a stack, in place.

    Parameters
    ----------
    hu, calcium
        (slices, rows, columns) and the labels of every slice; a removed piece loses its labels, a faded one keeps them.

    """
    if plan.faded_share + plan.removed_share == 0:
        return
    for box, mask in pieces(calcium):
        chance = rng.random()
        if chance < plan.removed_share:
            _fade(hu[box], mask, 0.0, rng)
            calcium[box][mask] = 0
        elif chance < plan.removed_share + plan.faded_share:
            _fade(hu[box], mask, rng.uniform(*plan.faded), rng)


def pieces(calcium: Labels) -> list[Piece]:
    """Boxes around connected calcium, with a margin in the slice, and which of their voxels it and its rim are."""
    present = calcium > 0
    if not present.any():
        return []
    rows, columns = np.flatnonzero(present.any(axis=(0, 2))), np.flatnonzero(present.any(axis=(0, 1)))
    top, left = max(0, rows[0] - _MARGIN), max(0, columns[0] - _MARGIN)
    part = present[:, top : rows[-1] + _MARGIN + 1, left : columns[-1] + _MARGIN + 1]
    number, _ = ndimage.label(part, _EVERY_DIRECTION)
    found = []
    for label, (slices, across, down) in enumerate(ndimage.find_objects(number), start=1):
        box = (
            slices,
            slice(max(0, across.start - _MARGIN), across.stop + _MARGIN),
            slice(max(0, down.start - _MARGIN), down.stop + _MARGIN),
        )
        mask = ndimage.binary_dilation(number[box] == label, np.ones((1, 3, 3)))
        size = mask.shape
        place = (
            box[0],
            slice(top + box[1].start, top + box[1].start + size[1]),
            slice(left + box[2].start, left + box[2].start + size[2]),
        )
        found.append((place, mask))
    return found


def _fade(hu: Floats, mask: NDArray[np.bool_], strength: float, rng: Generator) -> None:
    """Scale what a piece adds to its surroundings; nothing but surroundings where the strength is 0."""
    for image, spot in zip(hu, mask, strict=True):
        around = image[~spot]
        if not spot.any() or around.size < 4:
            continue
        low, level, high = np.percentile(around, [25, 50, 75])
        if strength == 0:
            image[spot] = rng.choice(around[(around >= low) & (around <= high)], int(spot.sum()))
        else:
            above = np.maximum(image[spot] - level, 0)
            image[spot] = np.minimum(image[spot], level) + above * np.float32(strength)


def plaques(cases: Sequence[Prepared], rng: Generator) -> list[Floats]:
    """What plaques add to their surroundings (2 * CONTEXT_SLICES + 1, rows, columns), from some of the cases."""
    bank: list[Floats] = []
    for number in rng.permutation(len(cases))[: 2 * _BANK]:
        case = cases[number]
        slices = np.flatnonzero(case.present[:, 1:].any(axis=1))
        slices = slices[(slices >= CONTEXT_SLICES) & (slices < len(case.hu) - CONTEXT_SLICES)]
        if not slices.size:
            continue
        middle = int(rng.choice(slices))
        window = slice(middle - CONTEXT_SLICES, middle + CONTEXT_SLICES + 1)
        for (_, rows, columns), _ in pieces(case.calcium[window])[:3]:
            patch = case.hu[window, rows, columns].astype(np.float32)
            if max(patch.shape) <= _LARGEST:
                spot = ndimage.binary_dilation(case.calcium[window, rows, columns] > 0, np.ones((1, 3, 3)))
                level = np.median(patch[~spot]) if not spot.all() else 0.0
                bank.append(np.where(spot, np.maximum(patch - level, 0), 0).astype(np.float32))
        if len(bank) >= _BANK:
            break
    return bank


def plant(hu: Floats, case: Prepared, middle: int, bank: Sequence[Floats], rng: Generator) -> None:
    """Add one plaque of a bank to a stack, in place, where calcium would not be scored; it keeps no label."""
    if not bank:
        return
    plaque = bank[int(rng.integers(len(bank)))] * np.float32(rng.uniform(0.4, 1.2))
    _, height, width = plaque.shape
    rows, columns = hu.shape[1:]
    for _ in range(_TRIES):
        top = int(case.centre[1] + rng.uniform(-_REACH, _REACH)) - height // 2
        left = int(case.centre[2] + rng.uniform(-_REACH, _REACH)) - width // 2
        if top < _CLEAR or left < _CLEAR or top + height + _CLEAR > rows or left + width + _CLEAR > columns:
            continue
        near = (
            middle,
            slice(top - _CLEAR, top + height + _CLEAR),
            slice(left - _CLEAR, left + width + _CLEAR),
        )
        tissue = case.anatomy[middle, top + height // 2, left + width // 2]
        if tissue in _PLACES and not case.territory[near].any() and not case.calcium[near].any():
            hu[:, top : top + height, left : left + width] += plaque
            return
