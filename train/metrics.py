"""What a run has measured: rows of CSV, and their picture."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

METRICS: Final = "metrics.csv"
WATCHED: Final = "watched.csv"
PICTURE: Final = "metrics.png"

Row = dict[str, float]

_SMOOTH: Final = 50


def read_rows(path: Path, last_step: int) -> list[Row]:
    """Rows up to a step; none if there is no such file. An empty cell is left out."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
    return [row | {"step": int(row["step"])} for row in rows if row["step"] <= last_step]


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write rows, whole or not at all; nothing without rows."""
    if not rows:
        return
    partial = path.with_suffix(".part")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)
    partial.replace(path)


def plot(folder: Path) -> None:
    """Draw ``metrics.png`` from the rows of a folder: losses above, the watched cases below."""
    rows, watched = (read_rows(folder / name, 2**62) for name in (METRICS, WATCHED))
    if not rows:
        return
    figure = Figure(figsize=(9, 8 if watched else 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2 if watched else 1, 1, squeeze=False)[:, 0]
    _draw(axes[0], rows, _SMOOTH)
    axes[0].set(ylabel="loss", yscale="log")
    if watched:
        shares = [{name: value for name, value in row.items() if name != "loss"} for row in watched]
        _draw(axes[1], shares, 1)
        axes[1].set(xlabel="step", ylabel="share, watched cases", ylim=(0, 1.02))
    figure.savefig(folder / PICTURE, dpi=90)


def _draw(axes: object, rows: Sequence[Row], smooth: int) -> None:
    names = dict.fromkeys(name for row in rows for name in row if name != "step")
    for name in names:
        steps, values = np.array([(row["step"], row[name]) for row in rows if name in row]).T
        width = min(smooth, len(values))
        mean = np.convolve(values, np.ones(width) / width, mode="valid")
        axes.plot(steps[width - 1 :], mean, label=name, linewidth=1)  # type: ignore[attr-defined]  # an Axes
    axes.grid(alpha=0.3)  # type: ignore[attr-defined]
    axes.legend(fontsize="small", ncols=4)  # type: ignore[attr-defined]
