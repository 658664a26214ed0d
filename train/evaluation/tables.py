"""Tables as Markdown, and how figures are written in them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from train.evaluation.agreement import BlandAltman, Estimate

NONE = "–"


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, numbers to the right; ends with a newline. Raises ValueError for a row of another length."""
    lines = [_line(head), _line(["---", *["---:"] * (len(head) - 1)])]
    for row in rows:
        if len(row) != len(head):
            raise ValueError(f"{len(row)} cells do not fill a table of {len(head)} columns")
        lines.append(_line(row))
    return "\n".join(lines) + "\n"


def number(value: float | None, digits: int = 2) -> str:
    """A figure, or a dash where there is none."""
    if value is None or not math.isfinite(value):
        return NONE
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def percent(value: float | None) -> str:
    """A share as a percentage."""
    return NONE if value is None or not math.isfinite(value) else f"{100 * value:.0f} %"


def share(estimate: Estimate | None) -> str:
    """A share with its interval, in per cent."""
    if estimate is None or not math.isfinite(estimate.value):
        return NONE
    return f"{percent(estimate.value)} ({100 * estimate.low:.0f}-{100 * estimate.high:.0f})"


def with_interval(estimate: Estimate, digits: int = 3) -> str:
    """A figure with its interval."""
    if not math.isfinite(estimate.value):
        return NONE
    low, high = number(estimate.low, digits), number(estimate.high, digits)
    return f"{number(estimate.value, digits)} ({low} to {high})"


def spread(middle: float, quartiles: tuple[float, float], digits: int = 2) -> str:
    """A median with its quartiles."""
    if not math.isfinite(middle):
        return NONE
    return f"{number(middle, digits)} ({number(quartiles[0], digits)}-{number(quartiles[1], digits)})"


def limits(found: BlandAltman, digits: int = 1) -> tuple[str, str]:
    """Bias with its interval, and the limits of agreement."""
    if not math.isfinite(found.sd):
        return NONE, NONE
    ends = f"{number(found.low.value, digits)} to {number(found.high.value, digits)}"
    return with_interval(found.bias, digits), ends


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"
