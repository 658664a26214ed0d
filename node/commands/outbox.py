"""`outbox list|drop|redirect`: deliveries that wait for a destination the settings no longer name."""

from __future__ import annotations

import json
from typing import Annotated, Final

import typer
from rich.table import Table

from node import parts
from node.commands.options import FAILED, AsJson, ConfigFile, explained, load_settings, out
from node.commands.stores import storage_of
from node.domain.errors import Refused
from node.settings import Settings

outbox = typer.Typer(help="Deliveries that have not gone out.", no_args_is_help=True)
_ACTOR: Final = "command line"
_Gone = Annotated[str, typer.Option("--destination", help="Name of the destination that left the settings.")]
_Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@outbox.command("list")
def waiting(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """How many deliveries wait for each destination, dead letters included."""
    settings = load_settings(config)
    with explained(), storage_of(settings) as storage:
        found = storage.ledger.waiting_deliveries()
    known = _names(settings)
    if as_json:
        rows = [{"destination": name, "deliveries": count, "known": name in known} for name, count in found.items()]
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table(title="Deliveries that have not gone out", title_justify="left")
    for heading in ("Destination", "Deliveries", "In the settings"):
        table.add_column(heading)
    for name, count in found.items():
        table.add_row(name, str(count), "yes" if name in known else "no")
    out.print(table)


@outbox.command("drop")
def drop(destination: _Gone, yes: _Yes = False, config: ConfigFile = None) -> None:
    """End the deliveries to a destination that left the settings. The objects stay; the audit trail says who did it.

    Exits with 1 if there were none.
    """
    settings = load_settings(config)
    with explained(), storage_of(settings) as storage:
        _check_gone(settings, destination)
        count = storage.ledger.waiting_deliveries().get(destination, 0)
        if count and not yes:
            typer.confirm(f"{count} deliveries to {destination} will never go out. Drop them?", abort=True)
        dropped = storage.ledger.drop_deliveries(destination, _ACTOR, parts.utc_now())
    typer.echo(f"{dropped} deliveries to {destination} dropped")
    if not dropped:
        raise typer.Exit(FAILED)


@outbox.command("redirect")
def redirect(
    destination: _Gone,
    to: Annotated[str, typer.Option(help="Name of the destination that gets them instead.")],
    yes: _Yes = False,
    config: ConfigFile = None,
) -> None:
    """Send what waits for a destination that left the settings to another. A running node takes it up at once.

    Exits with 1 if there was nothing.
    """
    settings = load_settings(config)
    with explained(), storage_of(settings) as storage:
        _check_gone(settings, destination)
        if to not in _names(settings):
            raise Refused(f"the settings name no destination {to!r}")
        count = storage.ledger.waiting_deliveries().get(destination, 0)
        if count and not yes:
            typer.confirm(f"{count} deliveries for {destination} will go to {to}. Send them there?", abort=True)
        moved = storage.ledger.redirect_deliveries(destination, to, _ACTOR, parts.utc_now())
    typer.echo(f"{moved} deliveries for {destination} go to {to}")
    if not moved:
        raise typer.Exit(FAILED)


def _check_gone(settings: Settings, destination: str) -> None:
    if destination in _names(settings):
        raise Refused(f"the settings name {destination!r}: it is still being delivered to")


def _names(settings: Settings) -> frozenset[str]:
    return frozenset(one.name for one in settings.destinations)
