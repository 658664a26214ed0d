"""``prepare``: the cases a run trains on."""

from __future__ import annotations

from pathlib import Path

import typer

from model.reader import choose_device
from train.cases import make_case, training_resolution
from train.cohort import Prepared, case_path
from train.commands.options import ConfigOption, DeviceOption, RunOption, experiment_of, progress_bar
from train.wide import WIDE, store, wide_case, wide_path

app = typer.Typer()


@app.command()
def prepare(run: RunOption = Path("runs/first"), config: ConfigOption = None, device: DeviceOption = "cpu") -> None:
    """Make the cohort of an experiment and the cases it is watched on, not the held-out ones. What exists is kept."""
    cohort = experiment_of(config).cohort
    if cohort.watched_cases:
        store_cases(run / "watched", cohort.watched_seeds(), device)
    store_cases(run / "cases", cohort.seeds(), device)
    store_wide(run / WIDE, cohort.wide_cases)


def store_cases(folder: Path, seeds: range, device: str) -> None:
    """Make the case of every seed that is not in the folder yet, at training resolution."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe = training_resolution()
    target = choose_device(device).type
    with progress_bar() as bar:
        row = bar.add_task("cases", total=len(seeds), note="")
        for seed in seeds:
            if not case_path(folder, seed).is_file():
                Prepared.of(make_case(seed, recipe, target)).write(case_path(folder, seed))
            bar.advance(row)


def store_wide(folder: Path, count: int) -> None:
    """Make the whole chests that are not in the folder yet."""
    folder.mkdir(parents=True, exist_ok=True)
    with progress_bar() as bar:
        row = bar.add_task("whole chests", total=count, note="")
        for number in range(count):
            if not wide_path(folder, number).is_file():
                store(wide_case(number), wide_path(folder, number))
            bar.advance(row)
