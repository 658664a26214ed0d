"""``fit``: train the networks of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.progress import Progress

from model.network import UNet
from model.reader import choose_device
from train.coarse import CoarseTask
from train.cohort import Cohort
from train.commands.options import (
    ConfigOption,
    DeviceOption,
    RunOption,
    ThreadsOption,
    console,
    experiment_of,
    progress_bar,
)
from train.loop import Progress as Step
from train.loop import fit as fit_network
from train.patches import FineTask

app = typer.Typer()


@app.command()
def fit(
    network: Annotated[str, typer.Argument(help="coarse, fine, or both.")] = "both",
    run: RunOption = Path("runs/first"),
    config: ConfigOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Train on the prepared cohort; goes on where it was stopped."""
    if network not in ("coarse", "fine", "both"):
        raise typer.BadParameter("train coarse, fine or both")
    if threads is not None:
        torch.set_num_threads(threads)
    experiment = experiment_of(config)
    cohort = Cohort.read(run / "cases")
    console.print(f"{len(cohort.cases)} cases, {choose_device(device).type}")
    torch.manual_seed(experiment.seed)
    coarse, fine = UNet(experiment.coarse_network), UNet(experiment.fine_network)
    target = choose_device(device)
    with progress_bar() as bar:
        if network in ("coarse", "both"):
            task = CoarseTask.of_run(run, experiment.augmentation, experiment.seed)
            fit_network(coarse, task, experiment.coarse, run / "coarse", target, _Reporter(bar, "coarse"))
        if network in ("fine", "both"):
            labeller = FineTask(cohort, experiment.augmentation, experiment.seed)
            fit_network(fine, labeller, experiment.fine, run / "fine", target, _Reporter(bar, "fine"))


class _Reporter:
    """Shows a run's progress as one row."""

    def __init__(self, bar: Progress, name: str) -> None:
        self._bar = bar
        self._row = bar.add_task(name, total=None, note="")

    def __call__(self, step: Step) -> None:
        self._bar.update(self._row, total=step.steps, completed=step.step, note=f"loss {step.loss:.3f}")
