"""The training loop: checkpoints, exact resume, metrics as CSV, averaged weights.

A step's data depend on the seed and the step's number alone, so a run that was cut off goes on as if it had not been.
"""

from __future__ import annotations

import copy
import csv
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import torch
from torch import Tensor, nn

from model.network import UNet
from train.config import Optimisation

CHECKPOINT: Final = "checkpoint.pt"
METRICS: Final = "metrics.csv"

B = TypeVar("B")


class Task(Protocol[B]):
    """What is learned: where batches come from and what is asked of the network."""

    def batch(self, step: int, size: int, device: torch.device) -> B:
        """The batch of a step: always the same one."""

    def losses(self, network: UNet, batch: B) -> Mapping[str, Tensor]:
        """Scalars by name, "loss" among them, which is minimised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a run is; handed to the caller after every step."""

    step: int
    steps: int
    loss: float


def fit(
    network: UNet,
    task: Task[B],
    plan: Optimisation,
    folder: Path,
    device: torch.device,
    report: Callable[[Progress], None] | None = None,
) -> UNet:
    """Train a network, or go on where a checkpoint in ``folder`` stopped; returns the averaged network on the CPU.

    Parameters
    ----------
    network
        Trained in place.
    task
        Batches and losses.
    plan
        Steps, batch size and learning rate.
    folder
        Holds ``checkpoint.pt`` and ``metrics.csv``; made if it is missing.
    device
        Half precision (bfloat16) is used on a GPU only: on a CPU it is slower.
    report
        Called after every step.

    """
    folder.mkdir(parents=True, exist_ok=True)
    run = _Run.start(network.to(device), plan, folder)
    while run.step < plan.steps:
        for group in run.optimiser.param_groups:
            group["lr"] = rate_at(run.step, plan)
        batch = task.batch(run.step, plan.batch, device)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda"):
            losses = task.losses(run.network.train(), batch)
        run.optimiser.zero_grad(set_to_none=True)
        losses["loss"].backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(run.network.parameters(), plan.clip)
        run.optimiser.step()
        run.advance({name: float(value.detach()) for name, value in losses.items()})
        if report is not None:
            report(Progress(step=run.step, steps=plan.steps, loss=run.rows[-1]["loss"]))
        if run.step % plan.checkpoint_steps == 0 or run.step == plan.steps:
            run.save(folder)
    return run.average.cpu().eval()


def rate_at(step: int, plan: Optimisation) -> float:
    """Learning rate: linear warm-up, then half a cosine down to one hundredth."""
    warm = min(1.0, (step + 1) / max(plan.warm_up, 1))
    return plan.rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / plan.steps)))


def averaged(network: UNet, folder: Path) -> UNet:
    """The averaged network of a checkpoint, finished or not. Raises FileNotFoundError if there is none."""
    state = torch.load(folder / CHECKPOINT, map_location="cpu", weights_only=True)
    network.load_state_dict(state["average"])
    return network.eval()


@dataclass(slots=True, kw_only=True, eq=False)
class _Run:
    network: UNet
    average: UNet
    optimiser: torch.optim.Optimizer
    decay: float
    rows: list[dict[str, float]]
    step: int = 0

    @classmethod
    def start(cls, network: UNet, plan: Optimisation, folder: Path) -> _Run:
        if network.config.dimensions == 2:
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimiser = torch.optim.AdamW(network.parameters(), lr=plan.rate, weight_decay=plan.weight_decay)
        run = cls(network=network, average=copy.deepcopy(network), optimiser=optimiser, decay=plan.average, rows=[])
        if (folder / CHECKPOINT).is_file():
            state: dict[str, Any] = torch.load(folder / CHECKPOINT, weights_only=True)
            run.network.load_state_dict(state["network"])
            run.average.load_state_dict(state["average"])
            run.optimiser.load_state_dict(state["optimiser"])
            run.step = state["step"]
            run.rows = _read_metrics(folder / METRICS, run.step)
        return run

    def advance(self, losses: dict[str, float]) -> None:
        self.step += 1
        # early on the average would remember the random start
        decay = min(self.decay, self.step / (self.step + 10))
        with torch.no_grad():
            theirs = self.network.state_dict()
            for name, mine in self.average.state_dict().items():
                if mine.is_floating_point():
                    mine.lerp_(theirs[name], 1 - decay)
                else:
                    mine.copy_(theirs[name])
        self.rows.append({"step": self.step, **losses})

    def save(self, folder: Path) -> None:
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
        }
        partial = folder / f"{CHECKPOINT}.part"
        torch.save(state, partial)
        with (folder / METRICS).open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(self.rows[0]))
            writer.writeheader()
            writer.writerows(self.rows)
        partial.replace(folder / CHECKPOINT)


def _read_metrics(path: Path, steps: int) -> list[dict[str, float]]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    return [row | {"step": int(row["step"])} for row in rows[:steps]]
