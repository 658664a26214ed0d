"""``phantom``: cases to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from train.commands.options import DeviceOption
from train.commands.prepare import store_cases

app = typer.Typer()


@app.command()
def phantom(
    out: Annotated[Path, typer.Argument(help="Folder for the cases.")],
    first_seed: Annotated[int, typer.Option(min=0)] = 1,
    cases: Annotated[int, typer.Option(min=1)] = 8,
    device: DeviceOption = "cpu",
) -> None:
    """Make phantom cases as npz at training resolution: HU, calcium, territories, anatomy."""
    store_cases(out, range(first_seed, first_seed + cases), device)
