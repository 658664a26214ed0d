"""The thread that lets go of data: once a day at its hour, and whenever room is needed."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from typing import Final

import structlog

from node.dispatch.clock_watch import ClockWatch
from node.dispatch.settle import Settler
from node.dispatch.worker import Clock, Worker
from node.stages.retain import Retainer
from node.storage.ledger import Ledger

_DAY: Final = timedelta(days=1)
_LOOK_AT_ROOM: Final = timedelta(minutes=1)
_NOTABLE: Final = timedelta(hours=1)  # ages are counted in days
_LONG_AWAY: Final = timedelta(days=7)
_log = structlog.get_logger(__name__)


class RetentionWorker(Worker):
    """Runs a :class:`Retainer` when it is time.

    A node that was off at the hour catches up at its start, if the last run is more than a day ago. Age is not
    believed when the clock was set by more than an hour, nor at the start of a node whose ledger last changed more
    than a week away from now: for a day nothing goes by its age, and somebody can mend the clock.

    Attributes
    ----------
    watch
        Notices when the clock is set.

    """

    def __init__(
        self, *, ledger: Ledger, settler: Settler, clock: Clock, retainer: Retainer, hour: int, zone: tzinfo
    ) -> None:
        super().__init__("retention", ledger, settler, clock)
        self._retainer = retainer
        self._hour = hour
        self._zone = zone
        self._next: datetime | None = None
        self._next_look: datetime | None = None
        self._believed_from: datetime | None = None
        self.watch = ClockWatch()

    def step(self) -> bool:
        """A run, if it is time; there is nothing to repeat at once."""
        now = self._clock()
        if self._next is None:
            self._retainer.take_up()
            self._next = self._first(now)
        if abs(jumped := self.watch.jump(now)) > _NOTABLE:
            self._next, self._next_look = self._doubt(now, jumped), None
        if self._retainer.keeps_everything:
            return False
        if now >= self._next:
            self._retainer.run(now, proceed=self._goes_on)
            self._next = next_hour(now, self._hour, self._zone)
        elif self._next_look is None or now >= self._next_look:
            self._next_look = now + _LOOK_AT_ROOM
            if self._retainer.wants_room:
                by_age = self._believed_from is None or now >= self._believed_from
                self._retainer.run(now, by_clock=False, by_age=by_age, proceed=self._goes_on)
        return False

    def _goes_on(self) -> bool:
        return not self._ending.is_set()

    def _first(self, now: datetime) -> datetime:
        changed, last = self._ledger.last_change(), self._ledger.last_retention()
        if changed is not None and abs(now - changed) > _LONG_AWAY:
            return self._doubt(now, now - changed)
        return now if last is not None and now - last > _DAY else next_hour(now, self._hour, self._zone)

    def _doubt(self, now: datetime, jumped: timedelta) -> datetime:
        """Let nothing go by age for a day; returns when the next run by the clock is."""
        if not self._retainer.keeps_everything:
            hours = round(jumped / timedelta(hours=1), 1)
            _log.warning(
                "time has jumped, or nothing has happened for long: nothing goes by age for a day", hours=hours
            )
        self._believed_from = now + _DAY
        return next_hour(self._believed_from, self._hour, self._zone)


def next_hour(now: datetime, hour: int, zone: tzinfo) -> datetime:
    """When a clock on the wall next shows ``hour`` o'clock, later than ``now``."""
    local = now.astimezone(zone)
    today = local.replace(hour=hour, minute=0, second=0, microsecond=0)
    return today if today > local else today + timedelta(days=1)
