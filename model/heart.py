"""Where the heart is: the coarse look at the whole scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from model.labels import Organ
from model.network import UNet
from model.preprocess import Millimetre, Upright, coarse_input
from model.volume import Vector

GATE_MARGIN_MM: Final = 12.0
"""Coronaries and the valve lie within this distance of the localised heart, aortic calcium of heart or aorta."""

_CUT_CM2: Final = 12.0
_SIDES: Final = (("feet", "head"), ("front", "back"), ("right", "left"))


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartFinding:
    """Where the heart is, if there is one.

    Attributes
    ----------
    found
        False if nothing as large as a heart was seen; then nothing is scored.
    centre_lps_mm
        Centroid of chambers, walls and epicardial fat; None if not found.
    volume_ml
        Their volume, as far as it lies in the scan.
    truncated
        Sides on which the scan cuts through the heart: "feet", "head", "front", "back", "right", "left".
    blood_pool_hu
        Median HU of the aorta, or of the chambers if the aorta is out of view; None if neither was seen.
        100 or more means contrast agent.

    """

    found: bool
    centre_lps_mm: Vector | None = None
    volume_ml: float = 0.0
    truncated: tuple[str, ...] = ()
    blood_pool_hu: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gate:
    """A structure and a margin of 12 mm around it.

    Attributes
    ----------
    inside
        bool (slices, rows, columns), coarse.
    span
        Voxels of the finer grid that one voxel of ``inside`` spans along each axis.

    """

    inside: NDArray[np.bool_]
    span: tuple[float, float, float]

    @classmethod
    def around(cls, chosen: NDArray[np.bool_], span: tuple[float, float, float], voxel_mm: NDArray[np.float64]) -> Self:
        """Widen a coarse mask; ``voxel_mm`` is the size of its voxels."""
        if not chosen.any():
            return cls(inside=chosen, span=span)
        far = ndimage.distance_transform_edt(~chosen, sampling=tuple(voxel_mm.tolist()))
        return cls(inside=np.asarray(far <= GATE_MARGIN_MM), span=span)

    def holds(self, place: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether places (n, 3) of the finer grid lie inside."""
        index = ((place + 0.5) / np.array(self.span)).astype(np.int64)
        index = np.clip(index, 0, np.array(self.inside.shape) - 1)
        return np.asarray(self.inside[tuple(index.T)])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Located:
    """The localised heart in numbers that the next steps need.

    Attributes
    ----------
    centre
        (slice, row, column) of the heart's centre in the millimetre grid, fractional.
    gate
        The heart and its margin, for places of the millimetre grid.

    """

    finding: HeartFinding
    centre: NDArray[np.float64]
    gate: Gate


def locate(network: UNet, scan: Millimetre, upright: Upright, smallest_ml: float) -> Located | None:
    """Find the heart in a whole scan; None if there is none of at least ``smallest_ml``."""
    image, span = coarse_input(scan.hu, scan.spacing_mm, network.config.multiple)
    image = image.contiguous(memory_format=torch.channels_last_3d)
    shape = [max(1, round(n / s)) for n, s in zip(scan.hu.shape, span, strict=True)]
    organs = network(image)[0].max(0).indices[: shape[0], : shape[1], : shape[2]].cpu().numpy()
    heart = _largest(organs == Organ.HEART)
    voxel_mm = np.array(span) * np.array(scan.spacing_mm)
    volume_ml = float(heart.sum() * voxel_mm.prod() / 1000)
    if volume_ml < smallest_ml:
        return None
    centre = (np.array(ndimage.center_of_mass(heart)) + 0.5) * np.array(span) - 0.5
    position = upright.grid.to_lps(scan.to_native(centre)).tolist()
    finding = HeartFinding(
        found=True,
        centre_lps_mm=(position[0], position[1], position[2]),
        volume_ml=volume_ml,
        truncated=_cut_sides(heart, voxel_mm),
        blood_pool_hu=_blood_pool(organs, heart, image[0, 0].cpu().numpy()),
    )
    return Located(finding=finding, centre=centre, gate=Gate.around(heart, span, voxel_mm))


def _largest(chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    pieces, count = ndimage.label(chosen)
    if count < 2:
        return chosen
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return np.asarray(pieces == sizes.argmax())


def _cut_sides(heart: NDArray[np.bool_], voxel_mm: NDArray[np.float64]) -> tuple[str, ...]:
    cut = []
    for axis, names in enumerate(_SIDES):
        face_cm2 = np.delete(voxel_mm, axis).prod() / 100
        for end, name in zip((0, -1), names, strict=True):
            if heart.take(end, axis=axis).sum() * face_cm2 > _CUT_CM2:
                cut.append(name)
    return tuple(cut)


def _blood_pool(organs: NDArray[np.int64], heart: NDArray[np.bool_], image: NDArray[np.float32]) -> float | None:
    hu = image[: organs.shape[0], : organs.shape[1], : organs.shape[2]] * 500.0
    for where, least in ((organs == Organ.AORTA, 40), (heart, 400)):
        inside = ndimage.binary_erosion(where)
        if inside.sum() >= least:
            return float(np.median(hu[inside]))
    return None
