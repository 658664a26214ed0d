"""`trace`: a study's whole way through the node, by the id that its log lines carry."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Annotated

import typer
from rich.table import Table

from node.commands.options import FAILED, AsJson, ConfigFile, complain, explained, load_settings, out
from node.commands.stores import storage_of
from node.domain.identity import short
from node.storage.trace_book import Step


def trace(
    name: Annotated[str, typer.Argument(help="The `trace` of a log line, or the UID of a study or series.")],
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Show a study's whole way, with times: received, judged, read, made, delivered, compared, told.

    The same id stands as `trace` in every log line about the study. Exits with 1 if there is no such study.
    """
    with explained(), storage_of(load_settings(config)) as storage:
        ledger = storage.ledger
        found = {study: ledger.steps_of(study) for study in ledger.studies_named(name)}
    if not found:
        complain("there is no such study in the ledger")
        raise typer.Exit(FAILED)
    for study, steps in found.items():
        if as_json:
            typer.echo(json.dumps({"trace": short(study), "steps": [_plain(one) for one in steps]}, indent=2))
        else:
            out.print(_table(short(study), steps))


def _plain(step: Step) -> dict[str, str]:
    return {"at": step.at.isoformat(), "what": step.what, "series": step.series, "detail": step.detail}


def _table(title: str, steps: tuple[Step, ...]) -> Table:
    table = Table(title=f"trace {title}", title_justify="left")
    for heading in ("Time (UTC)", "What", "Series", "Detail"):
        table.add_column(heading)
    for one in steps:
        at = one.at.astimezone(UTC).isoformat(sep=" ", timespec="milliseconds").removesuffix("+00:00")
        table.add_row(at, one.what, one.series, one.detail)
    return table
