"""``second-reader-train``: phantoms in, a bundle out."""

from __future__ import annotations

import typer

from train.commands import ablate, blend, calibrate, evaluate, export, fit, phantom, prepare, robustness

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Make phantoms, train on them, export a bundle.")
for command in (phantom, prepare, fit, export, blend, calibrate, evaluate, ablate, robustness):
    app.add_typer(command.app)


def main() -> None:
    """Entry point of the script."""
    app()
