"""`check`, `status`, `retry`, `backup`, `db upgrade`: for whoever runs the node."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from model.bundle import BundleError
from node import parts, trust
from node.channels import way_to
from node.commands.options import FAILED, AsJson, ConfigFile, err, explained, load_settings, out, silent, speak_alone
from node.destination_settings import Destination
from node.dicom.certificates import until
from node.domain.errors import NodeError, Refused
from node.domain.faults import FAULT_POINTS
from node.notify_settings import ChannelSettings
from node.private_files import exposures
from node.settings import Settings, SettingsError
from node.stages.human_objects import not_taken
from node.storage.ledger import Ledger
from node.storage.migrations import current, newest, steps, upgrade

db = typer.Typer(help="The ledger's database.", no_args_is_help=True)


def check(
    config: ConfigFile = None,
    faults: Annotated[bool, typer.Option("--faults", help="List the fault points for tests, and stop.")] = False,
    alive: Annotated[bool, typer.Option("--alive", help="Only ask the running node for a C-ECHO.")] = False,
) -> None:
    """Check the settings, the storage, the ledger, the bundle and every destination. Changes nothing.

    Exits with 0 if the node could run, 1 if not, 2 if the settings cannot be used.
    """
    if faults:
        for name, meaning in FAULT_POINTS.items():
            typer.echo(f"{name}\t{meaning}")
        return
    settings = load_settings(config)
    speak_alone()
    if alive:
        with explained():
            parts.own_echo(settings)
        return
    failed = 0
    for name, result, fine in _checks(settings, config):
        out.print(f"{'ok  ' if fine else 'FAIL'}  {name}: {result}", style=None if fine else "red", markup=False)
        failed += not fine
    if failed:
        raise typer.Exit(FAILED)


def status(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """What the ledger holds: instances, series, work and deliveries by state."""
    with _ledger(load_settings(config)) as ledger:
        found = ledger.status()
        dead = ledger.dead_letters()
        objects = len(not_taken(ledger))
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    table = Table(title="Ledger", title_justify="left")
    for heading in ("What", "State", "Number"):
        table.add_column(heading, justify="right" if heading == "Number" else "left")
    for what, value in found.items():
        for state, number in _flat(value):
            table.add_row(what, state, str(number))
    out.print(table)
    if objects:
        out.print(f"{objects} reports or masks could not be taken as human reads: the page of reads says why")
    for record in dead:
        where = f" to {record.work.destination}" if record.work.destination else ""
        out.print(f"parked {record.work.id}: {record.work.stage}{where}: {record.error}", markup=False, highlight=False)


def retry(
    ids: Annotated[list[int] | None, typer.Argument(help="Numbers of parked work, from `status`.")] = None,
    destination: Annotated[str | None, typer.Option(help="All dead letters of this destination.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All parked work.")] = False,
    config: ConfigFile = None,
) -> None:
    """Try parked work again, with fresh attempts. A running node takes it up at once."""
    if not (ids or destination or everything):
        err.print("say what to retry: numbers, --destination NAME or --all")
        raise typer.Exit(2)
    with _ledger(load_settings(config)) as ledger:
        count = ledger.revive(parts.utc_now(), ids or None, destination)
    typer.echo(f"{count} taken up again")
    if not count:
        raise typer.Exit(FAILED)


def backup(
    target: Annotated[Path, typer.Argument(help="File to write the copy to; must not exist.", dir_okay=False)],
    config: ConfigFile = None,
) -> None:
    """Copy the ledger to a file while the node runs."""
    with _ledger(load_settings(config)) as ledger:
        if target.exists():  # it may be the ledger itself
            raise Refused(f"{target} exists already")
        ledger.backup(target)
    typer.echo(f"ledger copied to {target}")


@db.command("upgrade")
def db_upgrade(
    config: ConfigFile = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Bring the ledger to the schema of this version. `serve` does so by itself."""
    settings = load_settings(config)
    url = settings.storage.database_url
    with explained():
        if dry_run:
            _say_steps(url if parts.ledger_exists(settings) else None)
            return
        settings.storage.root.mkdir(mode=0o700, parents=True, exist_ok=True)  # the ledger names patients
        typer.echo(f"the ledger is at {upgrade(url)}")


def _say_steps(url: str | None) -> None:
    before = None if url is None else current(url)
    typer.echo(f"from {before or 'an empty database'} to {newest()}")
    if before is None:
        return
    ahead = steps(url)
    for step in ahead:
        rows = f"; {step.rows} rows" if step.rows else ""
        typer.echo(f"{step.revision}: {step.words}{rows}; about {step.seconds:.0f} s")
    if ahead:
        total = sum(step.seconds for step in ahead)
        typer.echo(f"{len(ahead)} to run, about {total:.0f} s, all or nothing; make a `backup` before")


@contextmanager
def _ledger(settings: Settings) -> Iterator[Ledger]:
    """The ledger as it is; a missing or outdated one is an error, not a reason to make one."""
    with explained():
        if not parts.ledger_exists(settings):
            raise Refused("there is no ledger yet: the node has never run with these settings")
        url = settings.storage.database_url
        if current(url) != newest():
            raise Refused("the ledger has another schema than this version; run `second-reader db upgrade`")
        with Ledger(url) as ledger:
            yield ledger


def _checks(settings: Settings, config: Path | None) -> Iterator[tuple[str, str, bool]]:
    ports = [f"port {settings.scp.port}"] if settings.scp.plain else []
    ports += [f"TLS port {settings.scp.tls.port}"] if settings.scp.tls.enabled else []
    yield "settings", f"AE title {settings.scp.ae_title}, {', '.join(ports)}", True
    if not settings.scp.allow:
        yield "allow-list", "empty: any peer may send", True
    yield _storage(settings)
    yield _database(settings)
    yield _bundle(settings)
    yield from exposures(settings, config, os.environ)
    yield from trust.certificates(settings, parts.utc_now())
    if settings.scp.tls.enabled:
        yield _own_tls(settings)
    for destination in settings.destinations:
        yield _destination(settings, destination)
    for channel in settings.notify.channels:
        yield _channel(settings, channel)


def _destination(settings: Settings, destination: Destination) -> tuple[str, str, bool]:
    name, now = f"destination {destination.name}", parts.utc_now()
    try:
        last = parts.answers(destination, settings.scp.ae_title)
    except (NodeError, SettingsError) as error:
        return name, str(error), False
    return name, "answers" if last is None else f"answers over TLS; its certificate: {until(last, now)}", True


def _own_tls(settings: Settings) -> tuple[str, str, bool]:
    """A C-ECHO over TLS to a listener of these settings, on a port that lasts no longer than the check."""
    try:
        trust.scp_context(settings.scp)  # with the authority of the clients, which the trial leaves out
        with silent("node.dicom.listener", "node.dicom.doors"):
            parts.trial_echo(settings.scp)
    except (NodeError, SettingsError, OSError) as error:
        return "scp.tls", str(error), False
    return "scp.tls", f"a C-ECHO over TLS is answered; the port will be {settings.scp.tls.port}", True


def _channel(settings: Settings, channel: ChannelSettings) -> tuple[str, str, bool]:
    """Whether a channel can be used as it is set. Nothing is sent: a message would be one too many."""
    try:
        way_to(channel, settings.web.title, parts.utc_now)
    except SettingsError as error:
        return "notify", str(error), False
    return "notify", f"channel {channel.name}: set; `second-reader notify test` sends a message over it", True


def _storage(settings: Settings) -> tuple[str, str, bool]:
    root = settings.storage.root
    nearest = next(folder for folder in (root.absolute(), *root.absolute().parents) if folder.exists())
    if not (nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)):
        return "storage", f"{root}: {nearest} is not a folder that can be written", False
    free = shutil.disk_usage(nearest).free / (1 << 30)
    fine = free > settings.storage.reserve_gib
    return "storage", f"{root}: {free:.1f} GiB free, {settings.storage.reserve_gib:g} GiB held in reserve", fine


def _database(settings: Settings) -> tuple[str, str, bool]:
    if not parts.ledger_exists(settings):
        return "ledger", "none yet; `serve` makes it", True
    try:
        present = current(settings.storage.database_url)
    except NodeError as error:
        return "ledger", str(error), False
    return "ledger", f"schema {present or 'none yet'}, this version has {newest()}", True


def _bundle(settings: Settings) -> tuple[str, str, bool]:
    try:
        identity = parts.make_reader(settings).identity
    except (BundleError, SettingsError, OSError) as error:
        return "bundle", str(error), False
    return "bundle", f"{identity.name} {identity.version}, sha256 {identity.sha256[:12]}; {identity.trained_on}", True


def _flat(value: object, prefix: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(inner, f"{prefix} {name}".strip())
    else:
        yield prefix, value
