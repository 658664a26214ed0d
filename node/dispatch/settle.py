"""What becomes of claimed work: finished, tried again, or parked. One place for the rule."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from node.domain.errors import LeaseLost, NodeError, NotYet, Permanent, Retryable
from node.domain.records import Outcome
from node.domain.work import Backoff, Work
from node.storage.ledger import Ledger

Clock = Callable[[], datetime]

_log = structlog.get_logger(__name__)
_LOOK_SECONDS = 1.0
_AGAIN = timedelta(seconds=0.5)  # how soon to look again at what waits for something under way


class Settler:
    """Writes the end of an attempt into the ledger.

    Parameters
    ----------
    pause
        Waits for so many seconds; while the ledger is away there is nothing better to do.

    """

    def __init__(
        self, ledger: Ledger, clock: Clock, rng: random.Random, pause: Callable[[float], object] = time.sleep
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._rng = rng
        self._pause = pause

    def done(self, work: Work, outcome: Outcome) -> None:
        """Record an outcome, for which it waits if the ledger is away; drop it if somebody else has the work by now."""
        while True:
            try:
                self._ledger.finish(work, outcome, self._clock())
            except LeaseLost:
                _log.warning("result dropped: the lease was lost", stage=work.stage, series=work.series_uid)
            except Retryable as error:
                if self._may_wait(work, error):
                    continue
                _log.error("result dropped: the ledger stayed away", stage=work.stage, series=work.series_uid)
            return

    def failed(self, work: Work, error: Exception, backoff: Backoff) -> None:
        """Retry later, or park: a permanent error, one attempt too many, or a fault of this program.

        Waits for the ledger if it is away; else the work would rest until its lease has run out.
        """
        context = {
            "stage": work.stage,
            "series": work.series_uid,
            "destination": work.destination,
            "attempts": work.attempts,
        }
        while True:
            try:
                self._record(work, error, backoff, context)
            except LeaseLost:
                _log.warning("result dropped: the lease was lost", **context)
            except NodeError as second:
                if self._may_wait(work, second):
                    continue
                # The lease runs out, and the work comes back by itself.
                _log.error("the ledger could not take the end of an attempt", error=str(second), **context)
            return

    def _may_wait(self, work: Work, error: NodeError) -> bool:
        """Pause for a ledger that is away, as long as the lease runs; whether to ask it again."""
        if not isinstance(error, Retryable) or work.claimed_until is None or self._clock() >= work.claimed_until:
            return False
        _log.warning("waiting to record a result", stage=work.stage, error=str(error))
        self._pause(_LOOK_SECONDS)
        return True

    def _record(self, work: Work, error: Exception, backoff: Backoff, context: dict[str, object]) -> None:
        if isinstance(error, NotYet):
            self._ledger.retry_later(work, self._clock(), self._clock() + _AGAIN, str(error), counted=False)
        elif isinstance(error, Retryable) and not backoff.exhausted(work.attempts):
            delay = backoff.delay(work.attempts, self._rng)
            self._ledger.retry_later(work, self._clock(), self._clock() + delay, str(error))
            _log.warning("will try again", error=str(error), seconds=round(delay.total_seconds(), 1), **context)
        elif isinstance(error, LeaseLost):
            _log.warning("result dropped: the lease was lost", **context)
        else:
            self._park(work, error, context)

    def _park(self, work: Work, error: Exception, context: dict[str, object]) -> None:
        trace: Exception | None = None
        if isinstance(error, Permanent | Retryable):
            reason = str(error) if isinstance(error, Permanent) else f"gave up after {work.attempts} attempts: {error}"
        else:
            reason, trace = f"a fault of this program: {type(error).__name__}", error
        self._ledger.park(work, self._clock(), reason)
        _log.error("parked", reason=reason, exc_info=trace, **context)
