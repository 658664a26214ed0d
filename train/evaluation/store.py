"""Records of an evaluation as JSON lines: whatever was read is kept, and an interrupted evaluation goes on there."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from train.evaluation.records import CaseRecord

FORMAT: Final = 1
"""Goes up when records come to hold something else; older lines are then read anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What a record was made from: fingerprints of the case and of the reader."""

    case: str
    reader: str


class Store:
    """The file ``readings.jsonl`` of a folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "readings.jsonl"
        self._records = _load(self._path)
        # a write that was cut short must not swallow the next line
        if self._path.is_file() and not self._path.read_bytes().endswith(b"\n"):
            with self._path.open("a", encoding="utf-8") as file:
                file.write("\n")

    def get(self, key: Key) -> CaseRecord | None:
        """The record of a case and a reader, if it was made of the same things."""
        return self._records.get(key)

    def add(self, key: Key, record: CaseRecord) -> None:
        """Keep a record."""
        line = json.dumps({"format": FORMAT, "key": [key.case, key.reader], "record": record.as_dict()})
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        self._records[key] = record


def _load(path: Path) -> dict[Key, CaseRecord]:
    records: dict[Key, CaseRecord] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            values = json.loads(line)
            if values["format"] == FORMAT:
                case, reader = values["key"]
                records[Key(case=case, reader=reader)] = CaseRecord.from_dict(values["record"])
        except (ValueError, KeyError, TypeError):
            continue  # cut short, or of another make: read that case again
    return records
