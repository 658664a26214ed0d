"""``ablate``: what each part of the labeller is worth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.progress import TaskID

from model.bundle import load_bundle
from model.reader import choose_device
from train.ablation import VARIANTS, WITHHELD, Figures, to_csv, to_markdown, train_variant, withhold
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
from train.commands.stopping import running
from train.config import ExperimentConfig
from train.loop import Progress, Sitting

app = typer.Typer()


@app.command()
def ablate(  # noqa: PLR0917  # a command's options
    run: RunOption = Path("runs/first"),
    config: ConfigOption = None,
    steps: Annotated[int, typer.Option(min=1, help="Of each variant.")] = 600,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    minutes: Annotated[float | None, typer.Option(min=0.01, help="Stop after so long, and go on later.")] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="Train nothing: keep inputs from this bundle's labeller."),
    ] = None,
) -> None:
    """Train short variants, each without one part, and try them on the watched cases; goes on where it stopped."""
    if threads is not None:
        torch.set_num_threads(threads)
    experiment = experiment_of(config)
    if bundle is not None:
        console.print(_withheld(run, bundle, experiment, choose_device(device)))
        return
    experiment = replace(experiment, fine=replace(experiment.fine, steps=steps))
    results: dict[str, Figures] = {}
    with running(minutes) as clock, progress_bar() as bar:
        for name in VARIANTS:
            if clock.stop():
                break
            row = bar.add_task(name, total=steps, note="")

            def report(step: Progress, row: TaskID = row) -> None:
                bar.update(row, completed=step.step, note=f"loss {step.loss:.3f}")

            sitting = Sitting(report=report, stop=clock.stop)
            figures = train_variant(name, run, experiment, choose_device(device), sitting)
            if figures is not None:
                results[name] = figures
                _write(run / "ablation", results)
    console.print(to_markdown(results))
    if len(results) < len(VARIANTS):
        console.print("stopped before the end; the same command goes on from there")
        raise typer.Exit(clock.exit_status)


def _withheld(run: Path, bundle: Path, experiment: ExperimentConfig, device: torch.device) -> str:
    cohort, network = Cohort.read(run / "watched"), load_bundle(bundle).fine
    results: dict[str, Figures] = {}
    with progress_bar() as bar:
        row = bar.add_task("variants", total=len(WITHHELD), note=f"{len(cohort.cases)} cases")
        for name in WITHHELD:
            results[name] = withhold(name, network, cohort, experiment, device)
            bar.advance(row)
    (run / "ablation").mkdir(exist_ok=True)
    (run / "ablation" / "withheld.csv").write_text(to_csv(results), encoding="utf-8")
    return to_markdown(results)


def _write(folder: Path, results: dict[str, Figures]) -> None:
    (folder / "ablation.md").write_text(to_markdown(results), encoding="utf-8")
    (folder / "ablation.csv").write_text(to_csv(results), encoding="utf-8")
