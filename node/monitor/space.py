"""How the room on the disk goes: looked at once an hour, in a thread of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final, Self

import structlog

from node.domain.errors import NodeError
from node.domain.retention import RetentionRule
from node.domain.space import Outlook, outlook
from node.monitor.meters import Meters
from node.storage.ledger import Ledger

_log = structlog.get_logger(__name__)
_SECONDS: Final = 3600.0
_LAST_SECONDS: Final = 1.0
_DAY: Final = timedelta(days=1)


class SpaceWatch:
    """``with SpaceWatch(...) as watch:`` looks every hour until the block ends.

    Parameters
    ----------
    room
        Bytes that may still be filled: what is free beyond the reserve. May raise OSError.

    Attributes
    ----------
    found
        What was last seen; None: nothing yet.

    """

    def __init__(
        self,
        ledger: Ledger,
        meters: Meters,
        clock: Callable[[], datetime],
        rule: RetentionRule,
        room: Callable[[], int],
    ) -> None:
        self._ledger, self._clock, self._rule, self._room = ledger, clock, rule, room
        self._days = meters.gauge("disk_full_days", "Days until the disk is full at the rate of last week; +Inf: not.")
        self._days.set(float("inf"))
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="space", daemon=True)
        self.found: Outlook | None = None

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End; a look that waits for the ledger is left to itself."""
        self._ending.set()
        self._thread.join(_LAST_SECONDS)

    def warning(self) -> str:
        """What whoever runs the node is to know of the room; "" where there is nothing."""
        found = self.found
        if found is None or found.full_in is None:
            return ""
        days = found.full_in / _DAY
        why = "before old images may go" if found.lets_go else "and nothing is ever let go"
        return f"at the rate of last week the disk is full in about {days:.0f} days, {why}: see [retention]"

    def look(self) -> None:
        """One look. Raises NodeError if the ledger, OSError if the disk does not answer."""
        before = self.warning()
        room = max(0, self._room())
        self.found = outlook(self._ledger.candidates(), self._rule, now=self._clock(), room_bytes=room)
        full_in = self.found.full_in
        self._days.set(float("inf") if full_in is None else full_in / _DAY)
        said = self.warning()
        if said and not before:
            _log.warning(said, gib_a_day=round(self.found.daily_bytes / (1 << 30), 2))

    def _run(self) -> None:
        while True:
            try:
                self.look()
            except (NodeError, OSError) as error:
                _log.warning("how the room goes could not be seen", error=type(error).__name__)
            except Exception:  # noqa: BLE001 - looked at again later
                _log.exception("a fault of this program; looking goes on")
            if self._ending.wait(_SECONDS):
                return
