"""Text and boxes on a picture, with the font that ships with Pillow, so that it looks the same on every machine."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cache
from math import ceil
from typing import Final

from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]

BACKGROUND: Final = (13, 17, 23)
PANEL: Final = (22, 27, 34)
LINE: Final = (48, 54, 61)
TEXT: Final = (230, 237, 243)
QUIET: Final = (145, 155, 168)
WARNING: Final = (240, 180, 60)


class Canvas:
    """An RGB picture to write on; positions are in pixels from the top left corner."""

    def __init__(self, width: int, height: int) -> None:
        self.image = Image.new("RGB", (width, height), BACKGROUND)
        self._draw = ImageDraw.Draw(self.image)

    def box(self, left: int, top: int, right: int, bottom: int, fill: Colour, outline: Colour | None = None) -> None:
        """A filled rectangle with slightly rounded corners."""
        self._draw.rounded_rectangle((left, top, right, bottom), radius=6, fill=fill, outline=outline)

    def rule(self, left: int, right: int, top: int) -> None:
        """A thin horizontal line."""
        self._draw.line((left, top, right, top), fill=LINE, width=1)

    def write(self, left: int, top: int, words: str, size: int, colour: Colour = TEXT) -> int:
        """Write one line with its ascender at ``top``; answers where it ends on the right."""
        self._draw.text((left, top), words, font=_font(size), fill=colour)
        return left + round(width_of(words, size))

    def write_right(self, right: int, top: int, words: str, size: int, colour: Colour = TEXT) -> int:
        """Write one line that ends at ``right``; answers where it begins."""
        left = right - round(width_of(words, size))
        self.write(left, top, words, size, colour)
        return left

    def paste(self, picture: Image.Image, left: int, top: int) -> None:
        """Put a picture onto this one."""
        self.image.paste(picture, (left, top))


def width_of(words: str, size: int) -> float:
    """Width of a line in pixels."""
    return _font(size).getlength(words)


def fitted(words: str, size: int, width: int) -> str:
    """The line, cut with an ellipsis where it is wider than ``width`` pixels."""
    if width_of(words, size) <= width:
        return words
    kept = bisect_right(range(len(words)), width, key=lambda count: ceil(width_of(f"{words[:count]}...", size))) - 1
    return f"{words[: max(kept, 0)].rstrip()}..."


def wrapped(paragraphs: Sequence[str], size: int, width: int, most: int) -> list[str]:
    """Lines no wider than ``width``; where they are more than ``most``, the last one says that there is more."""
    lines: list[str] = []
    for paragraph in paragraphs:
        line, long = "", 0.0
        for word in paragraph.split():
            added = width_of(f" {word}", size)
            if line and long + added > width:
                lines.append(fitted(line, size, width))
                line, long = "", 0.0
            line, long = f"{line} {word}".strip(), long + added
        lines.append(fitted(line, size, width))
    if len(lines) <= most:
        return lines
    more = "... more in the structured report"
    last = fitted(lines[most - 1], size, width - round(width_of(f" {more}", size))).removesuffix("...")
    return [*lines[: most - 1], f"{last.rstrip()} {more}"]


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise TypeError("this build of Pillow has no FreeType: the summary cannot be written")
    return font
