"""Options that several commands share, and how they show progress."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from train.config import ExperimentConfig

console = Console()

ConfigOption = Annotated[
    Path | None, typer.Option("--config", exists=True, dir_okay=False, help="Experiment as TOML; defaults without it.")
]
RunOption = Annotated[Path, typer.Option("--run", help="Folder of this run: cases, checkpoints, metrics.")]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
ThreadsOption = Annotated[int | None, typer.Option(min=1, help="CPU threads; torch decides without it.")]


def experiment_of(config: Path | None) -> ExperimentConfig:
    """The experiment of a file; the default one without."""
    return ExperimentConfig() if config is None else ExperimentConfig.load(config)


def progress_bar() -> Progress:
    """A bar a task, with a note at its end; tasks need ``note=""``."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, TextColumn("{task.fields[note]}"), console=console)
