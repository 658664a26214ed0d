"""``evaluate``: how well a bundle reads."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from train.commands.options import ConfigOption, DeviceOption, console, experiment_of, progress_bar
from train.evaluate import evaluate as evaluate_bundle
from train.evaluate import to_csv, to_markdown

app = typer.Typer()


@app.command()
def evaluate(
    bundle: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder of the bundle.")],
    config: ConfigOption = None,
    out: Annotated[Path | None, typer.Option(help="Folder for evaluation.md and evaluation.csv.")] = None,
    cases: Annotated[int | None, typer.Option(min=1, help="Only so many of the held-out cases.")] = None,
    device: DeviceOption = "auto",
) -> None:
    """Read held-out phantoms with a bundle, and compare with what they hold."""
    seeds = list(experiment_of(config).cohort.held_out_seeds())[:cases]
    with progress_bar() as bar:
        row = bar.add_task("held-out", total=len(seeds), note="")
        result = evaluate_bundle(bundle, seeds, device, lambda: bar.advance(row))
    console.print(to_markdown(result))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        (out / "evaluation.md").write_text(to_markdown(result), encoding="utf-8")
        (out / "evaluation.csv").write_text(to_csv(result), encoding="utf-8")
