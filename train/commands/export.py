"""``export``: from a run to a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from train.commands.options import ConfigOption, RunOption, console, experiment_of
from train.export import export_bundle

app = typer.Typer()


@app.command()
def export(
    out: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    run: RunOption = Path("runs/first"),
    config: ConfigOption = None,
    background_prior: Annotated[float, typer.Option(min=0.01, help="See Calibration.")] = 1.0,
    temperature: Annotated[float, typer.Option(min=0.01, help="See Calibration.")] = 1.0,
) -> None:
    """Write the averaged weights of a run as a bundle. Its card is kept if there is one."""
    experiment = experiment_of(config)
    identity = export_bundle(run, out, experiment, temperature=temperature, background_prior=background_prior)
    console.print(f"{identity.name} {identity.version} sha256 {identity.sha256[:12]} in {out}")
