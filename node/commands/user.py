"""`user add|list|disable|enable|password|role|token`: who may log in to the page, from the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.table import Table

from node import parts
from node.commands.options import AsJson, ConfigFile, explained, load_settings, out
from node.domain.errors import Refused
from node.domain.people import Role
from node.setting_sources import secret_from
from node.settings import Settings
from node.storage.ledger import Ledger
from node.storage.migrations import current, newest, upgrade
from node.web.accounts import Accounts, user_name
from node.web.passwords import is_initial
from node.web.tokens import give_out
from node.web.trail import Action

user = typer.Typer(help="Users of the page.", no_args_is_help=True)
_ACTOR: Final = "command line"

_Name = Annotated[str, typer.Argument(help="Name of the user.")]
_PasswordFile = Annotated[
    Path | None, typer.Option(help="File that holds the password; without it, you are asked.", dir_okay=False)
]
_Initial = Annotated[bool, typer.Option("--initial", help="The user has to change it at the first log-in.")]


@user.command("add")
def add(
    name: _Name,
    role: Annotated[Role, typer.Option(help="What they may do.")] = Role.VIEWER,
    password_file: _PasswordFile = None,
    initial: _Initial = False,
    config: ConfigFile = None,
) -> None:
    """Add a user. The first one is best made an administrator: `user add NAME --role admin`."""
    with _people(load_settings(config)) as (ledger, accounts):
        known = user_name(name)
        if ledger.user(known) is not None:
            raise Refused(f"there is a user {known!r} already")
        added = accounts.add(known, role, _password(password_file), initial=initial)
        _record(ledger, Action.USER_ADDED, added.name, role=str(role))
    typer.echo(f"{added.name} may log in as {added.role}")


@user.command("list")
def everybody(config: ConfigFile = None, as_json: AsJson = False) -> None:
    """Every user, with role and state."""
    with _people(load_settings(config)) as (ledger, _):
        rows = [
            {
                "name": one.name,
                "role": str(one.role),
                "active": one.active,
                "locked": one.locked(parts.utc_now()),
                "initial_password": is_initial(one.password_hash),
            }
            for one in ledger.users()
        ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table(title="Users", title_justify="left")
    for heading in ("Name", "Role", "State"):
        table.add_column(heading)
    for row in rows:
        state = "locked for a while" if row["locked"] else "active"
        table.add_row(str(row["name"]), str(row["role"]), state if row["active"] else "disabled")
    out.print(table)


@user.command("disable")
def disable(name: _Name, config: ConfigFile = None) -> None:
    """Let a user in no more; their sessions end at once. Users are never deleted."""
    with _people(load_settings(config)) as (ledger, accounts):
        accounts.change(user_name(name), active=False)
        _record(ledger, Action.USER_DISABLED, user_name(name))
    typer.echo(f"{user_name(name)} is disabled")


@user.command("enable")
def enable(name: _Name, config: ConfigFile = None) -> None:
    """Let a user in again; ends a lock after failed log-ins too."""
    with _people(load_settings(config)) as (ledger, accounts):
        accounts.change(user_name(name), active=True)
        _record(ledger, Action.USER_ENABLED, user_name(name))
    typer.echo(f"{user_name(name)} is enabled")


@user.command("password")
def password(
    name: _Name, password_file: _PasswordFile = None, initial: _Initial = False, config: ConfigFile = None
) -> None:
    """Set a user's password; their sessions end at once."""
    with _people(load_settings(config)) as (ledger, accounts):
        known = user_name(name)
        if ledger.user(known) is None:
            raise Refused(f"there is no user {known!r}")
        accounts.set_password(known, _password(password_file), initial=initial)
        _record(ledger, Action.USER_PASSWORD, known)
    typer.echo(f"the password of {known} is set")


@user.command("role")
def change_role(name: _Name, role: Annotated[Role, typer.Argument()], config: ConfigFile = None) -> None:
    """Change what a user may do; their sessions end at once."""
    with _people(load_settings(config)) as (ledger, accounts):
        changed = accounts.change(user_name(name), role=role)
        _record(ledger, Action.USER_ROLE, changed.name, role=str(role))
    typer.echo(f"{changed.name} is {changed.role}")


@user.command("token")
def token(
    name: _Name,
    machine: Annotated[str, typer.Argument(help="Which machine it is for.")],
    role: Annotated[Role, typer.Option(help="What the machine may do; no more than the user may.")] = Role.REVIEWER,
    days: Annotated[int, typer.Option(help="How long it is good for.")] = 365,
    config: ConfigFile = None,
) -> None:
    """Give out a token of the API; it is printed this once and kept as a hash only."""
    with _people(load_settings(config)) as (ledger, _):
        owner = ledger.user(user_name(name))
        if owner is None:
            raise Refused(f"there is no user {user_name(name)!r}")
        given, secret = give_out(ledger, owner, machine, role, now=parts.utc_now(), days=days)
        detail = {"user": owner.name, "role": str(role)}
        ledger.add_audit(_ACTOR, Action.TOKEN_ADDED, f"token:{given.id}", parts.utc_now(), detail)
    typer.echo(secret)


@contextmanager
def _people(settings: Settings) -> Iterator[tuple[Ledger, Accounts]]:
    """The ledger, made if there is none: the first user may come before the first start."""
    with explained():
        url = settings.storage.database_url
        if not parts.ledger_exists(settings):
            settings.storage.root.mkdir(mode=0o700, parents=True, exist_ok=True)  # the ledger names patients
            upgrade(url)
        if current(url) != newest():
            raise Refused("the ledger has another schema than this version; run `second-reader db upgrade`")
        with Ledger(url) as ledger:
            yield ledger, Accounts(ledger, settings.web, parts.utc_now)


def _password(file: Path | None) -> str:
    """From the file, or typed twice; never shown."""
    if file is not None:
        return secret_from(file)
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


def _record(ledger: Ledger, action: Action, name: str, **detail: str) -> None:
    ledger.add_audit(_ACTOR, action, f"user:{name}", parts.utc_now(), detail)
