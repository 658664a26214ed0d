"""Colours have one place for light and one for dark, and stand out for whoever sees little of them (WCAG 2.2)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from node.web.rendering import FOLDER

STATIC = Path(FOLDER) / "static"
TEXT, PARTS = 4.5, 3.0  # least contrast of text (1.4.3, AA), and of what has to be seen of controls (1.4.11)
KINDS = ("good", "bad", "priority", "review", "minor", "concordant", "other")


def colours(name: str) -> dict[str, str]:
    """The colours of a sheet, by name."""
    found = re.findall(r"--([\w-]+): (#[0-9a-f]{6});", (STATIC / name).read_text(encoding="utf-8"))
    assert len(found) == len(dict(found)), f"a colour stands twice in {name}"
    return dict(found)


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_is_that_of_the_standard():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_light_and_dark_name_the_same_colours():
    assert colours("site.css").keys() == colours("dark.css").keys()
    for name in ("case.css", "charts.css"):
        used = set(re.findall(r"var\(--([\w-]+)\)", (STATIC / name).read_text(encoding="utf-8")))
        assert used <= colours("site.css").keys() | {"shadow"}


@pytest.mark.parametrize("sheet", ["site.css", "dark.css"])
def test_text_and_controls_stand_out(sheet: str):
    known = colours(sheet)
    pairs = [
        (ink, ground, TEXT) for ink in ("ink", "faint", "accent", "bad") for ground in ("ground", "panel", "hover")
    ]
    pairs += [(kind, f"{kind}-ground", TEXT) for kind in KINDS]
    pairs += [(kind, "panel", TEXT) for kind in KINDS]
    pairs += [("accent-ink", "accent", TEXT), ("edge", "panel", PARTS), ("focus", "ground", PARTS)]
    weak = {
        f"{ink} on {ground}": round(contrast(known[ink], known[ground]), 2)
        for ink, ground, least in pairs
        if contrast(known[ink], known[ground]) < least
    }
    assert not weak
