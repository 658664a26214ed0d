"""The three synthetic patients of the demo: phantoms made by ``python -m train.showcase``, never real people.

A file holds the scan without its noise: the tissue at half the resolution in steps of 8 HU, and the pixels around
calcium as they are. Loading brings it back to full resolution and adds noise of a CT's texture, seeded.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from model.lesions import CalciumMask
from model.volume import CtVolume, VolumeGrid

NAMES = ("zero", "moderate", "heavy")
TITLES = {
    "zero": "no coronary calcium",
    "moderate": "moderate, three vessels",
    "heavy": "heavy, with aortic calcium",
}
STEP_HU = 8
_NOISE_SD_HU = 16.0
_NOISE_MM = (0.6, 1.7)  # a band between these blurs has its power peak near 0.2 /mm
_TOP_MM = 60.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DemoPatient:
    """A scan and where its calcium is known to be."""

    name: str
    volume: CtVolume
    truth: CalciumMask


def load(name: str) -> DemoPatient:
    """One of :data:`NAMES`."""
    data = (files("node.demo") / "scans" / f"{name}.npz").read_bytes()
    with np.load(BytesIO(data), allow_pickle=False) as stored:
        spacing = tuple(float(step) for step in stored["spacing_mm"])
        hu = _tissue(stored["tissue"])
        hu.ravel()[stored["near_places"]] = stored["near_hu"]
        labels = np.zeros(hu.shape, dtype=np.uint8)
        labels.ravel()[stored["calcium_places"]] = stored["calcium"]
        seed = int(stored["seed"])
    hu += _noise(hu.shape, spacing[1], seed)
    extent = [(count - 1) * step for count, step in zip(hu.shape, spacing, strict=True)]
    grid = VolumeGrid(
        shape=(hu.shape[0], hu.shape[1], hu.shape[2]),
        spacing_mm=(spacing[0], spacing[1], spacing[2]),
        origin_lps_mm=(-extent[2] / 2, -extent[1] / 2, _TOP_MM - extent[0]),
    )
    volume = CtVolume(
        hu=np.clip(np.rint(hu), -1024, 3071).astype(np.int16), grid=grid, kvp=120.0, slice_thickness_mm=spacing[0]
    )
    return DemoPatient(name=name, volume=volume, truth=CalciumMask(labels=labels, grid=grid))


def _tissue(packed: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Full-resolution HU from half-resolution steps, stored as differences along a row."""
    steps = np.cumsum(packed, axis=2, dtype=np.uint8)
    half = steps.astype(np.float32) * STEP_HU - 1024
    return np.stack([ndimage.zoom(one, 2, order=1, grid_mode=True, mode="nearest") for one in half])


def _noise(shape: tuple[int, ...], pixel_mm: float, seed: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    fine, coarse = (width / pixel_mm / 2 for width in _NOISE_MM)
    white = rng.standard_normal(shape, dtype=np.float32)
    noise = ndimage.gaussian_filter(white, (0, fine, fine)) - ndimage.gaussian_filter(white, (0, coarse, coarse))
    return np.asarray(noise * (_NOISE_SD_HU / noise.std()), dtype=np.float32)
