"""`reads import`: human reads from files, also while the node runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.markup import escape
from rich.table import Table

from node import parts
from node.commands.options import ConfigFile, explained, load_settings, out
from node.commands.score import NOTHING_ELIGIBLE as NOTHING_TAKEN
from node.commands.stores import storage_of
from node.domain.errors import Malformed, Refused
from node.domain.identity import short
from node.domain.read_history import ReadArrival, ReadState, Recorded
from node.intake.csv_reads import MOST_BYTES, read_csv
from node.intake.json_reads import read_json
from node.intake.parsed import Parsed
from node.stages.intake import Intake

reads = typer.Typer(help="Human reads.", no_args_is_help=True)
_FROM: Final = "command line"
_WORDS: Final = {
    ReadArrival.NEW: "taken",
    ReadArrival.SAME: "the same",
    ReadArrival.OLDER: "older",
    ReadArrival.CONFLICT: "quarantined",
}
Take = Callable[[bytes, Parsed], Sequence[Recorded]]


@reads.callback()
def _about() -> None:
    """Human reads."""


@dataclass(frozen=True, slots=True)
class _Row:
    """What became of one read, or what is wrong; ``kept`` says whether the node has it now."""

    file: str
    what: str
    outcome: str
    words: str = ""
    kept: bool = False


@reads.command("import")
def take_in(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Tables (CSV) or JSON documents.", exists=True, dir_okay=False, metavar="PATH..."),
    ],
    reader: Annotated[str, typer.Option(help="Who read, where a file does not say.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is in the files, and take nothing.")] = False,
    config: ConfigFile = None,
) -> None:
    """Take human reads in. A read with a fault is left out, with every fault; the others are taken.

    Exits with 0 if any read was taken or was here already, 2 if the settings cannot be used, 3 if none was taken.
    """
    settings = load_settings(config)
    zone = settings.reads.tzinfo()
    with explained():
        if dry_run:
            rows = [row for path in paths for row in _rows(path, reader, zone, _nothing)]
        else:
            with storage_of(settings) as storage:
                intake = Intake(storage, parts.utc_now, lambda: None)  # the node looks at its ledger by itself
                rows = [row for path in paths for row in _rows(path, reader, zone, lambda *what: _kept(intake, *what))]
    _print(rows, "Read, and not taken (dry run)" if dry_run else "Human reads")
    if not any(row.kept for row in rows):
        raise typer.Exit(NOTHING_TAKEN)


def _kept(intake: Intake, data: bytes, parsed: Parsed) -> Sequence[Recorded]:
    """Twice: a node that starts just now may take a file without a row for debris. The second time repairs that."""
    recorded = intake.take_all(data, parsed.reads, _FROM)
    intake.take_all(data, parsed.reads, _FROM)
    return recorded


def _nothing(_data: bytes, _parsed: Parsed) -> Sequence[Recorded]:
    return ()


def _rows(path: Path, reader: str, zone: tzinfo, take: Take) -> Iterator[_Row]:
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        parsed = _parsed(data, reader, zone)
    except OSError as error:
        yield _Row(path.name, "", "refused", error.strerror or type(error).__name__)
        return
    except (Malformed, Refused) as error:
        yield from (_Row(path.name, "", "refused", line) for line in str(error).split("\n"))
        return
    recorded = take(data, parsed)
    for number, read in enumerate(parsed.reads):
        what = f"study {short(read.study.study_uid)}" if read.study.study_uid else f"accession {read.study.accession}"
        if number < len(recorded):
            yield _recorded(path.name, what, recorded[number])
        else:
            yield _Row(path.name, what, "can be taken", kept=True)
    for fault in parsed.faults:
        yield _Row(path.name, fault.place, "refused", fault.words)
    if parsed.more_faults:
        yield _Row(path.name, "", "refused", f"and {parsed.more_faults} more faults")
    for note in parsed.notes:
        yield _Row(path.name, "", "note", note)


def _recorded(file: str, what: str, one: Recorded) -> _Row:
    if one.state is ReadState.QUARANTINED and one.arrival is not ReadArrival.SAME:
        return _Row(file, what, "quarantined", one.reason, kept=True)
    return _Row(file, what, _WORDS[one.arrival], one.reason, kept=True)


def _parsed(data: bytes, reader: str, zone: tzinfo) -> Parsed:
    as_json = data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"[")
    return (read_json if as_json else read_csv)(data, zone=zone, reader=reader)


def _print(rows: Sequence[_Row], title: str) -> None:
    table = Table(title=title, title_justify="left")
    for heading in ("File", "Read", "Outcome", "Why"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(escape(text) for text in (row.file, row.what, row.outcome, row.words)))
    out.print(table)
