"""Charts of how the two reads agree: Bland-Altman on both scales, and the categories."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from markupsafe import escape
from numpy.typing import NDArray

from node.domain.agreement import Agreement, Confusion, Pair, Spread, band_on_roots
from node.domain.tiers import Limits
from node.web.charts.drawing import (
    LEFT,
    TOP,
    Chart,
    Field,
    axes,
    dots,
    field,
    level,
    line,
    nothing_yet,
    number_text,
    picture,
    ticks,
)
from node.web.figures import Floats, beyond

MOST_DOTS: Final = 1500
_TOO_FEW: Final = "Too few cases with both scores"


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """What the two charts of differences differ in."""

    key: str
    title: str
    labels: tuple[str, str]
    place: Callable[[Floats, Floats], tuple[Floats, Floats]]
    band: Callable[[float], float]


def bland_altman(pairs: Sequence[Pair] | Floats, found: Agreement, limits: Limits) -> Chart:
    """Differences against means, on the scale of the scores."""
    view = _View(
        key="bland-altman",
        title="Difference against mean (Bland-Altman)",
        labels=("mean of the two Agatston scores", "ours − human"),
        place=lambda ours, human: ((ours + human) / 2, ours - human),
        band=lambda mean: limits.root_factor * math.sqrt(mean),
    )
    return _differences(view, found.raw, pairs, limits)


def bland_altman_roots(pairs: Sequence[Pair] | Floats, found: Agreement, limits: Limits) -> Chart:
    """The same on the scale of square roots, on which variation is about even."""
    view = _View(
        key="bland-altman-roots",
        title="Difference of square roots against their mean",
        labels=("mean of the two square roots", "√ours − √human"),
        place=lambda ours, human: ((np.sqrt(ours) + np.sqrt(human)) / 2, np.sqrt(ours) - np.sqrt(human)),
        band=lambda mean: band_on_roots(mean, limits.root_factor),
    )
    return _differences(view, found.root, pairs, limits)


def _differences(view: _View, spread: Spread | None, pairs: Sequence[Pair] | Floats, limits: Limits) -> Chart:
    if spread is None:
        return _without(view.key, view.title)
    table = np.asarray(pairs, np.float64)
    means, differences = view.place(*table.T)
    out = beyond(table, limits)
    inside, outside = np.flatnonzero(~out), np.flatnonzero(out)
    thinned = _points(means, differences, inside[:: max(1, math.ceil(inside.size / MOST_DOTS))])
    shown = _points(means, differences, outside[-MOST_DOTS:])
    reach = float(means.max()) * 1.03 or 1.0
    height = float(np.abs(differences).max()) * 1.08
    height = max(height, abs(spread.low), abs(spread.high), view.band(reach) * 0.3, 1.0)
    area = field((0.0, reach), (-height, height))
    words = _words(spread, outside.size, limits)
    drawn = len(thinned) + len(shown)
    svg = picture(
        view.key,
        view.title,
        words,
        axes(area, ticks(area.x), ticks(area.y), view.labels),
        _band(area, reach, view.band),
        level(area, 0, "zero"),
        level(area, spread.bias, "bias", f"bias {_n(spread.bias)}"),
        level(area, spread.low, "limit", _n(spread.low)),
        level(area, spread.high, "limit", _n(spread.high)),
        dots(area, thinned, "dot"),
        dots(area, shown, "dot out"),
    )
    caption = f"{words} The curved band is {limits.root_factor:g} × the square root of the mean score."
    caption += "" if drawn == len(pairs) else f" {drawn} of {len(pairs)} cases are drawn."
    return Chart(
        key=view.key,
        title=view.title,
        caption=caption,
        svg=svg,
        header=("", "value"),
        rows=_rows(spread, outside.size),
    )


def _points(means: Floats, differences: Floats, places: NDArray[np.intp]) -> list[tuple[float, float]]:
    return list(zip(means[places].tolist(), differences[places].tolist(), strict=True))


def _words(spread: Spread, outside: int, limits: Limits) -> str:
    return (
        f"{spread.count} cases; bias {_n(spread.bias)}, 95 % limits of agreement {_n(spread.low)} to {_n(spread.high)}"
        f"; {outside} beyond {limits.root_factor:g} √mean."
    )


def _rows(spread: Spread, outside: int) -> tuple[tuple[str, str], ...]:
    return (
        ("cases", str(spread.count)),
        ("bias", _n(spread.bias)),
        ("standard deviation", _n(spread.sd)),
        ("lower limit", _n(spread.low)),
        ("upper limit", _n(spread.high)),
        ("beyond the band", str(outside)),
    )


def _band(area: Field, reach: float, band: Callable[[float], float]) -> str:
    steps = [reach * (number / 80) ** 2 for number in range(81)]  # dense where it bends
    upper = [(x, band(x)) for x in steps]
    lower = [(x, -y) for x, y in upper]
    return line(area, upper, "band") + line(area, lower, "band")


def category_names(limits: Limits) -> tuple[str, ...]:
    """Categories in words: 0, 1-99, 100-399, 400 and more."""
    edges = [f"{edge:g}" for edge in limits.category_limits]
    if not edges:
        return "0", "above 0"
    below = [f"{low}–{high - 1:g}" for low, high in zip((1, *edges[:-1]), limits.category_limits, strict=True)]
    return "0", *below, f"≥ {edges[-1]}"


def confusion_matrix(found: Confusion, limits: Limits) -> Chart:
    """Our category against the human's."""
    key, title = "categories", "Risk category, ours against the human's"
    if not found.total:
        return _without(key, title)
    names = category_names(limits)
    share = found.same / found.total
    kappas = f"weighted kappa {_k(found.linear)} (linear), {_k(found.quadratic)} (quadratic)"
    words = f"Same category in {found.same} of {found.total} cases ({share * 100:.1f} %); {kappas}."
    cells = [_cell(found, ours, human) for ours in range(len(names)) for human in range(len(names))]
    heads = [_head(name, number, len(names)) for number, name in enumerate(names)]
    svg = picture(
        key,
        title,
        words,
        *cells,
        *heads,
        '<text class="label" x="350" y="292" text-anchor="middle">human</text>',
        f'<text class="label" transform="translate(14 {TOP + 118}) rotate(-90)" text-anchor="middle">ours</text>',
    )
    return Chart(
        key=key,
        title=title,
        caption=words,
        svg=svg,
        header=("ours \\ human", *names),
        rows=tuple((name, *map(str, row)) for name, row in zip(names, found.table, strict=True)),
    )


_CELLS: Final = (480, 236)
"""Width and height of all cells together."""


def _cell(found: Confusion, ours: int, human: int) -> str:
    size = len(found.table)
    wide, high = _CELLS[0] / size, _CELLS[1] / size
    x, y = LEFT + 48 + human * wide, TOP + ours * high
    place = f'x="{x:.1f}" y="{y:.1f}" width="{wide - 3:.1f}" height="{high - 3:.1f}"'
    middle = f'x="{x + wide / 2:.1f}" y="{y + high / 2:.1f}" dy=".32em" text-anchor="middle"'
    count = found.table[ours][human]
    kind = ("same", "near", "far")[min(abs(ours - human), 2)] if count else "none"
    return f'<rect class="cell {kind}" {place}/><text class="count" {middle}>{count}</text>'


def _head(name: str, number: int, size: int) -> str:
    x, y = LEFT + 48 + (number + 0.5) * _CELLS[0] / size, TOP + (number + 0.5) * _CELLS[1] / size
    below = f'<text class="tick" x="{x:.1f}" y="{TOP + _CELLS[1] + 16}" text-anchor="middle">{escape(name)}</text>'
    beside = f'<text class="tick" x="{LEFT + 40}" y="{y:.1f}" dy=".32em" text-anchor="end">{escape(name)}</text>'
    return below + beside


def _without(key: str, title: str) -> Chart:
    svg = picture(key, title, _TOO_FEW, nothing_yet(_TOO_FEW))
    return Chart(key=key, title=title, caption=_TOO_FEW, svg=svg, header=(), rows=())


def _n(value: float) -> str:
    return number_text(value, 0.1 if abs(value) < 100 else 1.0)


def _k(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3f}"
