"""`score`: for anybody with a folder of DICOM files and no PACS at hand."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, track
from rich.table import Table

from model.definition import PROFILES
from model.scoring import Candidate
from node import offline, parts
from node.commands.options import USAGE, AsJson, ConfigFile, err, explained, load_settings, out
from node.domain.errors import NodeError
from node.domain.findings import REGIONS, Findings
from node.domain.reading_json import Declined, to_document
from node.settings import Settings

NOTHING_ELIGIBLE = 3


def score(
    path: Annotated[Path, typer.Argument(help="A DICOM file, or a folder searched with all below it.", exists=True)],
    out_dir: Annotated[
        Path | None,
        typer.Option("--out", help="Write reading.json and the objects to DIR/<series uid>/.", file_okay=False),
    ] = None,
    as_json: AsJson = False,
    list_candidates: Annotated[
        bool,
        typer.Option("--candidates", help="List every component at the threshold instead."),
    ] = False,
    profile: Annotated[
        str | None, typer.Option(help=f"Scoring definition: {', '.join(PROFILES)}. Default: that of the settings.")
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Read every eligible calcium-score series under PATH. Research use only.

    Exits with 0; with 3 if no series was eligible (the reasons are printed); with 2 on bad usage.
    """
    settings = load_settings(config)
    logging.getLogger().setLevel(logging.WARNING)
    if profile is not None:
        settings = settings.model_copy(update={"reader": settings.reader.model_copy(update={"profile": profile})})
    if settings.reader.profile not in PROFILES:
        err.print(f"there is no profile {settings.reader.profile!r}; known are {', '.join(PROFILES)}", markup=False)
        raise typer.Exit(USAGE)
    with explained():
        series = _search(path, settings)
        if list_candidates:
            _candidates(series, settings, as_json=as_json)
        else:
            _readings(series, settings, out_dir, as_json=as_json)


def _search(path: Path, settings: Settings) -> Sequence[offline.FoundSeries]:
    files = offline.files_under(path)
    series, skipped = offline.search(
        track(files, description="Looking at files", console=err, transient=True), settings.eligibility
    )
    for one in skipped:
        err.print(f"skipped {one.path.name}: {one.why}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    if not series:
        err.print("no DICOM series found", style="red")
        raise typer.Exit(NOTHING_ELIGIBLE)
    return series


def _readings(
    series: Sequence[offline.FoundSeries], settings: Settings, out_dir: Path | None, *, as_json: bool
) -> None:
    results: list[Findings | Declined] = []
    eligible = any(found.verdict.eligible for found in series)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        transient=True,
    ) as progress:
        task = progress.add_task("Loading the network" if eligible else "Judging", total=len(series))
        reader = parts.offline_reader(settings, load=eligible)
        progress.update(task, description="Reading")
        for found in series:
            folder = None if out_dir is None else out_dir / found.series_uid
            results.append(reader.answer(found, folder, parts.utc_now()))
            progress.advance(task)
    if as_json:
        typer.echo(json.dumps({"readings": [to_document(one) for one in results]}, indent=2))
    else:
        _print(results, out_dir)
    if not any(isinstance(one, Findings) for one in results):
        if as_json:
            for one in results:
                _print_declined(one)
        raise typer.Exit(NOTHING_ELIGIBLE)


def _print(results: Sequence[Findings | Declined], out_dir: Path | None) -> None:
    for result in results:
        if isinstance(result, Declined):
            _print_declined(result)
            continue
        table = Table(title=f"Series {result.series_uid}", title_justify="left")
        for heading in ("", "Agatston", "Volume mm³", "Mass mg", "Lesions"):
            table.add_column(heading, justify="left" if not heading else "right")
        for region in REGIONS:
            one = result.scores[region]
            mass = "–" if one.mass_mg is None else f"{one.mass_mg:.1f}"
            table.add_row(region, f"{one.agatston:.1f}", f"{one.volume_mm3:.1f}", mass, str(one.lesions))
        out.print(table)
        low, high = result.interval["CAC"]
        out.print(
            f"Category {result.category}, CAC-DRS {result.cac_drs}, CAC 5-95 % {low:.0f} to {high:.0f}; "
            f"{result.timings_ms['total']:.0f} ms",
            highlight=False,
        )
        for note in result.notes:
            out.print(f"  note: {note}", markup=False, highlight=False)
        if out_dir is not None:
            out.print(f"  written to {out_dir / result.series_uid}", markup=False, highlight=False, soft_wrap=True)
    out.print("Research use only: not for primary diagnosis.", style="dim")


def _print_declined(result: Findings | Declined) -> None:
    if isinstance(result, Declined):
        err.print(f"Series {result.series_uid} declined:", style="yellow", highlight=False, soft_wrap=True)
        for reason in result.reasons:
            err.print(f"  - {reason}", markup=False, highlight=False, soft_wrap=True)


def _candidates(series: Sequence[offline.FoundSeries], settings: Settings, *, as_json: bool) -> None:
    listed: list[tuple[str, Candidate]] = []
    failed = 0
    for found in track(series, description="Finding components", console=err, transient=True):
        try:
            components = offline.candidates_of(found, settings.reader.profile, settings.eligibility)
        except (NodeError, ValueError) as error:
            failed += 1
            err.print(
                f"Series {found.series_uid}: {error}", style="yellow", markup=False, highlight=False, soft_wrap=True
            )
            continue
        listed += [(found.series_uid, component) for component in components]
    if as_json:
        typer.echo(json.dumps({"candidates": [_candidate(uid, one) for uid, one in listed]}, indent=2))
    else:
        _print_candidates(listed)
    if failed == len(series):
        raise typer.Exit(NOTHING_ELIGIBLE)


def _candidate(series_uid: str, one: Candidate) -> dict[str, object]:
    return {
        "series_uid": series_uid,
        "slice": one.slice,
        "position_mm": one.position_mm,
        "centroid_lps_mm": list(one.centroid_lps_mm),
        "area_mm2": one.area_mm2,
        "peak_hu": one.peak_hu,
        "agatston": one.agatston,
    }


def _print_candidates(listed: Sequence[tuple[str, Candidate]]) -> None:
    table = Table(title=f"{len(listed)} components", title_justify="left")
    for heading in ("Slice", "Position mm", "x", "y", "z", "Area mm²", "Peak HU", "Agatston"):
        table.add_column(heading, justify="right")
    for _, one in listed:
        x, y, z = one.centroid_lps_mm
        table.add_row(
            str(one.slice),
            f"{one.position_mm:.2f}",
            *(f"{coordinate:.1f}" for coordinate in (x, y, z)),
            f"{one.area_mm2:.2f}",
            f"{one.peak_hu:.0f}",
            f"{one.agatston:.2f}",
        )
    out.print(table)
