"""``second-reader-train``: phantoms in, a bundle out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from model.network import UNet
from model.reader import choose_device
from train.cases import make_case, training_resolution
from train.cohort import Cohort, Prepared, case_path
from train.config import ExperimentConfig
from train.evaluate import evaluate as evaluate_bundle
from train.evaluate import to_csv, to_markdown
from train.export import export_bundle
from train.loop import Progress as Step
from train.loop import fit as fit_network
from train.patches import CoarseTask, FineTask

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Make phantoms, train on them, export a bundle.")
console = Console()

ConfigOption = Annotated[
    Path | None, typer.Option("--config", exists=True, dir_okay=False, help="Experiment as TOML; defaults without it.")
]
RunOption = Annotated[Path, typer.Option("--run", help="Folder of this run: cases, checkpoints, metrics.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="CPU threads; torch decides without it.")]


def main() -> None:
    """Entry point of the script."""
    app()


@app.command()
def phantom(
    out: Annotated[Path, typer.Argument(help="Folder for the cases.")],
    first_seed: Annotated[int, typer.Option(min=0)] = 1,
    cases: Annotated[int, typer.Option(min=1)] = 8,
    device: DeviceOption = "cpu",
) -> None:
    """Make phantom cases as npz at training resolution: HU, calcium, territories, anatomy."""
    _make(out, range(first_seed, first_seed + cases), device)


@app.command()
def prepare(run: RunOption = Path("runs/first"), config: ConfigOption = None, device: DeviceOption = "cpu") -> None:
    """Make the cohort of an experiment, held-out cases not included. Cases that exist are kept."""
    _make(run / "cases", _experiment(config).cohort.seeds(), device)


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
    experiment = _experiment(config)
    cohort = Cohort.read(run / "cases")
    console.print(f"{len(cohort.cases)} cases, {choose_device(device).type}")
    torch.manual_seed(experiment.seed)
    coarse, fine = UNet(experiment.coarse_network), UNet(experiment.fine_network)
    target = choose_device(device)
    with _bar() as bar:
        if network in ("coarse", "both"):
            task = CoarseTask(cohort, experiment.augmentation, experiment.seed)
            fit_network(coarse, task, experiment.coarse, run / "coarse", target, _Reporter(bar, "coarse"))
        if network in ("fine", "both"):
            labeller = FineTask(cohort, experiment.augmentation, experiment.seed)
            fit_network(fine, labeller, experiment.fine, run / "fine", target, _Reporter(bar, "fine"))


@app.command()
def export(
    out: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    run: RunOption = Path("runs/first"),
    config: ConfigOption = None,
    background_prior: Annotated[float, typer.Option(min=0.01, help="See Calibration.")] = 1.0,
    temperature: Annotated[float, typer.Option(min=0.01, help="See Calibration.")] = 1.0,
) -> None:
    """Write the averaged weights of a run as a bundle. Its card is kept if there is one."""
    identity = export_bundle(run, out, _experiment(config), temperature=temperature, background_prior=background_prior)
    console.print(f"{identity.name} {identity.version} sha256 {identity.sha256[:12]} in {out}")


@app.command()
def evaluate(
    bundle: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder of the bundle.")],
    config: ConfigOption = None,
    out: Annotated[Path | None, typer.Option(help="Folder for evaluation.md and evaluation.csv.")] = None,
    cases: Annotated[int | None, typer.Option(min=1, help="Only so many of the held-out cases.")] = None,
    device: DeviceOption = "auto",
) -> None:
    """Read held-out phantoms with a bundle, and compare with what they hold."""
    seeds = list(_experiment(config).cohort.held_out_seeds())[:cases]
    with _bar() as bar:
        row = bar.add_task("held-out", total=len(seeds), note="")
        result = evaluate_bundle(bundle, seeds, device, lambda: bar.advance(row))
    console.print(to_markdown(result))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "evaluation.md").write_text(to_markdown(result), encoding="utf-8")
        (out / "evaluation.csv").write_text(to_csv(result), encoding="utf-8")


def _experiment(config: Path | None) -> ExperimentConfig:
    return ExperimentConfig() if config is None else ExperimentConfig.load(config)


def _make(folder: Path, seeds: range, device: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    recipe = training_resolution()
    target = choose_device(device).type
    with _bar() as bar:
        row = bar.add_task("cases", total=len(seeds), note="")
        for seed in seeds:
            if not case_path(folder, seed).is_file():
                Prepared.of(make_case(seed, recipe, target)).write(case_path(folder, seed))
            bar.advance(row)


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, TextColumn("{task.fields[note]}"), console=console)


class _Reporter:
    """Shows a run's progress as one row."""

    def __init__(self, bar: Progress, name: str) -> None:
        self._bar = bar
        self._row = bar.add_task(name, total=None, note="")

    def __call__(self, step: Step) -> None:
        self._bar.update(self._row, total=step.steps, completed=step.step, note=f"loss {step.loss:.3f}")
