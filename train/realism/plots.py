"""Plots of the statistics; they show no image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from train.realism.measuring import BINS_HU, Measured
from train.realism.statistics import FREQUENCIES_PER_MM

mpl.use("Agg")
import matplotlib.pyplot as plt

TISSUES = {
    "heart": (-60.0, 160.0),
    "liver": (-60.0, 200.0),
    "fat": (-200.0, 20.0),
    "lung": (-1000.0, -500.0),
    "bone": (100.0, 900.0),
}
_COLOURS = ("tab:red", "tab:orange", "tab:purple", "tab:green")


def plot_tissues(path: Path, real: list[Measured], phantoms: list[Measured]) -> None:
    """Histograms of HU at 3 mm by tissue: real scans in colour, phantoms grey."""
    figure, axes = plt.subplots(1, len(TISSUES), figsize=(3.4 * len(TISSUES), 3.2))
    middles = (BINS_HU[1:] + BINS_HU[:-1]) / 2
    for axis, (name, limits) in zip(axes, TISSUES.items(), strict=True):
        for one, style in _styled(real, phantoms):
            if name in one.tissues:
                counts = one.tissues[name].counts
                axis.plot(middles, counts / max(1, counts.sum()), **style)
        axis.set(title=name, xlim=limits, xlabel="HU", yticks=[])
    _finish(figure, axes[0], path)


def plot_noise(path: Path, real: list[Measured], phantoms: list[Measured]) -> None:
    """Noise power by frequency, relative to its largest value."""
    figure, axis = plt.subplots(figsize=(5.5, 3.6))
    for one, style in _styled(real, phantoms):
        if one.fine_noise is not None:
            axis.plot(FREQUENCIES_PER_MM, one.fine_noise.power, **style)
    axis.set(xlabel="spatial frequency, 1/mm", ylabel="noise power, relative", ylim=(0, 1.05))
    _finish(figure, axis, path)


def plot_edges(path: Path, real: list[Measured], phantoms: list[Measured]) -> None:
    """Share of lung borders that rise from 10 to 90 % within so many mm."""
    figure, axis = plt.subplots(figsize=(5.5, 3.6))
    for one, style in _styled(real, phantoms):
        if len(one.edges_mm):
            rises = np.sort(one.edges_mm)
            axis.plot(rises, np.arange(1, len(rises) + 1) / len(rises), **style)
    axis.set(xlabel="10-90 % rise at borders of the lung, mm", ylabel="share of borders", xlim=(0, 10))
    _finish(figure, axis, path)


def plot_components(path: Path, real: list[Measured], phantoms: list[Measured]) -> None:
    """Voxels and components at or above 130 HU, about the heart, at 3 mm."""
    figure, axes = plt.subplots(1, 2, figsize=(8.5, 3.6))
    for one, style in _styled(real, phantoms):
        if one.components is None:
            continue
        dot = {"marker": "o", "linestyle": "none", "color": style["color"], "alpha": style["alpha"]}
        axes[0].plot(one.components.voxels, one.components.number, label=style["label"], **dot)
        if one.components.heart is not None:
            axes[1].plot(one.components.small, one.components.heart, **dot)
    axes[0].set(xlabel="voxels >= 130 HU", ylabel="components", xscale="log", yscale="log")
    axes[1].set(xlabel="components < 100 mm³", ylabel="components in the heart", yscale="symlog", xscale="symlog")
    _finish(figure, axes[0], path)


def _styled(real: list[Measured], phantoms: list[Measured]) -> list[tuple[Measured, dict[str, Any]]]:
    grey = [
        (one, {"color": "0.55", "alpha": 0.6, "lw": 0.8, "label": "phantoms" if number == 0 else None})
        for number, one in enumerate(phantoms)
    ]
    colour = [
        (one, {"color": _COLOURS[number % len(_COLOURS)], "alpha": 1.0, "lw": 1.6, "label": one.name})
        for number, one in enumerate(real)
    ]
    return [*grey, *colour]


def _finish(figure: Figure, axis: Axes, path: Path) -> None:
    if axis.get_legend_handles_labels()[0]:
        axis.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=80)
    plt.close(figure)
