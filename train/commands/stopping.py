"""When a long command stops: after some minutes, at the first Ctrl-C, or when it is told to end (SIGTERM)."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_KILLED: Final = 128


@dataclass(slots=True, kw_only=True, eq=False)
class Clock:
    """Says when to stop; a second signal breaks off at once.

    Attributes
    ----------
    until
        Reading of :func:`time.monotonic` from which it is time; None for never.
    signal
        Number of the signal that asked to stop; 0 as long as none did.

    """

    until: float | None
    signal: int = 0

    def interrupt(self, number: int, _frame: FrameType | None) -> None:
        """Handle a signal. Raises KeyboardInterrupt at the second."""
        if self.signal:
            raise KeyboardInterrupt
        self.signal = number

    @property
    def exit_status(self) -> int:
        """What a shell expects of a command that a signal ended; 0 if none did."""
        return _KILLED + self.signal if self.signal else 0

    def stop(self) -> bool:
        """Whether it is time."""
        return self.signal != 0 or (self.until is not None and time.monotonic() >= self.until)


@contextmanager
def running(minutes: float | None) -> Iterator[Clock]:
    """A clock that also takes Ctrl-C and SIGTERM while it runs."""
    clock = Clock(until=None if minutes is None else time.monotonic() + 60 * minutes)
    before = {number: signal.signal(number, clock.interrupt) for number in _SIGNALS}
    try:
        yield clock
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
