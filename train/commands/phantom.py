"""``phantom``: cases to look at, and DICOM series to test a node with."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import Annotated

import typer

from model.reader import choose_device
from train.anatomy.ranges import Cohort
from train.commands.options import DeviceOption, console, progress_bar
from train.commands.prepare import store_cases
from train.series.making import OtherRecipeError, make_series, outstanding, write_index
from train.series.order import Format, Order, parse_seeds

app = typer.Typer()

FAILED = 1


@app.command()
def phantom(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder for cases at training resolution; not with --seeds.")
    ] = None,
    *,
    first_seed: Annotated[int, typer.Option(min=0, help="At training resolution.")] = 1,
    cases: Annotated[int, typer.Option(min=1, help="At training resolution.")] = 8,
    seeds: Annotated[
        str | None, typer.Option(metavar="A:B", help="Full series of the seeds from A up to, but without, B.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for full series, one folder a seed.")] = None,
    cohort: Annotated[Cohort, typer.Option(help="How much calcium.")] = Cohort.MIXED,
    spacing: Annotated[float, typer.Option(help="Slice spacing in mm.")] = 3.0,
    written_as: Annotated[Format, typer.Option("--format", help="How full series are written.")] = Format.DICOM,
    device: DeviceOption = "auto",
) -> None:
    """Make phantoms: full 512 x 512 series with their truth (--seeds, --out), or npz at training resolution (FOLDER).

    A series' folder holds ct/*.dcm, truth-seg.dcm (where there is calcium) and truth.json; index.csv lists all.
    What is finished is kept: the same command goes on where it was stopped.
    """
    if seeds is None or out is None:
        if folder is None or seeds is not None or out is not None:
            raise typer.BadParameter("give --seeds A:B and --out DIR for full series, or a folder for training cases")
        store_cases(folder, range(first_seed, first_seed + cases), device)
        return
    if folder is not None:
        raise typer.BadParameter("full series go to --out DIR; leave the other folder out")
    try:
        wanted, order, target = parse_seeds(seeds), Order.of(cohort, spacing, written_as), choose_device(device).type
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    try:
        _make(out, wanted, order, target)
    except OtherRecipeError as error:
        _stop(str(error))
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        why = "the disk is full" if full else f"cannot write to {out}: {error.strerror or error}"
        _stop(f"{why}. What is finished is kept; the same command goes on.")


def _make(out: Path, seeds: range, order: Order, device: str) -> None:
    out.mkdir(parents=True, exist_ok=True)
    left = outstanding(out, seeds, order)
    needed, free = len(left) * order.bytes_per_case(), shutil.disk_usage(out).free
    if needed > free:
        _stop(f"{len(left)} cases need about {needed / 1e9:.1f} GB, and {out} has {free / 1e9:.1f} GB free")
    with progress_bar() as bar:
        row = bar.add_task("series", total=len(seeds), completed=len(seeds) - len(left), note="")
        try:
            for seed in left:
                bar.update(row, note=f"seed {seed}")
                make_series(out, seed, order, device)
                bar.advance(row)
        finally:
            write_index(out)
    console.print(f"{len(seeds)} series in {out}, {len(seeds) - len(left)} of them from before", soft_wrap=True)


def _stop(message: str) -> None:
    console.print(message, markup=False, highlight=False, soft_wrap=True, style="red")
    raise typer.Exit(FAILED)
