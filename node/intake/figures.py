"""Figures and times as people write them. What can be read in two ways is refused, not guessed."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, tzinfo
from typing import Final

from node.domain.errors import Malformed
from node.intake.parsed import quoted

_PLAIN: Final = re.compile(r"[+-]?[0-9]{1,12}(?:[.,][0-9]{0,20})?(?:[eE][+-]?[0-9]{1,2})?")
_GROUPED: Final = re.compile(r"[1-9][0-9]{0,2}[.,][0-9]{3}")
_LIMIT: Final = re.compile(r"[<>≤≥~]")
_LETTERS: Final = re.compile(r"[0-9][OoIl]|[OoIl][0-9]")
_GERMAN: Final = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?:[ T]+(\d{1,2}):(\d{2})(?::(\d{2}))?)?")
_LONGEST_TIME: Final = 40


def figure(text: str, *, comma_is_common: bool = False) -> float:
    """A number of 0 or more, with a decimal point or comma and without thousands separators.

    Parameters
    ----------
    comma_is_common
        Whether the decimal comma is at home where this comes from, so that 1.234 may mean either.

    Raises
    ------
    Malformed
        In words for whoever wrote it.

    """
    word = text.strip()
    if _LIMIT.search(word):
        raise Malformed(f"{quoted(word)} is a limit, not a score")
    if word.lower() in {"nan", "inf", "+inf", "-inf", "infinity"}:
        raise Malformed(f"{quoted(word)} is no number")
    if not word.isascii() or _PLAIN.fullmatch(word) is None:
        hint = ": there is a letter among the digits" if _LETTERS.search(word) else ""
        raise Malformed(f"{quoted(word)} is no number{hint}")
    if _GROUPED.fullmatch(word) and (comma_is_common or "," in word):
        raise Malformed(
            f"{quoted(word)} can be read as {re.sub('[.,]', '', word)} or as {word.replace(',', '.')}: "
            "write it without a thousands separator"
        )
    value = float(word.replace(",", "."))
    if not math.isfinite(value) or value < 0 or word.startswith("-"):
        raise Malformed(f"{quoted(word)} is not a number of 0 or more")
    return value


def moment(text: str, zone: tzinfo) -> datetime:
    """A time in ISO 8601, or a German date; one without a zone is the site's. A date is the beginning of its day.

    Raises
    ------
    Malformed
        If it is no time.

    """
    word = text.strip()[:_LONGEST_TIME]
    found = _GERMAN.fullmatch(word)
    try:
        if found:
            day, month, year, hour, minute, second = (int(part or 0) for part in found.groups())
            time = datetime(year, month, day, hour, minute, second, tzinfo=zone)
        else:
            time = datetime.fromisoformat(word)
            time = time.replace(tzinfo=zone) if time.tzinfo is None else time
        time.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Malformed(f"{quoted(word)} is no time such as 2026-03-04T10:15:00+01:00") from error
    return time
