"""``python -m train.realism``: hold phantoms against real scans."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from train.cases import Cohort, full_resolution, make_case
from train.commands.options import console, progress_bar
from train.realism.measuring import COMMON_MM, Measured, measure
from train.realism.pictures import WINDOWS_HU, side_by_side
from train.realism.plots import plot_components, plot_edges, plot_noise, plot_tissues
from train.realism.report import to_markdown
from train.realism.sources import NoReferenceError, Scan, of_case, real_scans

SHOWN = 3
_MATCHED_MM = 0.88


def realism(
    reference: Annotated[Path, typer.Option(exists=True, file_okay=False, help="Folder of the reference data.")],
    out: Annotated[Path, typer.Option(help="Folder for REALISM.md, plots, and pictures/.")],
    *,
    cases: Annotated[int, typer.Option(min=1, help="How many phantoms.")] = 12,
    first_seed: Annotated[int, typer.Option(min=0, help="Seed of the first.")] = 700_001,
) -> None:
    """Write statistics of phantoms and real scans as tables and plots, and pictures of both to look at."""
    try:
        scans = real_scans(reference)
    except NoReferenceError as error:
        console.print(f"[red]{error}[/red]")
        raise typer.Exit(1) from error
    (out / "pictures").mkdir(parents=True, exist_ok=True)
    real = [measure(scan, plastic=scan.name == "QRM") for scan in scans]
    shown, phantoms = _phantoms(range(first_seed, first_seed + cases))
    _pictures(out / "pictures", scans, shown)
    for name, plot in {
        "tissues": plot_tissues,
        "noise": plot_noise,
        "edges": plot_edges,
        "components": plot_components,
    }.items():
        plot(out / f"{name}.png", real, phantoms)
    command = f"python -m train.realism --reference DIR --out DIR --cases {cases} --first-seed {first_seed}"
    (out / "REALISM.md").write_text(to_markdown(real, phantoms, command), encoding="utf-8")
    console.print(f"wrote {out / 'REALISM.md'}")


def _phantoms(seeds: range) -> tuple[list[Scan], list[Measured]]:
    """Some phantoms to show, and all of them measured."""
    shown: list[Scan] = []
    measured: list[Measured] = []
    with progress_bar() as bar:
        row = bar.add_task("phantoms", total=len(seeds), note="")
        for seed in seeds:
            scan = of_case(make_case(seed, full_resolution(Cohort.MIXED)), f"phantom {seed}")
            measured.append(measure(scan))
            if len(shown) < SHOWN:
                shown.append(scan)
            bar.advance(row)
    return shown, measured


def _pictures(folder: Path, real: list[Scan], phantoms: list[Scan]) -> None:
    """Chests at 3 mm, what is finer at 0.88 mm or as it is, each beside phantoms at the same pixels."""
    groups = {
        "common": ([scan for scan in real if scan.name != "QRM"], COMMON_MM),
        "fine": ([scan for scan in real if scan.spacing_mm[1] < COMMON_MM / 2], _MATCHED_MM),
    }
    for name, (group, step) in groups.items():
        rows = [scan.at(step) for scan in [*group, *phantoms]]
        for window in WINDOWS_HU:
            side_by_side(folder / f"{name}-{window}.png", rows, window)


if __name__ == "__main__":
    typer.run(realism)
