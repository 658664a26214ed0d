"""What benchmarks draw: a histogram as text and as PNG, curves over time as PNG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_WIDTH = 50


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many per cent do not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * percent / 100) - 1, 0)]


def summary(seconds: Sequence[float]) -> str:
    """Median, 95th and 99th percentile and the largest, in milliseconds."""
    named = (("median", 50), ("p95", 95), ("p99", 99), ("most", 100))
    return "   ".join(f"{name} {percentile(seconds, percent) * 1000:.0f} ms" for name, percent in named)


def text_histogram(seconds: Sequence[float], bars: int = 12) -> str:
    """One line for each of up to ``bars`` equal steps from the least to the most."""
    least, most = min(seconds), max(seconds)
    step = max((most - least) / bars, 1e-3)
    counts = [0] * bars
    for value in seconds:
        counts[min(int((value - least) / step), bars - 1)] += 1
    tallest = max(counts)
    return "\n".join(
        f"{(least + number * step) * 1000:7.0f} ms  {'#' * math.ceil(count * _WIDTH / tallest):{_WIDTH}} {count}"
        for number, count in enumerate(counts)
    )


def draw_histogram(path: Path, seconds: Sequence[float], title: str, limit: float) -> None:
    """Write a PNG; ``limit`` is what the median shall not exceed, in seconds."""
    figure, axes = _figure(title, 1)
    axes[0].hist([value * 1000 for value in seconds], bins=max(10, min(60, len(seconds) // 4)), color="#1f6f8b")
    for value, name in ((percentile(seconds, 50), "median"), (percentile(seconds, 99), "p99")):
        axes[0].axvline(value * 1000, color="#c05a1c", label=f"{name} {value * 1000:.0f} ms")
    axes[0].axvline(limit * 1000, color="#444444", linestyle="--", label=f"goal for the median {limit * 1000:.0f} ms")
    axes[0].set_xlabel("from the last C-STORE response to the last object at the PACS, ms")
    axes[0].set_ylabel("studies")
    axes[0].legend()
    figure.savefig(path, dpi=110)


def draw_curves(
    path: Path, title: str, over: Sequence[float], curves: Mapping[str, tuple[Sequence[float], Sequence[float]]]
) -> None:
    """Write a PNG with one panel for each curve: its own (minutes, values); ``over`` are the ends of the time axis."""
    figure, axes = _figure(title, len(curves))
    for one, (name, (minutes, values)) in zip(axes, curves.items(), strict=True):
        one.plot(minutes, values, ".", markersize=3, color="#1f6f8b")
        one.set_ylabel(name)
        one.set_ylim(bottom=0)
        one.set_xlim(*over)
    axes[-1].set_xlabel("minutes")
    figure.savefig(path, dpi=110)


def _figure(title: str, panels: int) -> tuple[Figure, list[Axes]]:
    mpl.use("Agg")
    figure = Figure(figsize=(9, 2.2 * panels + 1.6), layout="constrained")
    axes = [figure.add_subplot(panels, 1, number + 1) for number in range(panels)]
    for one in axes:
        one.grid(color="#dddddd", linewidth=0.6)
        one.set_axisbelow(True)
    figure.suptitle(title)
    return figure, axes
