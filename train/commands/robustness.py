"""``robustness``: whether a bundle reads the same patient alike, scanned or stored otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from model.bundle import BundleError, load_bundle
from model.reader import Reader, use_threads
from train.commands.options import DeviceOption, ThreadsOption, console, progress_bar
from train.evaluation.sources import RecipeName, recipe_of
from train.robustness.report import to_csv, to_markdown
from train.robustness.running import Lines, run
from train.robustness.sample import fine_recipe

app = typer.Typer()

FIRST_HELD_OUT = 950_001


@app.command()
def robustness(
    bundle: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder of the bundle.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder for robustness.md, .csv and .jsonl.")],
    cases: Annotated[int, typer.Option(min=1, help="How many patients.")] = 100,
    first_seed: Annotated[int, typer.Option(min=0, help="Seeds that no training used.")] = FIRST_HELD_OUT,
    recipe: Annotated[RecipeName, typer.Option(help="How patients are drawn, as for evaluate.")] = RecipeName.HOLD_OUT,
    device: DeviceOption = "auto",
    threads: ThreadsOption = None,
) -> None:
    """Read held-out phantoms as they are and in every variant, and compare. Goes on where it was stopped.

    Takes about 5 GB of memory, and half a minute of a processor for each patient to be made.
    """
    if threads is not None:
        use_threads(threads)
    try:
        loaded = load_bundle(bundle)
        reader = Reader(loaded, device=device)
    except (BundleError, ValueError) as error:
        raise typer.BadParameter(str(error)) from error
    drawn = fine_recipe(recipe_of(recipe))
    seeds = range(first_seed, first_seed + cases)
    try:
        lines = Lines(out, loaded.identity.sha256, drawn)
    except OSError as error:
        raise typer.BadParameter(f"cannot write to {out}: {error.strerror or error}") from error
    with progress_bar() as bar:
        row = bar.add_task("patients", total=len(seeds), note="")
        run(seeds, drawn, reader, lines, lambda: bar.advance(row))
    found = {seed: lines.cases[seed] for seed in seeds}
    title = f"{loaded.identity.name} {loaded.identity.version}, seeds {seeds[0]} to {seeds[-1]}, recipe {recipe}"
    report = to_markdown(found, title)
    (out / "robustness.md").write_text(report, encoding="utf-8")
    (out / "robustness.csv").write_text(to_csv(found), encoding="utf-8")
    console.print(report, markup=False, highlight=False, soft_wrap=True)
