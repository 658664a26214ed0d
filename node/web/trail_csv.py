"""The audit trail as a table that leaves the node, and such a table read back: whoever has it can check the chain."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from node.domain.audit_chain import Link
from node.domain.errors import Malformed
from node.domain.people import AuditEntry, chained, detail_text
from node.storage.ledger import Ledger

_HEAD: Final = ("number", "at", "actor", "action", "subject", "detail", "previous", "sha256")
_BATCH: Final = 1000
_FORMULA: Final = "=+-@\t\r'"


def table_of(ledger: Ledger, *, actor: str = "", subject: str = "") -> Iterator[str]:
    """Lines of CSV, newest entry first. Entries are numbered and only added: each batch ends where the next begins."""
    yield _line(_HEAD)
    last, offset = None, 0
    while batch := ledger.audit_entries(actor=actor, subject=subject, limit=_BATCH, offset=offset):
        offset += len(batch)
        for entry in batch:
            if last is not None and entry.number >= last:
                continue  # entries added meanwhile push the older ones into the next batch again
            last = entry.number
            yield _line(_values(entry))


def links_of(lines: Iterable[str]) -> tuple[Link, ...]:
    """The entries of such a table, rising by number. Raises :class:`Malformed` for what is none."""
    rows = csv.DictReader(lines, strict=True)
    try:
        if tuple(rows.fieldnames or ()) != _HEAD:
            raise Malformed("the first line does not name the columns of an audit trail")
        found = [_link(row) for row in rows]
    except (csv.Error, ValueError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise Malformed(f"line {rows.line_num} is no entry of an audit trail") from error
    return tuple(sorted(found, key=lambda link: link.number))


def _values(entry: AuditEntry) -> tuple[object, ...]:
    deed = (_cell(entry.actor), entry.action, _cell(entry.subject))
    return (entry.number, entry.at.isoformat(), *deed, json.dumps(dict(entry.detail)), entry.previous, entry.sha256)


def _link(row: dict[str, str]) -> Link:
    number = int(row["number"])
    found = chained(
        row["previous"],
        number=number,
        at=datetime.fromisoformat(row["at"]),
        deed=(_plain(row["actor"]), row["action"], _plain(row["subject"])),
        detail=detail_text(json.loads(row["detail"])),
    )
    return Link(number=number, previous=row["previous"], sha256=row["sha256"], found=found)


def _line(values: tuple[object, ...]) -> str:
    target = io.StringIO()
    csv.writer(target).writerow(values)
    return target.getvalue()


def _cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula: what stands here may have been typed into the log-in."""
    return f"'{text}" if text[:1] in _FORMULA and text else text


def _plain(cell: str) -> str:
    return cell.removeprefix("'")
