"""``blend``: a bundle between one and the one it was trained on from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer

from model.bundle import CARD, BundleError, load_bundle, write_bundle
from train.blending import blended, renormalised
from train.cohort import Cohort
from train.commands.options import RunOption, console, progress_bar
from train.config import ExperimentConfig
from train.patches import FineTask

app = typer.Typer()

_BATCHES = 40


@app.command()
def blend(
    parent: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="The earlier bundle.")],
    bundle: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="The one trained on from it.")],
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder of the blend.")],
    run: RunOption = Path("runs/first"),
    share: Annotated[float, typer.Option(min=0.0, max=1.0, help="Of the later bundle.")] = 0.5,
) -> None:
    """Blend the first labellers of two bundles; everything else is the later one's. Calibrate the blend afterwards."""
    try:
        earlier, later = load_bundle(parent), load_bundle(bundle)
        network = blended(earlier.fine, later.fine, share)
        experiment = ExperimentConfig.from_dict(later.experiment["config"])
        cohort = Cohort.read(run / "cases")
    except (BundleError, ValueError, FileNotFoundError) as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error
    task = FineTask(cohort, experiment.augmentation, experiment.seed, experiment.aims)
    with progress_bar() as bar:
        row = bar.add_task("batches", total=_BATCHES, note="")

        def images() -> list[torch.Tensor]:
            found = []
            for step in range(_BATCHES):
                found.append(task.batch(step, experiment.fine.batch, torch.device("cpu")).image)
                bar.advance(row)
            return found

        network = renormalised(network, images())
    note = {"of": earlier.identity.sha256, "and": later.identity.sha256, "share": share}
    made = replace(later, fine=network, more=(), judge=None, experiment=dict(later.experiment) | {"blend": note})
    identity = write_bundle(out, made, (bundle / CARD).read_text(encoding="utf-8"))
    console.print(f"{identity.name} {identity.version} sha256 {identity.sha256[:12]} in {out}")
