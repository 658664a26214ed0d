"""Which readers an evaluation compares, and how each is opened."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from model import bundle
from model.bundle import load_bundle
from model.reader import Reader
from train.evaluation.compare import ScanReader

_MODEL: Final = Path(bundle.__file__).parent


class Kind(StrEnum):
    """What lies at a reader's path."""

    BUNDLE = "bundle"
    BASELINE = "baseline"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderSpec:
    """A reader by name, small enough to hand to another process.

    Attributes
    ----------
    name
        What tables call it.
    path
        Folder of a bundle, or file of a baseline's weights.

    """

    name: str
    kind: Kind
    path: Path
    device: str = "auto"

    def open(self) -> ScanReader:
        """Load its weights."""
        if self.kind is Kind.BUNDLE:
            return Reader(load_bundle(self.path), device=self.device)
        from train.baseline import load_baseline  # noqa: PLC0415  # only who compares with it needs it

        baseline: ScanReader = load_baseline(self.path, device=self.device)
        return baseline

    def fingerprint(self) -> str:
        """Changes with its weights, its settings, and the code that reads."""
        found = hashlib.sha256(self.kind.encode())
        own = sorted(self.path.glob("*")) if self.path.is_dir() else [self.path]
        for file in [*(one for one in own if one.suffix != ".md"), *sorted(_MODEL.glob("*.py"))]:
            if file.is_file():
                found.update(file.read_bytes())
        return found.hexdigest()[:16]
