"""The command line: `second-reader`."""

from __future__ import annotations

from typing import Annotated

import typer

from node import parts
from node.commands import operate
from node.commands.audit import audit
from node.commands.demo import demo
from node.commands.notify import notify
from node.commands.outbox import outbox
from node.commands.reads import reads
from node.commands.restore import restore
from node.commands.retention import retention
from node.commands.score import score
from node.commands.send import send
from node.commands.serve import reload, serve
from node.commands.trace import trace
from node.commands.user import user

app = typer.Typer(
    name="second-reader",
    help="A DICOM node that reads gated calcium-score CT beside the radiologist. Research use only.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
for command in (
    serve,
    reload,
    score,
    demo,
    operate.check,
    send,
    operate.status,
    operate.retry,
    operate.backup,
    restore,
    trace,
    retention,
):
    app.command()(command)
app.add_typer(operate.db, name="db")
app.add_typer(outbox, name="outbox")
app.add_typer(user, name="user")
app.add_typer(audit, name="audit")
app.add_typer(reads, name="reads")
app.add_typer(notify, name="notify")


@app.callback(invoke_without_command=True)
def _about(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
) -> None:
    if show_version:
        typer.echo(f"calcium-second-reader {parts.software_version()}")
        raise typer.Exit


def main() -> None:
    """Entry point of the `second-reader` script."""
    app()
