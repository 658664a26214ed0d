"""``evaluate``: how well a bundle reads, on phantoms it never saw or on a site's own cases."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

import typer
from safetensors import SafetensorError

from model.bundle import BundleError, load_bundle
from train.commands.options import ConfigOption, DeviceOption, console, experiment_of, progress_bar
from train.config import CohortConfig, ConfigError
from train.evaluation.comparison import comparison
from train.evaluation.readers import Kind, ReaderSpec
from train.evaluation.report import REPORT, About, write_report
from train.evaluation.run import evaluate as read_all
from train.evaluation.sources import DataError, Phantoms, RecipeName, Source, Stored
from train.evaluation.store import Store

app = typer.Typer()

_OPENED = (BundleError, DataError, ConfigError, SafetensorError, OSError)


@app.command()
def evaluate(
    bundle: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Folder of the bundle.")],
    *,
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder of the report.")] = Path("evaluation"),
    cases: Annotated[int | None, typer.Option(min=1, help="How many phantoms; the experiment's without it.")] = None,
    first_seed: Annotated[int | None, typer.Option(min=0, help="The first; the experiment's without it.")] = None,
    recipe: Annotated[RecipeName, typer.Option(help="How phantoms are drawn.")] = RecipeName.HOLD_OUT,
    data: Annotated[Path | None, typer.Option(exists=True, file_okay=False, help="Own cases instead: npz.")] = None,
    also: Annotated[
        list[Path] | None, typer.Option(exists=True, file_okay=False, help="Another bundle beside it; repeatable.")
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Weights of the paper's network, to set beside it.")
    ] = None,
    config: ConfigOption = None,
    device: DeviceOption = "auto",
    jobs: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
) -> None:
    """Read cases with a bundle, and report how far it is right: EVALUATION.md, CSV files and plots.

    What was read is kept in the report's folder: run again to go on where it was stopped. Cases and readers that have
    changed since are read anew.
    """
    wanted = Wanted(bundles=(bundle, *(also or ())), baseline=baseline, device=device)
    try:
        readers = wanted.readers()
        source: Source = Stored(folder=data) if data else _phantoms(wanted, config, recipe, (first_seed, cases))
        with progress_bar() as bar:
            row = bar.add_task("cases", total=len(source.names()), note="")
            store = Store(out)
            records = read_all(source, readers, store, lambda name: bar.update(row, advance=1, note=name), jobs=jobs)
        about = About(
            cases=source.title,
            readers=wanted.descriptions(),
            command=_command(),
            synthetic=not isinstance(source, Stored),
        )
        summaries = write_report(out, records, about)
    except _OPENED as error:
        console.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(1) from error
    console.print(comparison(summaries), markup=False, highlight=False)
    console.print(f"{out / REPORT}", markup=False, highlight=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The readers that were asked for."""

    bundles: tuple[Path, ...]
    baseline: Path | None
    device: str

    def readers(self) -> tuple[ReaderSpec, ...]:
        """The bundle first. Two bundles of the same name are told apart by their folders."""
        found = [
            ReaderSpec(name=name, kind=Kind.BUNDLE, path=path, device=self.device)
            for name, path in zip(_names(self.bundles), self.bundles, strict=True)
        ]
        if self.baseline is not None:
            found.append(ReaderSpec(name="paper", kind=Kind.BASELINE, path=self.baseline, device=self.device))
        return tuple(found)

    def descriptions(self) -> dict[str, str]:
        """What each is."""
        found = {}
        for name, path in zip(_names(self.bundles), self.bundles, strict=True):
            identity = load_bundle(path).identity
            found[name] = f"sha256 {identity.sha256[:12]}; {identity.trained_on}"
        if self.baseline is not None:
            found["paper"] = "the baseline: the paper's network (2D U-Net of 16 filters on whole slices)"
        return found

    def seen(self) -> frozenset[int]:
        """Every seed that any of the bundles was trained, watched or calibrated on, as far as its manifest says."""
        seeds: set[int] = set()
        for path in self.bundles:
            experiment = load_bundle(path).experiment
            seeds.update(experiment.get("calibrated_on", ()))
            values = experiment.get("config", {}).get("cohort", {})
            if "first_seed" in values and "cases" in values:
                known = {item.name for item in fields(CohortConfig)}
                cohort = CohortConfig(**{name: value for name, value in values.items() if name in known})
                seeds.update(cohort.seeds(), cohort.watched_seeds() if "watched_cases" in values else ())
        return frozenset(seeds)


def _phantoms(
    wanted: Wanted, config: Path | None, recipe: RecipeName, chosen: tuple[int | None, int | None]
) -> Phantoms:
    """The chosen seeds, or the experiment's held-out ones. Raises ConfigError if a bundle has seen one."""
    cohort = experiment_of(config).cohort
    first = cohort.held_out_first_seed if chosen[0] is None else chosen[0]
    count = cohort.held_out_cases if chosen[1] is None else chosen[1]
    seeds = range(first, first + count)
    known = sorted(wanted.seen().intersection(seeds))
    if known:
        raise ConfigError(f"a bundle was trained or calibrated on seed {known[0]}; choose others with --first-seed")
    return Phantoms(recipe=recipe, seeds=tuple(seeds))


def _names(bundles: tuple[Path, ...]) -> tuple[str, ...]:
    names = []
    for path in bundles:
        identity = load_bundle(path).identity
        names.append(f"{identity.name} {identity.version}")
    if len(set(names)) == len(names):
        return tuple(names)
    return tuple(f"{name} ({path.resolve().name})" for name, path in zip(names, bundles, strict=True))


def _command() -> str:
    return shlex.join(["second-reader-train", *sys.argv[1:]])
