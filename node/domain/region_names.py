"""What people and machines call the regions of a read, in English and German, and which of ours each is.

A name that is not known is never guessed: 'LAD1' is no vessel of ours.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

REGION_NAMES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "LM": ("lm", "lms", "lmca", "lmt", "left main", "left main coronary artery", "left main stem", "hauptstamm"),
        "LAD": (
            "lad",
            "left anterior descending",
            "left anterior descending artery",
            "left anterior descending coronary artery",
            "riva",
            "ramus interventricularis anterior",
        ),
        "LCX": (
            "lcx",
            "cx",
            "rcx",
            "lcfx",
            "circumflex",
            "left circumflex",
            "left circumflex artery",
            "left circumflex coronary artery",
            "circumflex artery",
            "circumflex coronary artery",
            "circumflexa",
            "ramus circumflexus",
        ),
        "RCA": ("rca", "right coronary", "right coronary artery", "rechte koronararterie", "rechte kranzarterie"),
        "CAC": (
            "cac",
            "cacs",
            "total",
            "sum",
            "total cac",
            "total coronary",
            "total score",
            "coronary total",
            "coronary",
            "coronary arteries",
            "coronary artery",
            "coronary artery calcium",
            "coronary calcium",
            "gesamt",
            "summe",
            "insgesamt",
        ),
        "AV": ("av", "aov", "avc", "aortic valve", "aortenklappe"),
        "TA": ("ta", "tac", "thoracic aorta", "aorta thoracica", "thorakale aorta"),
        "AC": ("ac", "aortic calcium", "aortic total", "aortic valve and thoracic aorta"),
    }
)

_KNOWN: Final = {name: region for region, names in REGION_NAMES.items() for name in names}
_BETWEEN: Final = re.compile(r"[\W_]+")
_LONGEST: Final = 64


def region_named(text: str) -> str | None:
    """The region of :data:`node.domain.human_read.READ_REGIONS` that a name means; None where it means none."""
    if len(text) > _LONGEST:
        return None
    return _KNOWN.get(_BETWEEN.sub(" ", text).strip().lower())
