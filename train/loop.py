"""The training loop: checkpoints, exact resume, metrics as CSV, averaged weights.

A step's data depend on the seed and the step's number alone, so a run that was cut off goes on as if it had not been.
"""

from __future__ import annotations

import copy
import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import torch
from torch import Tensor, nn

from model.network import UNet
from train.config import Optimisation
from train.metrics import METRICS, WATCHED, Row, plot, read_rows, write_rows

CHECKPOINT: Final = "checkpoint.pt"

B = TypeVar("B")


class Task(Protocol[B]):
    """What is learned: where batches come from and what is asked of the network."""

    def batch(self, step: int, size: int, device: torch.device) -> B:
        """The batch of a step: always the same one."""

    def losses(self, network: UNet, batch: B) -> Mapping[str, Tensor]:
        """Scalars by name, "loss" among them, which is minimised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a run is; handed to the caller after every step. ``per_second`` counts this sitting's steps."""

    step: int
    steps: int
    loss: float
    rate: float
    per_second: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sitting:
    """What one sitting of a run is given besides the run itself. None of it changes what is learned.

    Attributes
    ----------
    report
        Called after every step.
    watch
        Tries the averaged network; what it returns becomes a row of ``watched.csv``.
    stop
        Asked after every step; once it says so, the run is saved and left.
    ahead
        Batches made in advance by as many threads; 0 makes each when it is needed, which is best on few cores.

    """

    report: Callable[[Progress], None] | None = None
    watch: Callable[[UNet], Mapping[str, float]] | None = None
    stop: Callable[[], bool] | None = None
    ahead: int = 0


def fit(
    network: UNet,
    task: Task[B],
    plan: Optimisation,
    folder: Path,
    device: torch.device,
    sitting: Sitting | None = None,
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
        Holds ``checkpoint.pt``, ``metrics.csv``, ``watched.csv`` and ``metrics.png``; made if it is missing.
    device
        Half precision (bfloat16) is used where the hardware computes in it: see :func:`half_precision`.
    sitting
        Who is told, who watches, and when to stop early.

    """
    sitting = sitting or Sitting()
    folder.mkdir(parents=True, exist_ok=True)
    run = _Run.start(network.to(device), plan, folder)
    began, first = time.monotonic(), run.step
    for batch in _batches(task, plan, run.step, device, sitting.ahead):
        for group in run.optimiser.param_groups:
            group["lr"] = rate_at(run.step, plan)
        run.learn(task, batch, plan, device)
        if sitting.watch is not None and (run.step % plan.watch_steps == 0 or run.step == plan.steps):
            run.watched.append({"step": run.step, **sitting.watch(run.average)})
        if sitting.report is not None:
            per_second = (run.step - first) / max(time.monotonic() - began, 1e-9)
            rate = rate_at(run.step - 1, plan)
            loss = run.rows[-1]["loss"]
            sitting.report(Progress(step=run.step, steps=plan.steps, loss=loss, rate=rate, per_second=per_second))
        stop = sitting.stop is not None and sitting.stop()
        if stop or run.step % plan.checkpoint_steps == 0 or run.step == plan.steps:
            run.save(folder)
        if stop:
            break
    return run.average.cpu().eval()


def _batches(task: Task[B], plan: Optimisation, first: int, device: torch.device, ahead: int) -> Iterator[B]:
    """Batches from a step to the last, in order; threads make them ahead of time if there shall be any."""
    if ahead == 0:
        for step in range(first, plan.steps):
            yield task.batch(step, plan.batch, device)
        return
    with ThreadPoolExecutor(max_workers=ahead, thread_name_prefix="batches") as pool:
        waiting: deque[Future[B]] = deque()
        try:
            for step in range(first, plan.steps):
                while len(waiting) <= ahead and step + len(waiting) < plan.steps:
                    waiting.append(pool.submit(task.batch, step + len(waiting), plan.batch, device))
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def half_precision(device: torch.device) -> bool:
    """Whether to train in bfloat16: on a GPU, and on a CPU that has instructions for it (elsewhere it is slower)."""
    return device.type == "cuda" or bool(torch.cpu.get_capabilities().get("avx512_bf16", False))


def rate_at(step: int, plan: Optimisation) -> float:
    """Learning rate: linear warm-up, then half a cosine down to one hundredth."""
    warm = min(1.0, (step + 1) / max(plan.warm_up, 1))
    return plan.rate * warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / plan.steps)))


def averaged(network: UNet, folder: Path) -> UNet:
    """The averaged network of a checkpoint, finished or not. Raises FileNotFoundError if there is none."""
    state = torch.load(folder / CHECKPOINT, map_location="cpu", weights_only=True)
    network.load_state_dict(state["average"])
    return network.eval()


def steps_behind(folder: Path) -> int:
    """Steps a folder's checkpoint has behind it; 0 without one."""
    if not (folder / CHECKPOINT).is_file():
        return 0
    return int(torch.load(folder / CHECKPOINT, map_location="cpu", weights_only=True)["step"])


@dataclass(slots=True, kw_only=True, eq=False)
class _Run:
    network: UNet
    average: UNet
    optimiser: torch.optim.Optimizer
    decay: float
    rows: list[Row]
    watched: list[Row]
    step: int = 0

    @classmethod
    def start(cls, network: UNet, plan: Optimisation, folder: Path) -> _Run:
        if network.config.dimensions == 2:
            network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimiser = torch.optim.AdamW(network.parameters(), lr=plan.rate, weight_decay=plan.weight_decay)
        average = copy.deepcopy(network).eval()
        run = cls(network=network, average=average, optimiser=optimiser, decay=plan.average, rows=[], watched=[])
        if (folder / CHECKPOINT).is_file():
            state: dict[str, Any] = torch.load(folder / CHECKPOINT, map_location="cpu", weights_only=True)
            run.network.load_state_dict(state["network"])
            run.average.load_state_dict(state["average"])
            run.optimiser.load_state_dict(state["optimiser"])
            run.step = state["step"]
            run.rows, run.watched = (read_rows(folder / name, run.step) for name in (METRICS, WATCHED))
        return run

    def learn(self, task: Task[B], batch: B, plan: Optimisation, device: torch.device) -> None:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=half_precision(device)):
            losses = task.losses(self.network.train(), batch)
        self.optimiser.zero_grad(set_to_none=True)
        losses["loss"].backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), plan.clip)
        self.optimiser.step()
        values = torch.stack([value.detach().float() for value in losses.values()]).tolist()
        self.advance(dict(zip(losses, values, strict=True)))

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
        write_rows(folder / METRICS, self.rows)
        write_rows(folder / WATCHED, self.watched)
        partial.replace(folder / CHECKPOINT)
        plot(folder)
