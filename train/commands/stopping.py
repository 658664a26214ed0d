"""When a long command stops: after some minutes, or at the first Ctrl-C."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType


@dataclass(slots=True, kw_only=True, eq=False)
class Clock:
    """Says when to stop; a second Ctrl-C breaks off at once."""

    until: float | None
    interrupted: bool = False

    def interrupt(self, _number: int, _frame: FrameType | None) -> None:
        """Handle Ctrl-C."""
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True

    def stop(self) -> bool:
        """Whether it is time."""
        return self.interrupted or (self.until is not None and time.monotonic() >= self.until)


@contextmanager
def running(minutes: float | None) -> Iterator[Clock]:
    """A clock that also takes Ctrl-C while it runs."""
    clock = Clock(until=None if minutes is None else time.monotonic() + 60 * minutes)
    before = signal.signal(signal.SIGINT, clock.interrupt)
    try:
        yield clock
    finally:
        signal.signal(signal.SIGINT, before)
