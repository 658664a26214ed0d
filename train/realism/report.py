"""The tables of REALISM.md."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from train.realism.measuring import Measured
from train.realism.plots import TISSUES
from train.realism.statistics import FREQUENCIES_PER_MM, Components

_TITLE = """# Phantoms held against real scans

Statistics of phantoms at a scanner's resolution and of real scans with open licences, measured by the same rules
(`train/realism`). Phantoms: median, and in brackets the 5th to 95th percentile. No image of a real scan is kept here.

Made by `{command}`.

Real scans: LIDC-IDRI 0506 and 0909 (10.7937/K9/TCIA.2015.LO9QL9SX, CC BY 3.0; masks by AIM-Harvard DeepCAC), resampled
to 3 mm by their editors, so without fine noise or edges; CPTAC-PDA (TCIA, CC BY 3.0), with contrast agent in the
blood; the QRM thorax phantom on an Aquilion ONE (MolloiLab/CAC-stanford-data, MIT; van Praagh et al. 2021), with
physics only. None of them but the last is a gated calcium scan.
"""


def to_markdown(real: list[Measured], phantoms: list[Measured], command: str) -> str:
    """The whole report; plots lie beside it."""
    heads = [one.name for one in real] + [f"{len(phantoms)} phantoms"]
    parts = [
        _TITLE.format(command=command),
        "## HU by tissue, at 3 mm\n\n" + _table(heads, _tissue_rows(real, phantoms)),
        "![HU by tissue](tissues.png)",
        "## Noise and edges, at the scan's own pixels\n\n" + _table(heads, _physics_rows(real, phantoms)),
        "![Noise power](noise.png)\n![Edges](edges.png)",
        "## Voxels and 3D components at or above 130 HU, about the heart (210 x 210 x 132 mm)\n\n"
        + _table(heads, _component_rows(real, phantoms)),
        "![Components](components.png)",
    ]
    return "\n\n".join(parts) + "\n"


Value = Callable[[Measured], float | None]
Count = Callable[[Components], float | None]


def _tissue_rows(real: list[Measured], phantoms: list[Measured]) -> list[list[str]]:
    rows = []
    for name in TISSUES:

        def mean(one: Measured, name: str = name) -> float | None:
            return one.tissues[name].mean if name in one.tissues else None

        def spread(one: Measured, name: str = name) -> float | None:
            return one.tissues[name].sd if name in one.tissues else None

        rows.append(_row(f"{name}, mean HU", mean, real, phantoms))
        rows.append(_row(f"{name}, SD", spread, real, phantoms))
    return rows


def _physics_rows(real: list[Measured], phantoms: list[Measured]) -> list[list[str]]:
    values: dict[str, Value] = {
        "noise, HU": lambda one: None if one.fine_noise is None else one.fine_noise.sd_hu,
        "share of noise power above 0.3 /mm": _fine_share,
        "10-90 % rise, steepest tenth, mm": lambda one: _quantile(one, 0.1),
        "10-90 % rise, median, mm": lambda one: _quantile(one, 0.5),
    }
    return [_row(name, value, real, phantoms, digits=2) for name, value in values.items()]


def _component_rows(real: list[Measured], phantoms: list[Measured]) -> list[list[str]]:
    def coarse(of: Count) -> Value:
        return lambda one: None if one.components is None else of(one.components)

    def fine(of: Count) -> Value:
        return lambda one: None if one.fine_components is None else of(one.fine_components)

    values: dict[str, Value] = {
        "at 3 mm: voxels": coarse(lambda found: found.voxels),
        "at 3 mm: components": coarse(lambda found: found.number),
        "at 3 mm: components < 100 mm³": coarse(lambda found: found.small),
        "at 3 mm: components in the heart": coarse(lambda found: found.heart),
        "own pixels: voxels / 1000": fine(lambda found: found.voxels / 1000),
        "own pixels: components": fine(lambda found: found.number),
    }
    return [_row(name, value, real, phantoms) for name, value in values.items()]


def _quantile(one: Measured, at: float) -> float | None:
    return float(np.quantile(one.edges_mm, at)) if len(one.edges_mm) else None


def _fine_share(one: Measured) -> float | None:
    if one.fine_noise is None:
        return None
    power = np.nan_to_num(one.fine_noise.power) * FREQUENCIES_PER_MM
    return float(power[FREQUENCIES_PER_MM > 0.3].sum() / power.sum())


def _row(name: str, value: Value, real: list[Measured], phantoms: list[Measured], digits: int = 0) -> list[str]:
    cells = [_cell(value(one), digits) for one in real]
    drawn = [one for one in (value(phantom) for phantom in phantoms) if one is not None]
    if not drawn:
        return [name, *cells, "-"]
    low, middle, high = np.percentile(drawn, [5, 50, 95])
    return [name, *cells, f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"]


def _cell(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _table(heads: Sequence[str], rows: list[list[str]]) -> str:
    lines = ["| | " + " | ".join(heads) + " |", "| --- |" + " ---: |" * len(heads)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
