"""HTTP connections that may not be held for nothing: a request has its time, and silent peers make room for others.

The server beneath waits for ever for a request to begin or to end, and counts those that wait among the connections it
serves: two hundred silent ones would shut the page.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Final, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

AT_ONCE: Final = 200
"""Connections that are served; whoever comes then is told to come later."""
_MOST_WAITING: Final = 100
"""Connections without a whole request; one more closes the oldest one of the address that has the most."""
_HEAD_SECONDS: Final = 10.0
_BODY_SECONDS: Final = 60.0


class PatientProtocol(H11Protocol):
    """One connection. What is asked over it has to be there in time, however slowly its bytes trickle."""

    _ends: asyncio.TimerHandle | None = None
    _of_body = False
    since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the server's own
        """Wait for a request, if there is room to."""
        super().connection_made(transport)
        self.since = self.loop.time()
        self._watch()
        self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some of a request, or all of it."""
        super().data_received(data)
        self._watch()

    @property
    def waits(self) -> bool:
        """Whether the peer has something to say before anything is answered."""
        return self.conn.their_state in (h11.IDLE, h11.SEND_BODY)

    def hang_up(self) -> None:
        """Nothing is said: a peer that does not ask does not listen."""
        self._stop()
        self.connections.discard(self)  # at once: the loop tells of the end later, when others have come
        self.transport.abort()

    def _watch(self) -> None:
        """A time for the head, then one for the body; neither is prolonged by what comes."""
        in_body = self.conn.their_state is h11.SEND_BODY
        if not self.waits or in_body != self._of_body:
            self._stop()
        if self.waits and self._ends is None:
            self._of_body = in_body
            self._ends = self.loop.call_later(_BODY_SECONDS if in_body else _HEAD_SECONDS, self.hang_up)

    def _stop(self) -> None:
        if self._ends is not None:
            self._ends.cancel()
            self._ends = None

    def _make_room(self) -> None:
        """Whoever has the most connections waiting loses the oldest: nobody can take the room from the others."""
        waiting = [cast("PatientProtocol", one) for one in self.connections]
        waiting = [one for one in waiting if one.waits]
        if len(waiting) <= _MOST_WAITING:
            return
        counts = Counter(one.address for one in waiting)
        crowd = max(counts, key=counts.__getitem__)
        min((one for one in waiting if one.address == crowd), key=lambda one: one.since).hang_up()

    @property
    def address(self) -> str:
        """Where the peer is."""
        return self.client[0] if self.client else ""
