"""The report's plots as PNG. Drawn without pyplot: nothing global, nothing to close."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter
from numpy.typing import NDArray

from train.evaluation.agreement import BlandAltman
from train.evaluation.lesions import COLUMNS, ROWS, confusion
from train.evaluation.records import PARTS, CaseRecord
from train.evaluation.summary import Categories, Summary, scores

_DPI: Final = 130
_INK: Final = "#1f4e79"
_LINE: Final = "#b03a2e"
_PALE: Final = "#7f8c8d"
_LIMITS: Final = (1.0, 100.0, 400.0)

Draw = Callable[[Axes], None]


def write_plots(folder: Path, records: Sequence[CaseRecord], summary: Summary) -> Mapping[str, Path]:
    """Write every plot that can be drawn; title -> file, in the order of the report."""
    truth, read = scores(records, "CAC")
    found = summary.agatston["CAC"]
    table = confusion(records)
    drawn: dict[str, tuple[str, tuple[float, float], Draw]] = {
        "Read against true coronary score": ("scatter.png", (5.0, 5.0), lambda axes: _scatter(axes, truth, read)),
        "Bland-Altman, Agatston": (
            "bland_altman.png",
            (6.0, 4.2),
            lambda axes: _bland_altman(axes, truth, read, found.raw, "Agatston"),
        ),
        "Bland-Altman, square root": (
            "bland_altman_root.png",
            (6.0, 4.2),
            lambda axes: _bland_altman(axes, np.sqrt(truth), np.sqrt(read), found.root, "√Agatston"),
        ),
        "Risk categories": ("categories.png", (4.6, 4.2), lambda axes: _categories(axes, summary.categories)),
        "Dice by case": ("dice.png", (6.4, 4.2), lambda axes: _dice(axes, summary)),
        "Vessel of each lesion": ("confusion.png", (5.6, 5.4), lambda axes: _confusion(axes, table)),
    }
    if summary.reliability is not None:
        drawn["Calibration of lesions' probabilities"] = (
            "calibration.png",
            (5.0, 5.0),
            lambda axes: _calibration(axes, summary),
        )
    files = {}
    for title, (name, size, draw) in drawn.items():
        _write(folder / name, size, title, draw)
        files[title] = folder / name
    return files


def _write(path: Path, size: tuple[float, float], title: str, draw: Draw) -> None:
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=11)
    draw(axes)
    figure.savefig(path, dpi=_DPI)


def _scatter(axes: Axes, truth: NDArray[np.float64], read: NDArray[np.float64]) -> None:
    across, up = np.sqrt(truth), np.sqrt(read)
    top = 1.06 * max(across.max(), up.max(), 21.0)
    for limit in _LIMITS:
        axes.axvline(np.sqrt(limit), color=_PALE, lw=0.6, ls=":")
        axes.axhline(np.sqrt(limit), color=_PALE, lw=0.6, ls=":")
    axes.plot([0, top], [0, top], color=_PALE, lw=1)
    axes.scatter(across, up, s=22, color=_INK, alpha=0.7, linewidths=0, zorder=3, clip_on=False)
    ticks = [tick for tick in (0, 10, 100, 400, 1000, 2000, 4000, 8000) if np.sqrt(tick) <= top]
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks([float(np.sqrt(tick)) for tick in ticks], [str(tick) for tick in ticks])
    axes.set(
        xlim=(0, top), ylim=(0, top), xlabel="true Agatston score (√ scale)", ylabel="read Agatston score (√ scale)"
    )
    axes.set_aspect("equal")


def _bland_altman(
    axes: Axes, truth: NDArray[np.float64], read: NDArray[np.float64], found: BlandAltman, unit: str
) -> None:
    axes.axhline(0, color=_PALE, lw=0.8)
    axes.scatter((truth + read) / 2, read - truth, s=22, color=_INK, alpha=0.7, linewidths=0, zorder=3)
    if np.isfinite(found.sd):
        lines = ((found.bias, "-", "bias"), (found.low, "--", "-1.96 SD"), (found.high, "--", "+1.96 SD"))
        for place, (estimate, style, name) in enumerate(lines):
            axes.axhline(estimate.value, color=_LINE, lw=1.2, ls=style)
            reach = ([estimate.value - estimate.low], [estimate.high - estimate.value])
            axes.errorbar(
                [0.015 + 0.018 * place],
                [estimate.value],
                yerr=reach,
                color=_LINE,
                capsize=3,
                lw=1.2,
                transform=axes.get_yaxis_transform(),
            )
            axes.annotate(
                f"{name} {estimate.value:.3g}",
                (1.0, estimate.value),
                xycoords=("axes fraction", "data"),
                xytext=(-4, 3),
                textcoords="offset points",
                ha="right",
                fontsize=8,
                color=_LINE,
            )
        axes.margins(x=0.12)
    axes.set(xlabel=f"mean of true and read, {unit}", ylabel=f"read - true, {unit}")


def _categories(axes: Axes, categories: Categories) -> None:
    _heat(axes, categories.table, categories.names, categories.names)
    axes.set(xlabel="read category", ylabel="true category")


def _confusion(axes: Axes, table: NDArray[np.int64]) -> None:
    rows = [*ROWS[:-2], "other calcium\nor metal", "nothing"]
    _heat(axes, table, rows, [*COLUMNS[:-1], "missed"])
    axes.set(xlabel="reading", ylabel="truth")


def _heat(axes: Axes, table: NDArray[np.int64], rows: Sequence[str], columns: Sequence[str]) -> None:
    """Counts, coloured by their share of the row; nothing is written where nothing is."""
    shares = table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.15)
    for (row, column), count in np.ndenumerate(table):
        dark = shares[row, column] > 0.6
        axes.text(
            column,
            row,
            str(count) if count else "·",
            ha="center",
            va="center",
            fontsize=9,
            color="white" if dark else "black",
        )
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)


def _dice(axes: Axes, summary: Summary) -> None:
    parts = [part for part in PARTS if summary.dice[part].values]
    values = [summary.dice[part].values for part in parts]
    places = np.arange(len(parts))
    if values:
        axes.boxplot(
            values,
            positions=places,
            widths=0.55,
            showfliers=False,
            medianprops={"color": _LINE, "lw": 1.6},
            boxprops={"color": _PALE},
            whiskerprops={"color": _PALE},
            capprops={"color": _PALE},
        )
    rng = np.random.default_rng(0)
    for place, cases in zip(places, values, strict=True):
        axes.scatter(place + rng.uniform(-0.16, 0.16, len(cases)), cases, s=12, color=_INK, alpha=0.6, linewidths=0)
    axes.set_xticks(places, [f"{part}\nn = {len(cases)}" for part, cases in zip(parts, values, strict=True)])
    axes.tick_params(axis="x", labelsize=8)
    axes.set(ylim=(-0.03, 1.03), ylabel="Dice of a case")


def _calibration(axes: Axes, summary: Summary) -> None:
    found = summary.reliability
    if found is None:
        return
    axes.plot([0, 1], [0, 1], color=_PALE, lw=1)
    mean = [one.mean for one in found.bins]
    right = [one.right.value for one in found.bins]
    reach = [
        [one.right.value - one.right.low for one in found.bins],
        [one.right.high - one.right.value for one in found.bins],
    ]
    axes.errorbar(mean, right, yerr=reach, fmt="o-", color=_INK, capsize=3, lw=1.2, ms=5)
    axes.set(xlim=(0, 1.02), ylim=(-0.02, 1.02), xlabel="probability given", ylabel="share that is right")
    counts = axes.twinx()
    counts.bar(mean, [one.count for one in found.bins], width=0.05, color=_PALE, alpha=0.25)
    counts.set_ylim(0, 4 * max(one.count for one in found.bins))
    counts.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    counts.set_ylabel("lesions", color=_PALE)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0))
    axes.text(0.03, 0.94, f"n = {found.count}   Brier {found.brier:.3f}   ECE {found.ece:.3f}", fontsize=9)
