"""``fit``: train the networks of a run, the parts of an ensemble one after another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.progress import Progress

from model.bundle import ModelBundle, load_bundle
from model.network import NetworkConfig, UNet
from model.reader import choose_device
from train.baseline import BaselineTask, baseline_network, save
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
from train.commands.stopping import Clock, running
from train.config import ExperimentConfig
from train.loop import Progress as Step
from train.loop import Sitting, steps_behind
from train.loop import fit as fit_network
from train.patches import FineTask
from train.sittings import grown
from train.start import member_folder, record_parent, warm_start
from train.watching import Watch

app = typer.Typer()

_NETWORKS = ("coarse", "fine", "both", "baseline")
_AHEAD_ON_GPU = 6


@app.command()
def fit(  # noqa: PLR0917  # a command's options
    network: Annotated[str, typer.Argument(help="coarse, fine, both, or baseline.")] = "both",
    run: RunOption = Path("runs/first"),
    config: ConfigOption = None,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
    start: Annotated[
        Path | None, typer.Option("--from", file_okay=False, exists=True, help="Bundle to start from; see start_from.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(min=0.01, help="Stop with a checkpoint after so long.")] = None,
    member: Annotated[int | None, typer.Option(min=1, help="Only this labeller of the ensemble.")] = None,
) -> None:
    """Train on the prepared cohort; goes on where it was stopped."""
    if network not in _NETWORKS:
        raise typer.BadParameter(f"train {', '.join(_NETWORKS)}")
    if threads is not None:
        torch.set_num_threads(threads)
    experiment = experiment_of(config)
    experiment = experiment if start is None else replace(experiment, start_from=str(start))
    if member is not None and member > experiment.members:
        raise typer.BadParameter(f"the experiment has {experiment.members} members")
    with running(minutes) as clock, progress_bar() as bar:
        room = _Room(run=run, experiment=experiment, device=choose_device(device), bar=bar, clock=clock)
        console.print(f"training on {room.device.type}")
        if network in ("coarse", "both"):
            room.coarse()
        if network == "baseline":
            room.baseline()
        if network in ("fine", "both"):
            room.fine(range(1, experiment.members + 1) if member is None else range(member, member + 1))
    if clock.exit_status:
        console.print("told to stop; the checkpoint is written, the same command goes on from there")
        raise typer.Exit(clock.exit_status)
    if clock.stop():
        console.print(f"stopped after {minutes:g} minutes; the same command goes on from the checkpoint")


@dataclass(slots=True, kw_only=True, eq=False)
class _Room:
    """Everything that one call of ``fit`` needs."""

    run: Path
    experiment: ExperimentConfig
    device: torch.device
    bar: Progress
    clock: Clock

    def coarse(self) -> None:
        plan, seed = self.experiment, self.experiment.seed
        task = CoarseTask.of_run(self.run, plan.augmentation, seed)
        network = self._network(plan.coarse_network, seed, self.run / "coarse", None)
        fit_network(network, task, plan.coarse, self.run / "coarse", self.device, self._sitting("coarse"))

    def fine(self, members: range) -> None:
        plan = self.experiment
        cohort = Cohort.read(self.run / "cases")
        console.print(f"{len(cohort.cases)} cases")
        watch = self._watch()
        for number in members:
            if self.clock.stop():
                return
            folder, seed = member_folder(self.run, number, plan.members), plan.seed + number - 1
            warning = grown(folder, len(cohort.cases), steps_behind(folder))
            if warning:
                console.print(warning)
            network = self._network(plan.fine_network, seed, folder, number)
            task = FineTask(cohort, plan.augmentation, seed, plan.aims)
            fit_network(network, task, plan.fine, folder, self.device, self._sitting(folder.name, watch))

    def baseline(self) -> None:
        plan, folder = self.experiment, self.run / "baseline"
        task = BaselineTask(Cohort.read(self.run / "cases"), plan.baseline_pixels, plan.seed)
        torch.manual_seed(plan.seed)
        network = UNet(baseline_network())
        average = fit_network(network, task, plan.baseline, folder, self.device, self._sitting("baseline"))
        save(folder / "baseline.safetensors", average, plan.baseline_pixels, plan.as_dict())

    def _watch(self) -> Watch | None:
        folder = self.run / "watched"
        if not folder.is_dir():
            console.print("no watched cases (prepare makes them): training is not tried on held-out cases")
            return None
        return Watch(Cohort.read(folder).cases, self.experiment.aims)

    def _sitting(self, name: str, watch: Watch | None = None) -> Sitting:
        ahead = _AHEAD_ON_GPU if self.device.type == "cuda" else 0
        return Sitting(report=_Reporter(self.bar, name), watch=watch, stop=self.clock.stop, ahead=ahead)

    def _network(self, config: NetworkConfig, seed: int, folder: Path, member: int | None) -> UNet:
        """A network at its start; a checkpoint in its folder has the last word."""
        torch.manual_seed(seed)
        network = UNet(config)
        if not self.experiment.start_from or steps_behind(folder):
            return network
        bundle = load_bundle(Path(self.experiment.start_from))
        warmth = warm_start(network, _parent(bundle, member))
        record_parent(self.run, bundle.identity)
        anew = f"; anew: {', '.join(warmth.anew)}" if warmth.anew else ""
        identity = bundle.identity
        console.print(f"{folder.name} starts from {identity.name} {identity.version}: {warmth.taken} tensors{anew}")
        return network


def _parent(bundle: ModelBundle, member: int | None) -> UNet:
    if member is None:
        return bundle.coarse
    members = bundle.members
    return members[(member - 1) % len(members)]


class _Reporter:
    """Shows a run's progress as one row."""

    def __init__(self, bar: Progress, name: str) -> None:
        self._bar = bar
        self._row = bar.add_task(name, total=None, note="")

    def __call__(self, step: Step) -> None:
        note = f"loss {step.loss:.3f} rate {step.rate:.1e} {step.per_second:.2f}/s"
        self._bar.update(self._row, total=step.steps, completed=step.step, note=note)
