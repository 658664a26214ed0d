"""The demo's synthetic patients: chosen phantoms, packed small; ``node.demo.patients`` unpacks them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from train.anatomy.labels import CONFUSER
from train.cases import Case, Cohort, full_resolution, make_case
from train.imaging.ranges import ImagingRanges

# Seeds that training never draws from, chosen by their burden.
PATIENTS: Mapping[str, tuple[int, Cohort]] = {
    "zero": (900101, Cohort.NONE),
    "moderate": (900415, Cohort.HIGH),
    "heavy": (900027, Cohort.HIGH),
}

_STEP_HU = 8
_NO_NOISE_HU = (0.01, 0.01)
_AROUND_PIXELS = 4


def noiseless(seed: int, cohort: Cohort) -> Case:
    """A full-resolution case without noise: that is added when it is shown."""
    recipe = replace(full_resolution(cohort), imaging=ImagingRanges(noise_sd_hu=_NO_NOISE_HU))
    return make_case(seed, recipe)


def pack(case: Case, path: Path) -> None:
    """Write a case: tissue at half resolution in steps of 8 HU, the pixels around calcium as they are."""
    half = case.hu.reshape(case.hu.shape[0], case.hu.shape[1] // 2, 2, case.hu.shape[2] // 2, 2).mean(axis=(2, 4))
    steps = np.clip(np.rint((half + 1024) / _STEP_HU), 0, 255).astype(np.uint8)
    scored = np.where(case.calcium == CONFUSER, 0, case.calcium)
    near = np.flatnonzero(_around(case.calcium > 0))
    places = np.flatnonzero(scored)
    np.savez_compressed(
        path,
        seed=np.int64(case.seed),
        spacing_mm=np.array(case.spacing_mm),
        tissue=np.diff(steps, axis=2, prepend=np.uint8(0)),
        near_places=near.astype(np.int32),
        near_hu=case.hu.ravel()[near],
        calcium_places=places.astype(np.int32),
        calcium=scored.ravel()[places].astype(np.uint8),
    )


def _around(calcium: NDArray[np.bool_]) -> NDArray[np.bool_]:
    disc = ndimage.iterate_structure(ndimage.generate_binary_structure(2, 1), _AROUND_PIXELS)
    return np.asarray(ndimage.binary_dilation(calcium, structure=disc[None]), dtype=np.bool_)


def main(folder: Path = Path("node/demo/scans")) -> None:
    """Make the demo's patients again: ``python -m train.showcase``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (seed, cohort) in PATIENTS.items():
        pack(noiseless(seed, cohort), folder / f"{name}.npz")


if __name__ == "__main__":
    main()
