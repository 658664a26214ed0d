"""`audit verify|check-export|export|head`: the audit trail held against itself, and against what was kept elsewhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from node import parts
from node.commands.options import FAILED, ConfigFile, complain, explained, load_settings
from node.commands.stores import storage_of
from node.domain.audit_chain import Link, chain_faults, contradictions
from node.web.trail import Action
from node.web.trail_csv import links_of, table_of

audit = typer.Typer(help="The audit trail: who saw or changed what.", no_args_is_help=True)
_ACTOR: Final = "command line"
_HEAD: Final = re.compile(r"([0-9]{1,9}):([0-9a-f]{64})")
_Export = Annotated[Path, typer.Argument(help="An export of the trail (CSV).", dir_okay=False)]


@audit.command("verify")
def verify(
    against: Annotated[
        Path | None, typer.Option(help="An earlier export: its entries must be in the trail still.", dir_okay=False)
    ] = None,
    head: Annotated[str, typer.Option(help="What `audit head` said earlier, kept elsewhere: NUMBER:HASH.")] = "",
    config: ConfigFile = None,
) -> None:
    """Check every entry of the ledger's trail and the chain of their hashes.

    By itself the chain shows entries that were changed or taken out; `--against` and `--head` also show an end that was
    cut off, and a chain that was made anew. Exits with 1 and names every fault.
    """
    with explained(), storage_of(load_settings(config)) as storage:
        noted = _noted(head) | ({} if against is None else {one.number: one.sha256 for one in _read(against)})
        faults = [*storage.ledger.verify_audit(), *contradictions(noted, storage.ledger.audit_hashes(noted))]
        number, sha256 = storage.ledger.audit_head()
    _tell(faults, f"{number} entries, none changed; the last is {number}:{sha256}")


@audit.command("check-export")
def check_export(file: _Export) -> None:
    """Check an export by itself, on any machine: every entry by its hash, neighbours by the chain.

    An export of the whole trail has to be without a gap from entry 1 on.
    """
    with explained():
        links = _read(file)
        whole = bool(links) and links[0].number == 1 and links[-1].number == len(links)
        faults = list(chain_faults(links, whole=whole))
    kind = "the whole trail up to there" if whole else "an excerpt: entries may be missing between those it has"
    _tell(faults, f"{len(links)} entries, none changed; {kind}")


@audit.command("export")
def export(
    target: Annotated[Path, typer.Argument(help="File to write (CSV); must not exist.", dir_okay=False)],
    config: ConfigFile = None,
) -> None:
    """Write the whole trail to a file, as the page's export does; the export itself is its newest entry."""
    settings = load_settings(config)
    with explained(), storage_of(settings) as storage, target.open("x", encoding="utf-8", newline="") as file:
        storage.ledger.add_audit(_ACTOR, Action.AUDIT_EXPORTED, "", parts.utc_now())
        file.writelines(table_of(storage.ledger))
    typer.echo(f"audit trail written to {target}")


@audit.command("head")
def head(config: ConfigFile = None) -> None:
    """Print number and hash of the last entry, to be kept where whoever can change the ledger cannot: NUMBER:HASH."""
    with explained(), storage_of(load_settings(config)) as storage:
        number, sha256 = storage.ledger.audit_head()
    typer.echo(f"{number}:{sha256}")


def _read(file: Path) -> tuple[Link, ...]:
    with file.open(encoding="utf-8", newline="") as lines:
        return links_of(lines)


def _noted(head: str) -> dict[int, str]:
    found = _HEAD.fullmatch(head.strip())
    if head and found is None:
        raise typer.BadParameter("it reads NUMBER:HASH, as `audit head` prints it", param_hint="--head")
    return {} if found is None or found[1] == "0" else {int(found[1]): found[2]}


def _tell(faults: Sequence[str], fine: str) -> None:
    for fault in faults:
        complain(fault)
    if faults:
        raise typer.Exit(FAILED)
    typer.echo(fine)
