"""Notices when somebody sets the machine's clock, or the machine sleeps: time that the clock shows and nobody lived."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

_LEAST: Final = timedelta(seconds=2)  # less is slewing, or two readings that lie apart


class ClockWatch:
    """Compares the clock with one that is never set.

    Parameters
    ----------
    steady
        Seconds since some moment, which only ever pass.

    """

    def __init__(self, steady: Callable[[], float] = time.monotonic) -> None:
        self._steady = steady
        self._last: tuple[datetime, float] | None = None

    def jump(self, now: datetime) -> timedelta:
        """By how much the clock was set since the last call (back: negative); 0 where it was not, and at first."""
        before, self._last = self._last, (now, self._steady())
        if before is None:
            return timedelta(0)
        jumped = (now - before[0]) - timedelta(seconds=self._last[1] - before[1])
        return jumped if abs(jumped) >= _LEAST else timedelta(0)
