"""`restore`: a copy that `backup` has made, put back in its place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from node.commands.options import ConfigFile, explained, load_settings
from node.domain.errors import Refused
from node.storage.restore import restore as put_back
from node.storage.spool import StorageLock

_SHOWN: Final = 20


def restore(
    copy: Annotated[Path, typer.Argument(help="A copy that `backup` has made.", exists=True, dir_okay=False)],
    over_newer: Annotated[
        bool, typer.Option("--over-newer", help="Also where the ledger in place is newer than the copy.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the copy, say what is missing, and stop.")] = False,
    config: ConfigFile = None,
) -> None:
    """Put a copy of the ledger back, after checking that it is whole. The node must be stopped.

    The ledger in place and the files that the copy does not name are set aside, not deleted: what came in after the
    copy was made can be sent again from there. Deliveries since then go out once more, with the same UIDs.
    """
    settings = load_settings(config)
    url = settings.storage.database_url
    with explained():
        if not url.startswith("sqlite:///"):
            raise Refused("only an SQLite ledger is restored by the node; use the database server's own restore")
        root, ledger = settings.storage.root, Path(url.removeprefix("sqlite:///"))
        with StorageLock(root):
            found = put_back(copy, root, ledger, over_newer=over_newer, dry_run=dry_run)
    _say(f"{len(found.missing)} files that the copy names are missing", found.missing)
    _say(f"{len(found.unnamed)} files are not named by the copy", found.unnamed)
    if found.set_aside is None:
        typer.echo("the copy is whole; nothing was changed (dry run)")
    else:
        typer.echo(f"restored; the ledger before and the files that are not named are in {found.set_aside}")


def _say(heading: str, paths: Sequence[str]) -> None:
    typer.echo(heading)
    for path in paths[:_SHOWN]:
        typer.echo(f"  {path}")
    if len(paths) > _SHOWN:
        typer.echo(f"  and {len(paths) - _SHOWN} more")
