"""Charts of what goes on over time: flags and what became of them, scores of 0, CUSUM, and what the scanners send."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

from node.domain.drift import Cusum, InputSummary
from node.domain.statistics import Rates
from node.web.charts.drawing import (
    Chart,
    Field,
    axes,
    dots,
    field,
    level,
    line,
    name_ticks,
    nothing_yet,
    number_text,
    percent_ticks,
    picture,
    ticks,
)

Course = Sequence[float | None]
_MOST_POINTS: Final = 600
_NONE: Final = "No cases in this period"


def flag_rates(periods: Mapping[str, Rates]) -> Chart:
    """Share of cases flagged, and share of settled flags that were upheld."""
    rows = tuple(
        (
            name,
            str(one.compared),
            str(one.flagged),
            _p(one.flag_rate),
            str(one.settled),
            str(one.upheld),
            _p(one.upheld_rate),
        )
        for name, one in periods.items()
    )
    return _shares(
        "flags",
        "Flag rate and upheld rate",
        "Solid: cases flagged of all compared. Dashed: flags upheld of those settled, which is the precision of flags.",
        tuple(periods),
        ([one.flag_rate for one in periods.values()], [one.upheld_rate for one in periods.values()]),
        (("period", "compared", "flagged", "flag rate", "settled", "upheld", "upheld rate"), rows),
    )


def zero_rates(periods: Mapping[str, Rates]) -> Chart:
    """Share of cases without calcium, by us and by the human."""
    both = [one.zero_rates for one in periods.values()]
    rows = tuple((name, str(one.paired), _p(one.zero_rates[0]), _p(one.zero_rates[1])) for name, one in periods.items())
    return _shares(
        "zeros",
        "Share of scores of 0",
        "Solid: ours. Dashed: the human's. The two part when one side begins to miss calcium, or to invent it.",
        tuple(periods),
        ([ours for ours, _ in both], [human for _, human in both]),
        (("period", "cases", "0 by us", "0 by the human"), rows),
    )


def _shares(
    key: str,
    title: str,
    caption: str,
    names: Sequence[str],
    courses: tuple[Course, Course],
    table: tuple[tuple[str, ...], tuple[tuple[str, ...], ...]],
) -> Chart:
    known = [value for course in courses for value in course if value is not None]
    if not known:
        return _without(key, title)
    area = field((-0.5, len(names) - 0.5), (0.0, min(1.0, max(known) * 1.15 or 0.1)))
    svg = picture(
        key,
        title,
        caption,
        axes(area, name_ticks(names), percent_ticks(area.y), ("", "share")),
        _course(area, courses[1], "second"),
        _course(area, courses[0], "first"),
    )
    return Chart(key=key, title=title, caption=caption, svg=svg, header=table[0], rows=table[1])


def cusum_chart(found: Cusum) -> Chart:
    """Both sums against the decision limit."""
    key, title, rule = "cusum", "Drift of our score against the human's (CUSUM)", found.rule
    if not found.high:
        return _without(key, title)
    shown = _thinned(found)
    reach = max(rule.h * 1.2, *(max(found.high[at], -found.low[at]) for at in shown))
    area = field((0.0, float(len(found.high))), (-reach * 1.05, reach * 1.05))
    limit = number_text(rule.h, 0.1)
    places = sorted(set(found.alarm_places) & set(shown))
    alarms = [(float(at), found.high[at] if found.high[at] > rule.h else found.low[at]) for at in places]
    caption = _cusum_words(found)
    svg = picture(
        key,
        title,
        caption,
        axes(area, ticks(area.x), ticks(area.y), ("cases, in order of time", "sum, in standard deviations")),
        level(area, rule.h, "limit", f"h = {limit}: ours higher"),
        level(area, -rule.h, "limit", f"−{limit}: ours lower"),
        level(area, 0, "zero"),
        line(area, [(at, found.high[at]) for at in shown], "first"),
        line(area, [(at, found.low[at]) for at in shown], "second"),
        dots(area, alarms, "dot out", 4),
    )
    rows = tuple(
        (f"{one.made_at:%Y-%m-%d}", f"case {one.case}", "ours higher" if one.high > rule.h else "ours lower")
        for one in found.alarms[-50:]
    )
    return Chart(key=key, title=title, caption=caption, svg=svg, header=("alarm", "at", "which way"), rows=rows)


def _cusum_words(found: Cusum) -> str:
    rule = found.rule
    return (
        f"Sum of signed differences of square roots over {len(found.high)} cases with calcium in either read, in "
        f"standard deviations ({found.scale:.2f} on the scale of roots, from the first {rule.baseline} cases; target "
        f"0). {rule.k:g} is allowed per case (k), one case counts for 3 at most, and a sum beyond {rule.h:g} (h) is an "
        f"alarm, after which it begins again. Alarms: {len(found.alarms)}."
    )


def _thinned(found: Cusum) -> tuple[int, ...]:
    """Of each stretch the place where the sums are largest: no alarm is lost by thinning."""
    sizes = [max(high, -low) for high, low in zip(found.high, found.low, strict=True)]
    stride = max(1, math.ceil(len(sizes) / _MOST_POINTS))
    stretches = (range(start, min(start + stride, len(sizes))) for start in range(0, len(sizes), stride))
    return tuple(max(stretch, key=sizes.__getitem__) for stretch in stretches)


def input_charts(periods: Mapping[str, InputSummary]) -> tuple[Chart, ...]:
    """Noise, tube voltage and slice spacing, the median of each period."""
    parts = tuple(periods.values())
    return (
        _medians("noise", "Noise", "HU", periods, [one.noise_hu for one in parts]),
        _medians("kvp", "Tube voltage", "kV", periods, [one.kvp for one in parts]),
        _medians("spacing", "Slice spacing", "mm", periods, [one.slice_spacing_mm for one in parts]),
    )


def _medians(key: str, name: str, unit: str, periods: Mapping[str, InputSummary], course: Course) -> Chart:
    title, names = f"{name}, median", tuple(periods)
    known = [value for value in course if value is not None]
    if not known:
        return _without(key, title)
    room = max((max(known) - min(known)) * 0.2, max(known) * 0.05, 0.1)
    area = field((-0.5, len(names) - 0.5), (max(0.0, min(known) - room), max(known) + room))
    caption = f"{name} of the scans that were read, in {unit}: the median of each period."
    svg = picture(
        key,
        title,
        caption,
        axes(area, name_ticks(names), ticks(area.y), ("", f"{name.lower()} [{unit}]")),
        _course(area, course, "first"),
    )
    rows = tuple(
        (period, str(one.count), "" if value is None else f"{value:.2f}".rstrip("0").rstrip("."))
        for (period, one), value in zip(periods.items(), course, strict=True)
    )
    return Chart(key=key, title=title, caption=caption, svg=svg, header=("period", "scans", unit), rows=rows)


def _course(area: Field, course: Course, kind: str) -> str:
    """A line with dots through what is known; it breaks where nothing is."""
    parts: list[list[tuple[float, float]]] = [[]]
    for number, value in enumerate(course):
        if value is None:
            parts.append([])
        else:
            parts[-1].append((float(number), value))
    lines = "".join(line(area, part, kind) for part in parts)
    return lines + dots(area, [point for part in parts for point in part], f"dot {kind}-dot", 3)


def _without(key: str, title: str) -> Chart:
    return Chart(
        key=key, title=title, caption=_NONE, svg=picture(key, title, _NONE, nothing_yet(_NONE)), header=(), rows=()
    )


def _p(value: float | None) -> str:
    return "" if value is None else f"{value * 100:.1f} %"
