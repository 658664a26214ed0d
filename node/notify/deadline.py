"""An end to conversations that take too long as a whole: the time-out of a socket holds for each wait alone."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class Deadline:
    """Cuts the connection it watches when the time is over; whoever waits on it then reads its end.

    ``with Deadline(30) as deadline: ...; deadline.watch(sock)``. What is done without a connection, such as looking up
    a name, is not cut short.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._lock = threading.Lock()
        self._watched: socket.socket | None = None
        self.passed = False

    def __enter__(self) -> Self:
        """Start the time."""
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the time."""
        self._timer.cancel()
        with self._lock:
            if self._watched is not None:
                self._watched.close()
                self._watched = None

    @property
    def words(self) -> str:
        """What happened when it has passed."""
        return f"no answer within {self._seconds:g} s"

    def watch(self, connected: socket.socket) -> None:
        """Watch a connection, in place of the one before.

        A second handle on it is kept: TLS takes the first one away, and the handshake is to be cut short too.
        """
        handle = connected.dup()
        with self._lock:
            if self._watched is not None:
                self._watched.close()
            self._watched = handle
            if self.passed:
                _end(handle)

    def _cut(self) -> None:
        with self._lock:
            self.passed = True
            if self._watched is not None:
                _end(self._watched)


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # it has ended already
        connection.shutdown(socket.SHUT_RDWR)
