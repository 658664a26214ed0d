"""`send`: DICOM files to a node or a PACS, for trying out and for sending again what a scanner no longer has."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from node import offline
from node.commands.options import FAILED, err, speak_alone
from node.dicom.outgoing import SendItem
from node.dicom.sender import PeerAddress, Sender
from node.domain.errors import Malformed

_AT_ONCE = 32  # progress is shown after so many


def send(
    path: Annotated[Path, typer.Argument(help="A DICOM file, or a folder searched with all below it.", exists=True)],
    host: Annotated[str, typer.Option(help="Where to.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Which port.")] = 11112,
    called: Annotated[str, typer.Option(help="Called AE title.")] = "CALCIUM2R",
    calling: Annotated[str, typer.Option(help="Calling AE title.")] = "SENDER",
) -> None:
    """Send DICOM files by C-STORE. Exits with 1 unless every one was taken."""
    items: list[SendItem] = []
    for file in offline.files_under(path):
        try:
            items.append(SendItem.of_file(file))
        except Malformed as error:
            err.print(f"skipped {file.name}: {error}", style="yellow", markup=False, highlight=False, soft_wrap=True)
        except OSError as error:
            why = error.strerror or type(error).__name__
            err.print(f"skipped {file.name}: {why}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    if not items:
        err.print("no DICOM files found", style="red")
        raise typer.Exit(FAILED)
    speak_alone()
    sender = Sender(calling, PeerAddress(ae_title=called, host=host, port=port))
    ends: Counter[str] = Counter()
    with Progress(console=err, transient=True) as progress:
        task = progress.add_task("Sending", total=len(items))
        for first in range(0, len(items), _AT_ONCE):
            part = items[first : first + _AT_ONCE]
            ends.update("taken" if one.error is None else str(one.error) for one in sender.send(part))
            progress.advance(task, len(part))
    for end, count in ends.items():
        typer.echo(f"{count} {end}" if end == "taken" else f"{count} not taken at {host}:{port}: {end}")
    if set(ends) != {"taken"}:
        raise typer.Exit(FAILED)
