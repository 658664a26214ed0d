"""Where the heart is: the coarse look at the whole scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from model.labels import Organ
from model.network import UNet
from model.preprocess import Millimetre, Upright, coarse_input
from model.volume import Vector

GATE_MARGIN_MM: Final = 12.0
"""Coronaries and the valve lie within this distance of the localised heart, aortic calcium of heart or aorta."""

_CUT_CM2: Final = 12.0
_SURE: Final = 0.55  # mean probability of what is taken for the heart; less is a guess about something else
_AORTA_ML: Final = 1.0  # smaller pieces are no stretch of an aorta
_VESSELS_ML: Final = 2.0  # so much of root and pulmonary artery beside the heart is no stray voxel
_OUTSIDE: Final = -998.0 / 500.0  # input where a scanner stored no measurement, or nothing but air
_FAR_MM: Final = 1e4
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
        Sides on which the scan cuts through the heart: "feet", "head", "front", "back", "right", "left". Not "head"
        where only the roof of the atria is outside: where the root, from which the coronaries spring, ends within
        the scan.
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
    far_mm
        float (slices, rows, columns), coarse: distance from the structure's surface, at most 0 inside it.
    span
        Voxels of the finer grid that one voxel of ``far_mm`` spans along each axis.

    """

    far_mm: NDArray[np.float64]
    span: tuple[float, float, float]

    @classmethod
    def around(cls, chosen: NDArray[np.bool_], span: tuple[float, float, float], voxel_mm: NDArray[np.float64]) -> Self:
        """Measure from a coarse mask; ``voxel_mm`` is the size of its voxels."""
        if not chosen.any():
            return cls(far_mm=np.full(chosen.shape, _FAR_MM), span=span)
        far = ndimage.distance_transform_edt(~chosen, sampling=tuple(voxel_mm.tolist()))
        # the surface lies half a voxel outside the outermost centres
        return cls(far_mm=np.asarray(far - voxel_mm.min() / 2), span=span)

    def distance_mm(self, place: NDArray[np.float64]) -> NDArray[np.float64]:
        """How far places (n, 3) of the finer grid lie from the structure, interpolated; about 0 or less inside."""
        index = (place + 0.5) / np.array(self.span) - 0.5
        return np.asarray(ndimage.map_coordinates(self.far_mm, index.T, order=1, mode="nearest"))

    def holds(self, place: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether places (n, 3) of the finer grid lie within the margin."""
        return np.asarray(self.distance_mm(place) <= GATE_MARGIN_MM)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Located:
    """The localised heart in numbers that the next steps need.

    Attributes
    ----------
    centre
        (slice, row, column) of the heart's centre in the millimetre grid, fractional.
    gate
        The heart with its root and their margin, for places of the millimetre grid.

    """

    finding: HeartFinding
    centre: NDArray[np.float64]
    gate: Gate


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Seen:
    """What the localiser says: probabilities of heart, root and aorta (z, y, x), and its input in units of 500 HU."""

    heart: NDArray[np.float32]
    root: NDArray[np.float32]
    aorta: NDArray[np.float32]
    best: NDArray[np.int64]
    image: NDArray[np.float32]

    @classmethod
    def by(cls, network: UNet, image: Tensor, shape: list[int]) -> Self:
        logits = network(image)[0, :, : shape[0], : shape[1], : shape[2]].float()
        share = logits.softmax(0)
        # bundles made before there was a root have fewer classes
        known = {organ: share[organ].cpu().numpy() for organ in Organ if organ < len(share)}
        nothing = np.zeros(tuple(share.shape[1:]), dtype=np.float32)
        return cls(
            heart=known.get(Organ.HEART, nothing),
            root=known.get(Organ.ROOT, nothing),
            aorta=known.get(Organ.AORTA, nothing),
            best=logits.max(0).indices.cpu().numpy(),
            image=image[0, 0, : shape[0], : shape[1], : shape[2]].cpu().numpy(),
        )


def locate(network: UNet, scan: Millimetre, upright: Upright, smallest_ml: float) -> Located | None:
    """Find the heart in a whole scan.

    None if there is none of at least ``smallest_ml``, or what looks like one does so only vaguely.
    """
    image, span = coarse_input(scan.hu, scan.spacing_mm, network.config.multiple)
    image = image.contiguous(memory_format=torch.channels_last_3d)
    shape = [max(1, round(n / s)) for n, s in zip(scan.hu.shape, span, strict=True)]
    seen = _Seen.by(network, image, shape)
    voxel_mm = np.array(span) * np.array(scan.spacing_mm)
    voxel_ml = float(voxel_mm.prod() / 1000)
    heart = ndimage.binary_fill_holes(_likeliest(seen.best, voxel_ml))
    volume_ml = float(heart.sum() * voxel_ml)
    if volume_ml < smallest_ml or seen.heart[heart].mean() < _SURE:
        return None
    # graded at its surface the centre is not bound to whole voxels
    weight = seen.heart * ndimage.binary_dilation(heart)
    centre = (np.array(ndimage.center_of_mass(weight)) + 0.5) * np.array(span) - 0.5
    position = upright.grid.to_lps(scan.to_native(centre)).tolist()
    aorta = _pieces(seen.root + seen.aorta >= 0.5, _AORTA_ML / voxel_ml)
    root = _touching(seen.root >= 0.5, heart)
    finding = HeartFinding(
        found=True,
        centre_lps_mm=(position[0], position[1], position[2]),
        volume_ml=volume_ml,
        truncated=tuple(
            side for side in _cut_sides(heart, seen.image, voxel_mm) if side != "head" or not _ends_within(root)
        ),
        blood_pool_hu=_blood_pool(aorta, heart, seen.image),
    )
    near = heart | root
    return Located(finding=finding, centre=centre, gate=Gate.around(near, span, voxel_mm))


def _likeliest(best: NDArray[np.int64], voxel_ml: float) -> NDArray[np.bool_]:
    """The largest piece of heart; one that great vessels spring from counts five times its size.

    Shoulders and liver may look like more heart than there is, but have no root beside them.
    """
    pieces, count = ndimage.label(best == Organ.HEART)
    if count == 0:
        return np.asarray(pieces > 0)
    reach = ndimage.maximum_filter(pieces, 3)
    vessels = reach[(best == Organ.ROOT) | (best == Organ.PULMONARY_ARTERY)]
    beside = np.minimum(1.0, np.bincount(vessels, minlength=count + 1) * voxel_ml / _VESSELS_ML)
    score = np.bincount(pieces.ravel()) * (1 + 4 * beside)
    score[0] = 0
    return np.asarray(pieces == score.argmax())


def _pieces(chosen: NDArray[np.bool_], least: float) -> NDArray[np.bool_]:
    """Connected pieces of at least so many voxels."""
    pieces, _ = ndimage.label(chosen)
    kept = np.bincount(pieces.ravel()) >= least
    kept[0] = False
    return np.asarray(kept[pieces])


def _touching(chosen: NDArray[np.bool_], other: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pieces that lie beside another structure."""
    pieces, _ = ndimage.label(chosen)
    beside = np.unique(pieces[ndimage.binary_dilation(other)])
    return np.asarray(np.isin(pieces, beside[beside > 0]))


def _cut_sides(heart: NDArray[np.bool_], image: NDArray[np.float32], voxel_mm: NDArray[np.float64]) -> tuple[str, ...]:
    """Sides on which more than a stray face of the heart lies at the end of the scan or of its round field."""
    air = image <= _OUTSIDE
    outside, beyond_rim = np.pad(air, 2, constant_values=True), np.pad(air, 2)
    cut = []
    for axis, names in enumerate(_SIDES):
        face_cm2 = np.delete(voxel_mm, axis).prod() / 100
        for step, name in zip((-1, 1), names, strict=True):
            # a voxel at the rim of a round field is partly filled with air and seldom called heart
            ends = _beside(outside, axis, step) | _beside(beyond_rim, axis, 2 * step)
            if (heart & ends).sum() * face_cm2 > _CUT_CM2:
                cut.append(name)
    return tuple(cut)


def _ends_within(root: NDArray[np.bool_]) -> bool:
    """Whether there is a root, and the scan goes on above it."""
    return bool(root.any() and not root[-1].any())


def _beside(padded: NDArray[np.bool_], axis: int, step: int) -> NDArray[np.bool_]:
    """What lies so many voxels further along an axis, of an array padded by two."""
    window = [slice(2, n - 2) for n in padded.shape]
    window[axis] = slice(2 + step, padded.shape[axis] - 2 + step)
    return padded[tuple(window)]


def _blood_pool(aorta: NDArray[np.bool_], heart: NDArray[np.bool_], image: NDArray[np.float32]) -> float | None:
    for where, least in ((aorta, 40), (heart, 400)):
        inside = ndimage.binary_erosion(where)
        if inside.sum() >= least:
            return float(np.median(image[inside]) * 500.0)
    return None
