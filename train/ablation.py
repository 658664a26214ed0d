"""What each part of the labeller is worth: held-out cases without it, after a short training or a whole one."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch

from model.network import UNet
from train.cohort import Cohort
from train.config import Aims, ExperimentConfig
from train.loop import Sitting, fit, steps_behind
from train.patches import FineTask
from train.watching import Watch

VARIANTS: Final[Mapping[str, Callable[[Aims], Aims]]] = {
    "all": lambda aims: aims,
    "no position": lambda aims: replace(aims, position=False),
    "no anatomy head": lambda aims: replace(aims, anatomy=0.0),
    "no calcium head": lambda aims: replace(aims, calcium=0.0),
    "no dense territories": lambda aims: replace(aims, dense=0.0),
    "one slice": lambda aims: replace(aims, context=False),
    "no candidates": lambda aims: replace(aims, candidate=False),
    "no hard negatives": lambda aims: replace(aims, hard_negative=1.0),
}
WITHHELD: Final = ("all", "no position", "one slice", "no candidates")
"""Those of the variants that are about what the labeller is given, which can be kept from a trained one too."""
COLUMNS: Final = ("found", "right", "false", "LM", "LAD", "LCX", "RCA", "AV", "TA")

Figures = dict[str, float]


def train_variant(
    name: str, run: Path, experiment: ExperimentConfig, device: torch.device, sitting: Sitting | None = None
) -> Figures | None:
    """Train one variant from scratch, or go on with it, and try it on the watched cases of the run.

    ``experiment.fine`` gives the steps, all variants the same; results are kept in ``ablation/<name>/figures.json``.
    Returns None if the sitting ended before the training did.
    """
    folder = run / "ablation" / name.replace(" ", "-")
    kept = folder / "figures.json"
    plan = experiment.fine
    if kept.is_file():
        values = json.loads(kept.read_text(encoding="utf-8"))
        if values["steps"] == plan.steps:
            return {column: float(value) for column, value in values["figures"].items()}
    aims = VARIANTS[name](experiment.aims)
    torch.manual_seed(experiment.seed)
    task = FineTask(Cohort.read(run / "cases"), experiment.augmentation, experiment.seed, aims)
    network = fit(UNet(experiment.fine_network), task, plan, folder, device, sitting)
    if steps_behind(folder) < plan.steps:
        return None
    figures = Watch(Cohort.read(run / "watched").cases, aims)(network.to(device))
    kept.write_text(json.dumps({"steps": plan.steps, "figures": figures}, indent=2) + "\n", encoding="utf-8")
    return figures


def withhold(name: str, network: UNet, cohort: Cohort, experiment: ExperimentConfig, device: torch.device) -> Figures:
    """Try a trained labeller on held-out cases without one of its inputs, one of :data:`WITHHELD`.

    Kinder to what training left out now and then, as an augmentation, than a training without it would be.
    """
    return Watch(cohort.cases, VARIANTS[name](experiment.aims))(network.to(device))


def to_markdown(results: Mapping[str, Figures]) -> str:
    """One row a variant; shares in percent, false candidates a case."""
    lines = [f"| variant | {' | '.join(COLUMNS)} |", f"| --- |{' --- |' * len(COLUMNS)}"]
    for name, figures in results.items():
        cells = [
            "-"
            if column not in figures
            else f"{figures[column]:.1f}"
            if column == "false"
            else f"{figures[column]:.0%}"
            for column in COLUMNS
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def to_csv(results: Mapping[str, Figures]) -> str:
    """The same as :func:`to_markdown`, not rounded."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ["variant", "loss", *COLUMNS], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({"variant": name, **figures} for name, figures in results.items())
    return text.getvalue()
