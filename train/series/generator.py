"""Which generator made a phantom: its code has no version of its own, so it is told by its content."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

from train import cases

_ROOT: Final = Path(cases.__file__).parent
_PARTS: Final = ("cases.py", "anatomy", "imaging", "realism")


@cache
def generator_sha256() -> str:
    """SHA-256 of the code and data that phantoms come from: another one may make other voxels of the same seed."""
    digest = hashlib.sha256()
    for part in _PARTS:
        place = _ROOT / part
        for path in [place] if place.is_file() else sorted(place.rglob("*")):
            if path.suffix in (".py", ".npz"):
                digest.update(path.relative_to(_ROOT).as_posix().encode())
                digest.update(path.read_bytes())
    return digest.hexdigest()
