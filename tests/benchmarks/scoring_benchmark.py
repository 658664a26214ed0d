"""How long scoring takes, beside a plain loop over dense slices: ``python -m tests.benchmarks.scoring_benchmark``.

The scan is synthetic: 48 slices of 512 x 512, noise of 20 HU, some sixty lesions of one to four slices in the four
coronaries and the aorta, and bone that fills the threshold with unlabelled voxels as a chest does.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from model.lesions import CORONARIES, CalciumMask, Vessel
from model.scoring import Definition, candidates, definition_for, lesions, score
from model.volume import CtVolume, VolumeGrid

SHAPE = (48, 512, 512)
SPACING_MM = (3.0, 0.4, 0.4)
REPEATS = 15


def scan(seed: int = 7, pieces: int = 60) -> tuple[CtVolume, CalciumMask]:
    """A noisy scan with lesions strewn over the heart, and the mask of them."""
    rng = np.random.default_rng(seed)
    hu = rng.normal(40, 20, SHAPE).astype(np.float32)
    for _ in range(300):
        _blob(hu, rng, corner=(0, 380, 60), size=(48, 100, 392), hu=(150, 900), radius=(2, 14))
    labels = np.zeros(SHAPE, np.uint8)
    vessels = list(Vessel)
    for number in range(pieces):
        where = _blob(hu, rng, corner=(6, 150, 150), size=(36, 190, 210), hu=(140, 800), radius=(2, 7))
        labels[where] = vessels[number % len(vessels)].label
    grid = VolumeGrid(shape=SHAPE, spacing_mm=SPACING_MM, origin_lps_mm=(-100.0, -100.0, 0.0))
    labels[hu < 130] = 0
    return CtVolume(hu=hu.round().astype(np.int16), grid=grid, mass_factor=0.75), CalciumMask(labels=labels, grid=grid)


def _blob(
    volume: NDArray[np.float32],
    rng: np.random.Generator,
    *,
    corner: tuple[int, int, int],
    size: tuple[int, int, int],
    hu: tuple[int, int],
    radius: tuple[int, int],
) -> tuple[NDArray[np.intp], ...]:
    centre = np.array(corner) + rng.integers(0, size)
    reach = int(rng.integers(*radius))
    axes = np.meshgrid(np.arange(-1, 2), *[np.arange(-reach, reach + 1)] * 2, indexing="ij")
    inside = axes[1] ** 2 + axes[2] ** 2 <= reach**2
    places = np.stack([axis[inside] for axis in axes]) + centre[:, None]
    fits = ((places >= 0) & (places < np.array(SHAPE)[:, None])).all(axis=0)
    where = tuple(places[:, fits])
    volume[where] += rng.uniform(*hu)
    return where


def plain_score(volume: CtVolume, mask: CalciumMask, definition: Definition) -> float:
    """Coronary Agatston by labelling every slice of every vessel with scipy."""
    total = 0.0
    shape = np.ones((3, 3)) if definition.connectivity == 8 else None
    for vessel in CORONARIES:
        for hu, labels in zip(volume.hu, mask.labels, strict=True):
            found, count = ndimage.label((labels == vessel.label) & (hu >= definition.threshold_hu), shape)
            for number in range(1, count + 1):
                inside = found == number
                area = np.count_nonzero(inside) * volume.grid.pixel_area_mm2
                if area >= definition.minimum_area_mm2:
                    total += area * (1 + sum(hu[inside].max() >= limit for limit in definition.weight_limits_hu))
    return total * volume.grid.slice_spacing_mm / 3


def _milliseconds(work: Callable[[], object], repeats: int) -> float:
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def main() -> None:
    """Print the table."""
    volume, mask = scan()
    definition = definition_for()
    ours, plain = score(volume, mask, definition).regions["CAC"].agatston, plain_score(volume, mask, definition)
    if not np.isclose(ours, plain):
        raise SystemExit(f"the two ways disagree: {ours} and {plain}")
    table = {
        "plain loop, 4 vessels": _milliseconds(lambda: plain_score(volume, mask, definition), 3),
        "score(), 6 vessels": _milliseconds(lambda: score(volume, mask, definition), REPEATS),
        "lesions(), 6 vessels": _milliseconds(lambda: lesions(volume, mask, definition), REPEATS),
        f"candidates(), {len(candidates(volume, definition))}": _milliseconds(
            lambda: candidates(volume, definition), REPEATS
        ),
    }
    loop = next(iter(table.values()))
    print(
        f"coronary Agatston {ours:.3f} both ways; {np.count_nonzero(mask.labels)} labelled voxels of {mask.labels.size}"
    )
    for name, spent in table.items():
        print(f"{name:<28}{spent:10.1f} ms{loop / spent:9.1f} x")


if __name__ == "__main__":
    main()
