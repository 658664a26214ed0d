"""Where connections wait until they have asked for an association: one thread for all, nothing kept but the socket.

The library gives every connection two threads that look at it a thousand times a second. Peers that connect and say
nothing, or half of something, would take the processor from those that work.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from node.dicom.framing import ENOUGH_OF_A_REQUEST, Arrival, Reason, arrival, hang_up, tell_abort
from node.dicom.limits import Limits

log = logging.getLogger(__name__)

_LOOK_SECONDS: Final = 0.02  # at a request that has begun
_REST_SECONDS: Final = 1.0
_SAY_SECONDS: Final = 60.0  # between two warnings of the same


@dataclass(eq=False, slots=True)
class _Guest:
    connection: socket.socket
    address: Any
    until: float
    begun: bool = False


def crowd(addresses: Iterable[str]) -> str:
    """The address that has the most of something: who makes room, so that nobody can take it from the others."""
    return Counter(addresses).most_common(1)[0][0]


def _abort(connection: socket.socket, _address: Any) -> None:  # noqa: ANN401 - socketserver's type
    tell_abort(connection, Reason.UNEXPECTED)


class Lobby:
    """Connections that have not asked yet.

    Parameters
    ----------
    limits
        How many, and for how long.
    seat
        Takes a connection over, with its address, once its request is there.
    judge
        Tells from its first bytes whether it is; another one where TLS is spoken.
    refuse
        Says a last word to a connection, with its address, that began with something else.

    """

    def __init__(
        self,
        limits: Limits,
        seat: Callable[[socket.socket, Any], None],
        judge: Callable[[bytes], Arrival] = arrival,
        refuse: Callable[[socket.socket, Any], None] = _abort,
    ) -> None:
        self._limits = limits
        self._seat = seat
        self._judge = judge
        self._refuse = refuse
        self._guests: list[_Guest] = []  # in the order of their coming; only the thread touches them
        self._coming: deque[_Guest] = deque()
        self._selector = selectors.DefaultSelector()
        self._bell, self._rope = socket.socketpair()
        for end in (self._bell, self._rope):
            end.settimeout(0)
        self._selector.register(self._bell, selectors.EVENT_READ)
        self._closing = threading.Event()
        self._said = -_SAY_SECONDS
        self._thread = threading.Thread(target=self._serve, name="dicom-lobby", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many connections wait."""
        return len(self._guests) + len(self._coming)

    def enter(self, connection: socket.socket, address: Any) -> None:  # noqa: ANN401 - socketserver's type
        """A new connection: it has to ask within the time-out."""
        self._coming.append(_Guest(connection, address, time.monotonic() + self._limits.acse_seconds))
        self._ring()

    def close(self) -> None:
        """Hang up on everybody who waits; the thread ends."""
        self._closing.set()
        self._ring()
        self._thread.join(timeout=5)

    def _ring(self) -> None:
        try:
            self._rope.send(b"\0")
        except OSError:  # full of rings already, or closed
            return

    def _serve(self) -> None:
        while not self._closing.is_set():
            self._selector.select(self._patience())
            self._let_in()
            now = time.monotonic()
            for guest in tuple(self._guests):
                self._look(guest, now)
        for guest in (*self._guests, *self._coming):
            hang_up(guest.connection)
        self._guests.clear()
        self._coming.clear()
        self._selector.close()
        self._bell.close()
        self._rope.close()

    def _patience(self) -> float:
        if any(guest.begun for guest in self._guests):
            return _LOOK_SECONDS
        nearest = min((guest.until for guest in self._guests), default=float("inf")) - time.monotonic()
        return min(max(nearest, 0.0), _REST_SECONDS)

    def _let_in(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._bell.recv(1 << 12)
        while self._coming:
            guest = self._coming.popleft()
            self._guests.append(guest)
            try:
                self._selector.register(guest.connection, selectors.EVENT_READ)
            except (OSError, ValueError):  # gone already
                self._leave(guest)
                hang_up(guest.connection)
            if len(self._guests) > self._limits.strangers:
                self._make_room()

    def _make_room(self) -> None:
        """Whoever has the most connections waiting loses the oldest."""
        whose = crowd(guest.address[0] for guest in self._guests)
        oldest = next(guest for guest in self._guests if guest.address[0] == whose)
        self._leave(oldest)
        hang_up(oldest.connection)
        if time.monotonic() - self._said >= _SAY_SECONDS:
            self._said = time.monotonic()
            log.warning("%s has the most connections that wait without asking; its oldest are closed", whose)

    def _look(self, guest: _Guest, now: float) -> None:
        connection = guest.connection
        try:
            data = connection.recv(ENOUGH_OF_A_REQUEST, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            found = self._judge(data) if data else None
        except BlockingIOError:
            found = Arrival.PART
            data = b""
        except OSError:
            found = None
        if found is Arrival.PART and now < guest.until:
            if data and not guest.begun:  # select would tell of the same bytes again and again
                guest.begun = True
                self._selector.unregister(connection)
            return
        self._leave(guest)
        if found is Arrival.REQUEST:
            self._hand_over(guest)
            return
        if found is Arrival.NONSENSE:
            self._refuse(connection, guest.address)
        hang_up(connection)

    def _hand_over(self, guest: _Guest) -> None:
        try:
            self._seat(guest.connection, guest.address)
        except Exception as error:  # noqa: BLE001 - no thread to be had, say; the others still wait
            log.error("a connection could not be served: %s", type(error).__name__)  # noqa: TRY400 - may quote a peer
            hang_up(guest.connection)

    def _leave(self, guest: _Guest) -> None:
        self._guests.remove(guest)
        if not guest.begun:
            try:
                self._selector.unregister(guest.connection)
            except (KeyError, ValueError):
                return
