"""What every chart is made of: scales, ticks, axes, and the figure around them.

Colours and pens are classes of ``static/charts.css``: the site's policy allows no style in the page, and dark and light
come by themselves.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup, escape

WIDTH: Final = 640
HEIGHT: Final = 300
LEFT: Final = 62
RIGHT: Final = 14
TOP: Final = 14
BOTTOM: Final = 46
Tick = tuple[float, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A picture and the same in numbers; ``caption`` says what it shows and how it is to be read."""

    key: str
    title: str
    caption: str
    svg: Markup
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to places along an axis."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where a value lies, in pixels."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def holds(self, value: float) -> bool:
        """Whether it lies on the axis."""
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Field:
    """The area that is drawn in, by its two scales."""

    x: Scale
    y: Scale


def field(x: tuple[float, float], y: tuple[float, float]) -> Field:
    """An area over two ranges of values; an empty range is widened."""
    (left, right), (low, high) = _widened(x), _widened(y)
    return Field(Scale(left, right, LEFT, WIDTH - RIGHT), Scale(low, high, HEIGHT - BOTTOM, TOP))


def _widened(reach: tuple[float, float]) -> tuple[float, float]:
    low, high = reach
    return (low, high) if high > low else (low - 1, high + 1)


def ticks(scale: Scale, count: int = 5) -> tuple[Tick, ...]:
    """Round values along a scale, about so many."""
    rough = (scale.high - scale.low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= rough * 0.999)
    first = math.ceil(scale.low / step - 1e-9)
    last = math.floor(scale.high / step + 1e-9)
    return tuple((number * step, number_text(number * step, step)) for number in range(first, last + 1))


def number_text(value: float, step: float = 1.0) -> str:
    """A number with no more decimals than its step needs, and a true minus."""
    decimals = max(0, -math.floor(math.log10(step) + 1e-9)) if step < 1 else 0
    text = f"{value:.{decimals}f}"
    return f"−{text[1:]}" if text.startswith("-") else text


def percent_ticks(scale: Scale) -> tuple[Tick, ...]:
    """Round shares along a scale, as per cent."""
    return tuple((value, f"{value * 100:g} %") for value, _ in ticks(scale))


def name_ticks(names: Sequence[str], most: int = 8) -> tuple[Tick, ...]:
    """Names at 0, 1, 2 and on; only some where there is no room for all."""
    stride = max(1, math.ceil(len(names) / most))
    return tuple((float(number), names[number]) for number in range(0, len(names), stride))


def axes(area: Field, x_ticks: Iterable[Tick], y_ticks: Iterable[Tick], labels: tuple[str, str]) -> str:
    """Both axes with their grid."""
    left, right, floor, ceiling = area.x.start, area.x.end, area.y.start, area.y.end
    parts = []
    for value, text in y_ticks:
        place = f"{area.y(value):.1f}"
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{place}" y2="{place}"/>')
        parts.append(
            f'<text class="tick" x="{left - 6}" y="{place}" dy=".32em" text-anchor="end">{escape(text)}</text>'
        )
    for value, text in x_ticks:
        place = f"{area.x(value):.1f}"
        parts.append(f'<line class="notch" x1="{place}" x2="{place}" y1="{floor}" y2="{floor + 4}"/>')
        parts.append(f'<text class="tick" x="{place}" y="{floor + 16}" text-anchor="middle">{escape(text)}</text>')
    parts.append(f'<line class="axis" x1="{left}" x2="{right}" y1="{floor}" y2="{floor}"/>')
    middle, side = (left + right) / 2, (floor + ceiling) / 2
    parts.append(f'<text class="label" x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escape(labels[0])}</text>')
    turned = f'transform="translate(14 {side}) rotate(-90)" text-anchor="middle"'
    parts.append(f'<text class="label" {turned}>{escape(labels[1])}</text>')
    return "".join(parts)


def line(area: Field, points: Iterable[tuple[float, float]], kind: str) -> str:
    """A line through points; values beyond the axis end at its edge."""
    places = " ".join(f"{area.x(x):.1f},{area.y(min(max(y, area.y.low), area.y.high)):.1f}" for x, y in points)
    return f'<polyline class="{kind}" points="{places}"/>' if places else ""


def level(area: Field, value: float, kind: str, text: str = "") -> str:
    """A line straight across, with words at its right end; nothing if it is off the axis."""
    if not area.y.holds(value):
        return ""
    place = area.y(value)
    said = (
        f'<text class="note" x="{area.x.end}" y="{place - 4:.1f}" text-anchor="end">{escape(text)}</text>'
        if text
        else ""
    )
    return f'<line class="{kind}" x1="{area.x.start}" x2="{area.x.end}" y1="{place:.1f}" y2="{place:.1f}"/>{said}'


def dots(area: Field, points: Iterable[tuple[float, float]], kind: str, radius: float = 2.4) -> str:
    """A dot at each point; of those that would lie on each other only one."""
    places = {(round(area.x(x)), round(area.y(y))) for x, y in points}
    return "".join(f'<circle class="{kind}" cx="{x}" cy="{y}" r="{radius}"/>' for x, y in sorted(places))


def nothing_yet(words: str) -> str:
    """What stands in a chart without cases."""
    return f'<text class="label" x="{WIDTH / 2}" y="{HEIGHT / 2}" text-anchor="middle">{escape(words)}</text>'


def picture(key: str, title: str, description: str, *parts: str) -> Markup:
    """The SVG, with what a screen reader says of it."""
    # Every part is made here from numbers and escaped words.
    return Markup(  # noqa: S704
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{key}-title {key}-desc">'
        f'<title id="{key}-title">{escape(title)}</title><desc id="{key}-desc">{escape(description)}</desc>'
        f"{''.join(parts)}</svg>"
    )
