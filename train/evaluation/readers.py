"""Which readers an evaluation compares, and how each is opened."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from model import bundle
from model.bundle import load_bundle
from model.reader import Reader, choose_device
from train import baseline
from train.baseline import BaselineReader
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
        return BaselineReader.load(self.path, choose_device(self.device))

    def fingerprint(self) -> str:
        """Changes with its weights, its settings, and the code that reads."""
        found = hashlib.sha256(self.kind.encode())
        code = sorted(_MODEL.glob("*.py"))
        if self.kind is Kind.BUNDLE:
            own = [one for one in sorted(self.path.glob("*")) if one.suffix != ".md"]
        else:
            own = [self.path, self.path.with_suffix(".json"), Path(baseline.__file__)]
        for file in (*own, *code):
            if file.is_file():
                found.update(file.read_bytes())
        return found.hexdigest()[:16]
