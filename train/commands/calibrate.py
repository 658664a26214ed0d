"""``calibrate``: a bundle's judge and temperature, from phantoms."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.progress import track

from model.bundle import ModelBundle, load_bundle
from model.reader import choose_device
from train.calibrate import Table, calibrated, collect, examined, known, write_calibrated
from train.cases import make_case
from train.commands.options import DeviceOption, console
from train.evaluation.sources import RecipeName, recipe_of
from train.judge_ablation import judge_ablation
from train.judge_ablation import to_markdown as ablation_table
from train.judge_fit import fit, to_markdown

app = typer.Typer()


@app.command()
def calibrate(
    bundle: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder of the bundle.")],
    *,
    first_seed: Annotated[int, typer.Option(min=0, help="Of cases the bundle was not trained on.")],
    cases: Annotated[int, typer.Option(min=1)] = 60,
    recipe: Annotated[
        RecipeName, typer.Option(help="How they are drawn: training-like or patient-like. A table may hold both.")
    ] = RecipeName.TRAINING_LIKE,
    out: Annotated[Path | None, typer.Option(help="Folder of the calibrated bundle; the same without it.")] = None,
    table: Annotated[Path, typer.Option(help="Where the components are kept; more cases can be added later.")] = Path(
        "runs/calibration.npz"
    ),
    device: DeviceOption = "auto",
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    ablate: Annotated[bool, typer.Option("--ablate", help="Also say what each group of inputs is worth.")] = False,
) -> None:
    """Fit the judge and the temperature of a bundle; goes on where it was stopped."""
    if recipe is RecipeName.HOLD_OUT:
        raise typer.BadParameter("hold-out phantoms are for figures: a bundle fitted to them would have none left")
    given = load_bundle(bundle)
    try:
        before = known(given, table)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    seeds = [seed for seed in range(first_seed, first_seed + cases) if seed not in before.seeds]
    maker = CaseMaker(bundle=bundle, recipe=recipe, device=device)
    made = track(maker.tables(seeds, jobs), "cases", total=len(seeds), console=console)
    whole = collect(given, table, made)
    fitted = fit(whole)
    console.print(to_markdown(fitted, whole))
    if ablate:
        console.print(ablation_table(judge_ablation(whole)))
    result = calibrated(given, fitted.judge, fitted.temperature, whole.seeds.tolist())
    identity = write_calibrated(result, bundle, out or bundle)
    console.print(f"{identity.name} {identity.version} sha256 {identity.sha256[:12]} in {out or bundle}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseMaker:
    """What a process needs to make and examine cases."""

    bundle: Path
    recipe: RecipeName
    device: str

    def tables(self, seeds: Sequence[int], jobs: int) -> Iterator[Table]:
        """The table of each seed, in order."""
        if jobs == 1:
            yield from map(self.table, seeds)
            return
        threads = max(1, (os.cpu_count() or jobs) // jobs)
        context = multiprocessing.get_context("spawn")  # a fork would inherit torch's threads
        start = torch.set_num_threads
        with ProcessPoolExecutor(jobs, mp_context=context, initializer=start, initargs=(threads,)) as pool:
            waiting = [pool.submit(self.table, seed) for seed in seeds]
            try:
                # in order, so that the same seeds give the same judge
                yield from (future.result() for future in waiting)
            finally:
                pool.shutdown(cancel_futures=True)

    def table(self, seed: int) -> Table:
        """Make and examine one case."""
        case = make_case(seed, recipe_of(self.recipe))
        return examined(_opened(self.bundle), seed, case, choose_device(self.device))


@cache
def _opened(bundle: Path) -> ModelBundle:
    return load_bundle(bundle)
