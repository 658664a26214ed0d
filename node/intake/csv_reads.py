"""Human reads in a table: the schema of :mod:`node.intake.drafts`, a read a line, as spreadsheets write it.

Commas, semicolons or tabs; a point or a comma before decimals; UTF-8 with or without a mark, UTF-16 with one, else
Windows-1252. A column is known by its name or a synonym of it ('Cx', 'AoV', 'Accession No.', 'LAD volume [mm3]');
others are left aside and named.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Final

from node.domain.errors import Malformed, Refused
from node.domain.human_read import ReadSource
from node.domain.region_names import region_named
from node.intake.drafts import FIELDS, Draft, Taken
from node.intake.figures import figure
from node.intake.parsed import Faults, Parsed, quoted

MOST_BYTES: Final = 10_000_000
MOST_LINES: Final = 100_000
_MOST_COLUMNS: Final = 256
_DELIMITERS: Final = ("\t", ";", ",")
_BRACKETS: Final = re.compile(r"\[[^\]]*\]|\([^)]*\)|\{[^}]*\}")
_BETWEEN: Final = re.compile(r"[\W_]+")
_QUANTITY_WORDS: Final = {
    "agatston": "agatston",
    "score": "agatston",
    "volume": "volume_mm3",
    "vol": "volume_mm3",
    "volumen": "volume_mm3",
    "mass": "mass_mg",
    "masse": "mass_mg",
}
_UNIT_WORDS: Final = frozenset(("mm3", "mg", "calcium", "kalzium", "ca"))
_FIELD_NAMES: Final = {
    **{name.replace("_", " "): name for name in FIELDS},
    "study instance uid": "study_uid",
    "studyinstanceuid": "study_uid",
    "series instance uid": "series_uid",
    "seriesinstanceuid": "series_uid",
    "accession number": "accession",
    "accession no": "accession",
    "accessionnumber": "accession",
    "issuer of patient id": "issuer",
    "assigning authority": "issuer",
    "patientid": "patient_id",
    "pat id": "patient_id",
    "mrn": "patient_id",
    "id": "read_id",
    "radiologist": "reader",
    "befunder": "reader",
    "read time": "read_at",
    "tube voltage": "kvp",
    "kv": "kvp",
}
Column = str | tuple[str, str] | None


def read_csv(data: bytes, *, source: ReadSource = ReadSource.FILE, zone: tzinfo = UTC, reader: str = "") -> Parsed:
    """All reads of a table; the first line names the columns.

    Parameters
    ----------
    zone
        The site's time zone, for times without one.
    reader
        Who read, where a line does not say.

    Raises
    ------
    Refused
        If it is larger than :data:`MOST_BYTES` or longer than :data:`MOST_LINES`.
    Malformed
        If it is no such table: not text, no known columns, a column twice, a quote that is never closed.

    """
    if len(data) > MOST_BYTES:
        raise Refused(f"the table has {len(data)} bytes; up to {MOST_BYTES} are read")
    text, notes = _decoded(data)
    lines = _lines(text)
    table = _Table.of(next(lines, None))
    notes += table.notes
    faults, taken = Faults(), Taken()
    for number, cells in lines:
        draft = table.draft(number, cells, faults)
        read = None if draft is None else draft.by(reader).read(source, zone, faults)
        if draft is not None and read is not None:
            taken.add(read, draft.place, faults)
    return faults.parsed(taken.reads, notes)


def _decoded(data: bytes) -> tuple[str, list[str]]:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        try:
            return data.decode("utf-16"), []
        except UnicodeDecodeError as error:
            raise Malformed("the table is marked as UTF-16, but is not") from error
    if b"\0" in data:
        raise Malformed("this is no text: save the table as CSV")
    try:
        return data.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        note = "the table is not in UTF-8 and was read as Windows-1252 (Latin-1)"
        return data.decode("cp1252", errors="replace"), [note]


@dataclass(frozen=True, slots=True)
class _Line:
    cells: Sequence[str]
    delimiter: str


def _lines(text: str) -> Iterator[tuple[int, _Line]]:
    """(line number in the file, cells) of every line that is not empty."""
    start, first = 0, text.split("\n", 1)[0].rstrip("\r")
    if re.fullmatch(r"sep=.", first):  # how a spreadsheet is told its delimiter
        delimiter, start = first[-1], 1
        text = text.split("\n", 1)[1] if "\n" in text else ""
    else:
        delimiter = max(_DELIMITERS, key=re.sub(r'"[^"]*"', "", first).count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        for count, cells in enumerate(reader, start=1):
            if count > MOST_LINES + 1:
                raise Refused(f"the table has more than {MOST_LINES} lines")
            if any(cell.strip() for cell in cells):
                yield reader.line_num + start, _Line([cell.strip() for cell in cells], delimiter)
    except csv.Error as error:
        raise Malformed(f"line {reader.line_num + start}: {error}") from error


@dataclass(frozen=True, slots=True)
class _Table:
    """What each column means; ``header`` are their names as written."""

    header: Sequence[str]
    columns: Sequence[Column]
    comma_is_common: bool

    @classmethod
    def of(cls, first: tuple[int, _Line] | None) -> _Table:
        if first is None:
            raise Malformed("the table is empty: its first line names the columns")
        number, line = first
        if len(line.cells) > _MOST_COLUMNS:
            raise Malformed(f"line {number}: more than {_MOST_COLUMNS} columns")
        columns = [column_named(name) for name in line.cells]
        faults = [
            f"line {number}: {quoted(name)} is the same column as {quoted(line.cells[columns.index(column)])}"
            for at, (name, column) in enumerate(zip(line.cells, columns, strict=True))
            if column is not None and columns.index(column) < at
        ]
        if not any(isinstance(column, tuple) for column in columns):
            faults.append(f"line {number}: no column is known as a score, such as LAD or CAC")
        if not {"study_uid", "accession"} & {column for column in columns if isinstance(column, str)}:
            faults.append(f"line {number}: no column names the study (study_uid, or accession and patient_id)")
        if faults:
            raise Malformed("\n".join(faults))
        return cls(line.cells, columns, comma_is_common=line.delimiter != ",")

    @property
    def notes(self) -> list[str]:
        unused = [quoted(name) for name, column in zip(self.header, self.columns, strict=True) if column is None]
        return [f"columns that are not used: {', '.join(unused)}"] if unused else []

    def draft(self, number: int, line: _Line, faults: Faults) -> Draft | None:
        """The fields of a line; None after its faults were noted."""
        place = f"line {number}"
        before = faults.count
        # a line may end in empty cells more or fewer; spreadsheets do that
        cells = list(line.cells)
        while len(cells) > len(self.columns) and not cells[-1]:
            cells.pop()
        if len(cells) > len(self.columns):
            faults.add(
                place,
                f"{len(cells)} cells, but {len(self.columns)} columns: "
                "a decimal comma needs quotes, or semicolons between the cells",
            )
            return None
        fields: dict[str, str] = {}
        amounts: dict[tuple[str, str], float] = {}
        for name, column, cell in zip(self.header, self.columns, cells, strict=False):
            if not cell or column is None:
                continue
            if isinstance(column, str):
                fields[column] = cell
                continue
            try:
                amounts[column] = figure(cell, comma_is_common=self.comma_is_common)
            except Malformed as error:
                faults.add(f"{place}, column {quoted(name)}", str(error))
        return Draft(place=place, fields=fields, amounts=amounts, flawed=faults.count > before)


def column_named(name: str) -> Column:
    """The field, or the region and quantity, that a column's name means; None where it means nothing of ours."""
    words = _BETWEEN.sub(" ", _BRACKETS.sub(" ", name[:128])).lower().split()
    plain = " ".join(words)
    if plain in _FIELD_NAMES:
        return _FIELD_NAMES[plain]
    quantities = {_QUANTITY_WORDS[word] for word in words if word in _QUANTITY_WORDS}
    if quantities in ({"agatston", "volume_mm3"}, {"agatston", "mass_mg"}):
        quantities -= {"agatston"}  # 'volume score'
    if len(quantities) > 1:
        return None
    region = region_named(plain) or region_named(
        " ".join(word for word in words if word not in _QUANTITY_WORDS and word not in _UNIT_WORDS)
    )
    if region is None and quantities and all(word in _QUANTITY_WORDS or word in _UNIT_WORDS for word in words):
        region = "CAC"
    if region is None:
        return None
    return region, next(iter(quantities), "agatston")
