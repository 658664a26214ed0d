"""Reads many patients in every variant; goes on where it was stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from model.reader import Reader
from train.cases import Case, Recipe, make_case
from train.robustness.comparison import Comparison, compare
from train.robustness.variants import VARIANTS, made, original
from train.series.generator import generator_sha256

LINES: Final = "robustness.jsonl"
FORMAT: Final = 1


class Lines:
    """``robustness.jsonl``: a line a patient, with what it was made from. Lines of something else are left alone."""

    def __init__(self, folder: Path, reader_sha256: str, recipe: Recipe) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        asked = json.dumps([asdict(recipe), [variant.name for variant in VARIANTS]], sort_keys=True)
        made_from = f"{FORMAT}/{reader_sha256}/{generator_sha256()}/{asked}"
        self._key = hashlib.sha256(made_from.encode()).hexdigest()
        self._path = folder / LINES
        self.cases: dict[int, tuple[Comparison, ...]] = {}
        text = self._path.read_text(encoding="utf-8") if self._path.is_file() else ""
        for line in text.splitlines():
            self._take(line)
        if text and not text.endswith("\n"):
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n")  # the last line was cut short: it must not swallow the next one

    def add(self, seed: int, comparisons: Sequence[Comparison]) -> None:
        """Keep what was found in one patient."""
        line = {"key": self._key, "seed": seed, "comparisons": [one.as_dict() for one in comparisons]}
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self.cases[seed] = tuple(comparisons)

    def _take(self, line: str) -> None:
        try:
            values = json.loads(line)
            if values["key"] == self._key:
                found = tuple(Comparison.from_dict(one) for one in values["comparisons"])
                self.cases[int(values["seed"])] = found
        except (ValueError, KeyError, TypeError):
            return  # cut short: that patient is read again


def run(seeds: Sequence[int], recipe: Recipe, reader: Reader, lines: Lines, done: Callable[[], None]) -> None:
    """Read what is not among the lines yet; ``done`` is called after each patient."""
    for seed in seeds:
        if seed not in lines.cases:
            lines.add(seed, read_patient(make_case(seed, recipe, reader.device), reader))
        done()


def read_patient(fine: Case, reader: Reader) -> tuple[Comparison, ...]:
    """Read one patient in every variant."""
    first = original(fine)
    plain = (first, reader.read(first.volume))
    return tuple(compare(variant.name, plain, (sample, reader.read(sample.volume))) for variant, sample in made(fine))
