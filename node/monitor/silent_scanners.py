"""The alarm on scanners that have gone silent: looked for every few minutes, in a thread of its own.

Telling somebody may take as long as a mail server likes; nothing else waits for it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final, Protocol, Self

import structlog

from node.domain.errors import NodeError
from node.domain.notices import Notice, Told, silence_key
from node.domain.silence import Silence, SilenceRule, silence_of
from node.monitor.meters import Meters
from node.storage.ledger import Ledger

_log = structlog.get_logger(__name__)
_SECONDS: Final = 300.0
_LAST_SECONDS: Final = 1.0


class Channel(Protocol):
    """A way to somebody: e-mail or webhook."""

    def send(self, notice: Notice, only: str = "") -> Told:
        """Send a notice. Raises NodeError."""
        ...


class SilentScanners:
    """``with SilentScanners(...) as found:`` looks every five minutes until the block ends.

    A silence is told once to every channel, and tried again at the next look where that failed. What was told is not
    kept: after a restart a silence that lasts is told again, under the same key.

    Parameters
    ----------
    rule
        When silence is unusual; None: never.
    channels
        Whom to tell, by name.
    node
        Stands for this installation in the keys of its notices.

    """

    def __init__(
        self,
        ledger: Ledger,
        meters: Meters,
        clock: Callable[[], datetime],
        rule: SilenceRule | None,
        channels: Mapping[str, Channel],
        node: str = "",
    ) -> None:
        self._ledger, self._clock = ledger, clock
        self._rule, self._channels, self._node = rule, channels, node
        self._silent = meters.gauge("silent_scanners", "Scanners that are silent for longer than is usual for them.")
        self._told: set[tuple[str, tuple[str, datetime]]] = set()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="silent-scanners", daemon=True)
        self.found: tuple[Silence, ...] = ()

    def __enter__(self) -> Self:
        """Begin, where there is a rule."""
        if self._rule is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End; a message on its way is left to itself."""
        self._ending.set()
        if self._thread.is_alive():
            self._thread.join(_LAST_SECONDS)

    def look(self) -> None:
        """One look. Raises NodeError if the ledger does not answer."""
        if self._rule is None:
            return
        rule, now = self._rule, self._clock()
        # twice the past: the habit of a scanner that has been silent for long is that of before
        arrivals = self._ledger.study_arrivals(now - timedelta(weeks=2 * rule.weeks))
        found = (silence_of(sender, moments, now, rule) for sender, moments in arrivals.items())
        before = {(one.sender, one.since) for one in self.found}
        self.found = tuple(one for one in found if one is not None)
        self._silent.set(len(self.found))
        for one in self.found:
            if (one.sender, one.since) not in before:
                _log.warning(
                    "a scanner is silent for longer than is usual for it",
                    sender=one.sender,
                    since=one.since.isoformat(),
                    usual_hours=round(one.usual_hours, 1),
                )
            self._tell(one, now)
        present = {(one.sender, one.since) for one in self.found}
        self._told = {(name, key) for name, key in self._told if key in present}

    def _tell(self, silence: Silence, now: datetime) -> None:
        subject = (silence.sender, silence.since)
        for name, channel in self._channels.items():
            if (name, subject) in self._told or self._ending.is_set():
                continue
            key = silence_key(node=self._node, channel=name, sender=silence.sender, since=silence.since)
            try:
                channel.send(Notice(key=key, made_at=now, silent=silence.sender, silent_since=silence.since))
            except NodeError as error:
                _log.warning("a channel could not be told of a silent scanner", channel=name, error=str(error))
                continue
            self._told.add((name, subject))
            _log.info("told of a silent scanner", channel=name, sender=silence.sender)

    def _run(self) -> None:
        while True:
            try:
                self.look()
            except NodeError as error:
                _log.warning("silence could not be looked for: the ledger does not answer", error=str(error))
            except Exception:  # noqa: BLE001 - looked for again later
                _log.exception("a fault of this program; looking goes on")
            if self._ending.wait(_SECONDS):
                return
