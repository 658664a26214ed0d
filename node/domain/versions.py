"""Version numbers for sources that count none."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)


def version_at(time: datetime) -> int:
    """A version number from an aware time: seconds since the year 2000, at least 1; it rises with every correction."""
    return max(1, int((time - _EPOCH).total_seconds()))
