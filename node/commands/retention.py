"""`retention`: what is let go, now or in a dry run."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.table import Table

from node import parts
from node.commands.options import AsJson, ConfigFile, explained, load_settings, out
from node.commands.stores import storage_of
from node.domain.identity import short
from node.domain.retention import Goods, Judged
from node.keeping import retainer

_MIB = 1 << 20


def retention(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would go and why the rest stays, and do nothing.")
    ] = False,
    config: ConfigFile = None,
    as_json: AsJson = False,
) -> None:
    """Let go of data whose time has come, as `[retention]` says. A running node does so once a day by itself."""
    settings = load_settings(config)
    with explained(), storage_of(settings) as storage:
        keeper, now = retainer(settings, storage), parts.utc_now()
        if not dry_run:
            done = keeper.run(now)
            typer.echo(
                f"let go: images of {done.images} series, answers of {done.answers} series, "
                f"{done.reads} originals of reads; {done.files} files removed"
            )
            return
        judged = keeper.plan(now)
    if as_json:
        typer.echo(json.dumps([_plain(one) for one in judged], indent=2))
    else:
        _print(judged)


def _print(judged: Sequence[Judged]) -> None:
    table = Table(title="Would go (dry run)", title_justify="left")
    for heading in ("What", "Of", "Last received", "Files", "MiB", "Why"):
        table.add_column(heading, justify="right" if heading in {"Files", "MiB"} else "left")
    for one in judged:
        if one.goes:
            what = one.candidate
            why = "room is needed" if one.for_room else "its time has come"
            size = f"{what.size / _MIB:.1f}"
            table.add_row(what.goods, _name(one), f"{what.since:%Y-%m-%d}", str(what.files), size, why)
    out.print(table)
    stays = Counter((one.candidate.goods, hold) for one in judged for hold in one.holds)
    for (goods, hold), count in sorted(stays.items()):
        out.print(f"stays: {goods} {count}: {hold}", highlight=False)


def _plain(one: Judged) -> dict[str, object]:
    return {
        "what": one.candidate.goods,
        "of": _name(one),
        "last_received": one.candidate.since.isoformat(),
        "files": one.candidate.files,
        "bytes": one.candidate.size,
        "goes": one.goes,
        "for_room": one.for_room,
        "stays_because": list(one.holds),
    }


def _name(one: Judged) -> str:
    subject = one.candidate.subject
    return subject.rpartition("/")[2][:12] if one.candidate.goods is Goods.READS else f"series {short(subject)}"
