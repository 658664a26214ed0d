"""Where a score lies among people of the same sex and age, by a table that the site supplies. None is shipped.

The table is CSV with a header::

    sex,ethnicity,age_low,age_high,p25,p50,p75,p90
    M,,45,54,0,1,45,210

``sex`` is M or F. ``ethnicity`` may be left out or empty: such a row holds for anyone who has no row of their own.
Ages are whole years, both ends included. Each ``pNN`` column is the Agatston score at that percentile.
"""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from model.risk import Sex

_REQUIRED: Final = ("sex", "age_low", "age_high")
_OPTIONAL: Final = ("ethnicity",)


class TableError(ValueError):
    """A percentile table cannot be used; the message names the line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Scores at the percentiles of one group: ``scores[i]`` belongs to ``PercentileTable.percentiles[i]``."""

    sex: Sex
    ethnicity: str
    ages: tuple[int, int]
    scores: tuple[float, ...]

    def meets(self, other: Row) -> bool:
        """Whether one person could fall under both."""
        same = (self.sex, self.ethnicity) == (other.sex, other.ethnicity)
        return same and self.ages[0] <= other.ages[1] and other.ages[0] <= self.ages[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class PercentileTable:
    """A site's percentile table."""

    percentiles: tuple[float, ...]
    rows: tuple[Row, ...]

    @classmethod
    def read(cls, path: Path) -> PercentileTable:
        """Read a CSV file in UTF-8.

        Raises
        ------
        TableError
            A line breaks the rules above; the message names it.
        OSError
            The file cannot be opened.

        """
        try:
            return cls.parse(path.read_text(encoding="utf-8-sig").splitlines())
        except UnicodeDecodeError as error:
            raise TableError("a percentile table is text in UTF-8") from error

    @classmethod
    def parse(cls, lines: Iterable[str]) -> PercentileTable:
        """Read the lines of a CSV file; see :meth:`read`."""
        reader = csv.DictReader(lines, skipinitialspace=True)
        columns = _percentile_columns(reader.fieldnames or ())
        rows: list[Row] = []
        for record in reader:
            row = _row(record, tuple(columns), reader.line_num)
            if any(row.meets(other) for other in rows):
                raise TableError(f"line {reader.line_num}: an earlier line holds for the same people")
            rows.append(row)
        if not rows:
            raise TableError("a percentile table needs at least one line under its header")
        return cls(percentiles=tuple(columns.values()), rows=tuple(rows))

    def band(self, cac: float, *, sex: Sex, age: float, ethnicity: str = "") -> tuple[float, float] | None:
        """Percentiles between which a score lies, from 0 to 100; None if the table has no such people.

        Both ends are the same where the score is exactly a listed one. A score of 0 begins at percentile 0.
        """
        if not (math.isfinite(cac) and cac >= 0):
            raise ValueError(f"a calcium score is 0 or more, not {cac:g}")
        row = self._row_for(sex, age, ethnicity.strip().lower())
        if row is None:
            return None
        listed = tuple(zip(self.percentiles, row.scores, strict=True))
        equal = [percentile for percentile, score in listed if score == cac]
        below = max((percentile for percentile, score in listed if score < cac), default=0.0)
        above = min((percentile for percentile, score in listed if score > cac), default=100.0)
        low = below if cac == 0 or not equal else equal[0]
        return low, equal[-1] if equal else above

    def _row_for(self, sex: Sex, age: float, ethnicity: str) -> Row | None:
        years = math.floor(age)
        fits = {row.ethnicity: row for row in self.rows if row.sex is sex and row.ages[0] <= years <= row.ages[1]}
        return fits.get(ethnicity) or fits.get("")


def _percentile_columns(header: Iterable[str]) -> dict[str, float]:
    names = list(header)
    absent = [name for name in _REQUIRED if name not in names]
    if absent:
        raise TableError(f"line 1: no column {', '.join(absent)}")
    columns = {}
    for name in names:
        if name in (*_REQUIRED, *_OPTIONAL):
            continue
        if not (name.startswith("p") and name[1:].replace(".", "", 1).isdigit() and 0 < float(name[1:]) < 100):
            raise TableError(
                f"line 1: {name!r} is no column of a percentile table; percentiles are named p25, p50, ..."
            )
        columns[name] = float(name[1:])
    if not columns or len(set(names)) < len(names):
        raise TableError("line 1: at least one percentile column is needed, and each column only once")
    if any(low >= high for low, high in itertools.pairwise(columns.values())):
        raise TableError("line 1: percentile columns must rise from left to right")
    return columns


def _row(record: Mapping[str, str], columns: tuple[str, ...], line: int) -> Row:
    try:
        row = Row(
            sex=Sex(record["sex"].strip().upper()),
            ethnicity=(record.get("ethnicity") or "").strip().lower(),
            ages=(int(record["age_low"]), int(record["age_high"])),
            scores=tuple(float(record[name]) for name in columns),
        )
    except (ValueError, TypeError, AttributeError) as error:
        # DictReader leaves None where a line is too short: float(None) is a TypeError, None.strip an AttributeError
        raise TableError(
            f"line {line}: sex is M or F, ages are whole years, scores are numbers; none may lack"
        ) from error
    if None in record:
        raise TableError(f"line {line}: more values than the header has columns")
    if not 0 <= row.ages[0] <= row.ages[1]:
        raise TableError(f"line {line}: age_low must be 0 or more and at most age_high")
    if not all(math.isfinite(score) and score >= 0 for score in row.scores):
        raise TableError(f"line {line}: scores are 0 or more")
    if any(low > high for low, high in itertools.pairwise(row.scores)):
        raise TableError(f"line {line}: scores must not fall from left to right")
    return row
