"""Which slices show a reading best, and how they look: windowed, cropped to the calcium, lesions outlined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from model.lesions import Vessel
from node.dicom.codes import SITES
from node.dicom.segmentation import vessel_areas

_WINDOW_HU: Final = (90.0, 750.0)  # centre and width usual for calcium scoring
_MARGIN_MM: Final = 18.0
WHOLE_MM: Final = 105.0  # a heart, in the height of a tile
CLOSE_MM: Final = 36.0
_GAP_PX: Final = 3  # the outline keeps off the lesion, which must stay visible
_LINE_PX: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A rectangle of the image plane, the same for every tile: top left corner and scale, in pixels of the source."""

    left: float
    top: float
    step_x: float  # source columns per pixel of the tile
    step_y: float
    size: tuple[int, int]


def choose_slices(labels: NDArray[np.uint8], most: int) -> tuple[int, ...]:
    """At most ``most`` slices in order: the fullest slice of each vessel first, then the fullest of all.

    Without any calcium, slices spread evenly over the middle of the stack.
    """
    slices = labels.shape[0]
    areas = vessel_areas(labels)
    total = areas.sum(axis=0)
    if not total.any():
        spread = np.linspace(slices * 0.2, slices * 0.8, num=min(most, slices))
        return tuple(sorted({min(int(at), slices - 1) for at in spread}))
    chosen: list[int] = []
    for area in areas[np.argsort(-areas.sum(axis=1), kind="stable")]:
        if area.any() and not any(area[at] == area.max() for at in chosen):
            chosen.append(int(area.argmax()))
    for at in np.argsort(-total, kind="stable"):
        if total[at] and int(at) not in chosen:
            chosen.append(int(at))
    return tuple(sorted(chosen[:most]))


def view_of(
    labels: NDArray[np.uint8], spacing_mm: tuple[float, float], size: tuple[int, int], least_mm: float = WHOLE_MM
) -> View:
    """The smallest view of a tile's shape, at least ``least_mm`` high, that holds all calcium with a margin.

    Where there is none, it shows the middle.
    """
    row_mm, column_mm = spacing_mm
    flat: NDArray[np.bool_] = labels.max(axis=0) > 0
    rows, columns = np.flatnonzero(flat.any(axis=1)), np.flatnonzero(flat.any(axis=0))
    if not rows.size:
        rows, columns = np.array([flat.shape[0] // 2]), np.array([flat.shape[1] // 2])
    width, height = size
    margin = min(_MARGIN_MM, least_mm / 4)
    needed = max(
        least_mm,
        (rows[-1] - rows[0]) * row_mm + 2 * margin,
        ((columns[-1] - columns[0]) * column_mm + 2 * margin) * height / width,
    )
    step_mm = needed / height
    step_x, step_y = step_mm / column_mm, step_mm / row_mm
    return View(
        left=float(columns[0] + columns[-1] + 1) / 2 - step_x * width / 2,
        top=float(rows[0] + rows[-1] + 1) / 2 - step_y * height / 2,
        step_x=step_x,
        step_y=step_y,
        size=size,
    )


def tile(hu: NDArray[np.int16] | NDArray[np.float32], labels: NDArray[np.uint8], view: View) -> Image.Image:
    """One slice (rows, columns) in a view, its lesions outlined in the colours of their vessels."""
    centre, width = _WINDOW_HU
    low = centre - width / 2
    grey = np.clip((hu.astype(np.float32) - low) * (255 / width), 0, 255).astype(np.uint8)
    picture = np.asarray(_seen(grey, view, Image.Resampling.BILINEAR))
    seen = np.asarray(_seen(labels, view, Image.Resampling.NEAREST))
    coloured = np.repeat(picture[:, :, None], 3, axis=2)
    _outline(coloured, seen)
    return Image.fromarray(coloured)


def _outline(coloured: NDArray[np.uint8], seen: NDArray[np.uint8]) -> None:
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    if not rows.size:
        return
    reach = _GAP_PX + _LINE_PX
    part = np.s_[max(rows[0] - reach, 0) : rows[-1] + reach + 1, max(columns[0] - reach, 0) : columns[-1] + reach + 1]
    outer = ndimage.maximum_filter(seen[part], footprint=_disc(reach))
    inner = ndimage.maximum_filter(seen[part], footprint=_disc(_GAP_PX))
    ring = (outer > 0) & (inner == 0)
    coloured[part][ring] = _palette()[outer[ring]]


def _seen(plane: NDArray[np.uint8], view: View, resampling: Image.Resampling) -> Image.Image:
    matrix = (view.step_x, 0.0, view.left, 0.0, view.step_y, view.top)
    return Image.fromarray(plane).transform(view.size, Image.Transform.AFFINE, matrix, resample=resampling)


def _disc(radius: int) -> NDArray[np.bool_]:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return np.asarray(x**2 + y**2 <= radius**2 + 1)


def _palette() -> NDArray[np.uint8]:
    colours = np.zeros((len(Vessel) + 1, 3), np.uint8)
    for vessel in Vessel:
        colours[vessel.label] = SITES[vessel].rgb
    return colours
