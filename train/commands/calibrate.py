"""``calibrate``: a bundle's judge and temperature, from phantoms."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from model.bundle import load_bundle
from model.reader import choose_device
from train.anatomy.ranges import Cohort
from train.calibrate import calibrated, collect, write_calibrated
from train.cases import full_resolution, make_case
from train.commands.options import DeviceOption, console, progress_bar
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
    out: Annotated[Path | None, typer.Option(help="Folder of the calibrated bundle; the same without it.")] = None,
    table: Annotated[Path, typer.Option(help="Where the components are kept; more cases can be added later.")] = Path(
        "runs/calibration.npz"
    ),
    device: DeviceOption = "auto",
    ablate: Annotated[bool, typer.Option("--ablate", help="Also say what each group of inputs is worth.")] = False,
) -> None:
    """Fit the judge and the temperature of a bundle; goes on where it was stopped."""
    given = load_bundle(bundle)
    recipe = full_resolution(Cohort.MIXED)
    seeds = range(first_seed, first_seed + cases)
    with progress_bar() as bar:
        row = bar.add_task("cases", total=cases, note="")
        for seed in seeds:
            known = collect(given, [seed], lambda s: make_case(s, recipe), table, choose_device(device))
            bar.advance(row)
    fitted = fit(known)
    console.print(to_markdown(fitted, known))
    if ablate:
        console.print(ablation_table(judge_ablation(known)))
    result = calibrated(given, fitted.judge, fitted.temperature, known.seeds.tolist())
    identity = write_calibrated(result, bundle, out or bundle)
    console.print(f"{identity.name} {identity.version} sha256 {identity.sha256[:12]} in {out or bundle}")
