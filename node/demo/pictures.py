"""Pictures of a demo case: slices with what was read, and in white what is known to be there and was not read."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from model.lesions import Vessel
from node.dicom.codes import SITES
from node.dicom.keyslices import choose_slices

_WINDOW_HU: Final = (-260.0, 440.0)
_TILE: Final = 384
_ACROSS: Final = 4
_MOST: Final = 8
_CAPTION: Final = 34
_MISSED: Final = (255, 255, 255)


def write_picture(
    path: Path, hu: NDArray[np.int16], truth: NDArray[np.uint8], read: NDArray[np.uint8], caption: str
) -> None:
    """Write up to eight slices with most calcium; all arrays are (slices, rows, columns)."""
    chosen = choose_slices(np.where(read > 0, read, truth).astype(np.uint8), _MOST)
    rows = -(-len(chosen) // _ACROSS)
    sheet = Image.new("RGB", (_TILE * _ACROSS, _TILE * rows + _CAPTION), (12, 14, 18))
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(16)
    for place, at in enumerate(chosen):
        left, top = place % _ACROSS * _TILE, place // _ACROSS * _TILE
        sheet.paste(_tile(hu[at], truth[at], read[at]), (left, top))
        draw.text((left + 8, top + 6), f"slice {at}", font=font, fill=(220, 220, 220))
    draw.text((8, _TILE * rows + 8), caption, font=font, fill=(220, 220, 220))
    sheet.save(path)


def _tile(hu: NDArray[np.int16], truth: NDArray[np.uint8], read: NDArray[np.uint8]) -> Image.Image:
    low, high = _WINDOW_HU
    grey = np.clip((hu.astype(np.float32) - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    rgb = np.repeat(grey[:, :, None], 3, axis=2)
    for vessel in Vessel:
        rgb[_outline(read == vessel.label)] = SITES[vessel].rgb
    rgb[_outline((truth > 0) & (read == 0) & (hu >= 130))] = _MISSED
    return Image.fromarray(rgb).resize((_TILE, _TILE), Image.Resampling.LANCZOS)


def _outline(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    if not mask.any():
        return mask
    return np.asarray(ndimage.binary_dilation(mask, iterations=4) & ~ndimage.binary_dilation(mask, iterations=2))
