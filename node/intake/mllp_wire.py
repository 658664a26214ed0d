"""MLLP on a socket: framed messages in, framed answers out, within bounds of size and time."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Final

from node.intake.hl7_message import MOST_BYTES, AckCode, ack

log = logging.getLogger(__name__)

POLL_SECONDS: Final = 0.2
_START: Final = b"\x0b"
_END: Final = b"\x1c"
_BETWEEN: Final = b"\r\n"
_CHUNK: Final = 65_536
_DRAIN_BYTES: Final = 64 * 1024 * 1024
_DRAIN_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MllpLimits:
    """What senders may ask of the listener.

    Attributes
    ----------
    connections
        At one time; one more is closed at once.
    message_bytes
        A longer message is answered with AE, for it will not get shorter, and its connection closed.
    idle_seconds
        Silence between messages after which a connection is closed.
    message_seconds
        Time that a message may take from its first byte to its last.
    send_seconds
        Time a sender has to take our answer.

    """

    connections: int = 16
    message_bytes: int = MOST_BYTES
    idle_seconds: float = 600.0
    message_seconds: float = 30.0
    send_seconds: float = 10.0


class Closing(Exception):
    """The connection ends; the reason is for the log, and ``answer`` for the peer, if there is something to say."""

    def __init__(self, reason: str, answer: bytes = b"") -> None:
        super().__init__(reason)
        self.answer = answer


@dataclass(slots=True)
class Wire:
    """Framed messages on a socket. Every wait is short, so that the end of the listener is noticed."""

    connection: socket.socket
    limits: MllpLimits
    stopping: threading.Event
    rest: bytearray = field(default_factory=bytearray)

    def message(self) -> bytes | None:
        """The next message; None when the sender has hung up between messages, or was silent for long."""
        if not self._begun():
            return None
        deadline = time.monotonic() + self.limits.message_seconds
        looked = 0
        while (end := self.rest.find(_END, looked)) < 0:
            looked = len(self.rest)
            self._check_size(looked)
            if not self._more(deadline):
                raise Closing("the sender hung up in the middle of a message")
            if time.monotonic() > deadline:
                raise Closing("a message took too long", self._too_slow())
        self._check_size(end)
        message = bytes(self.rest[:end])
        del self.rest[: end + 1]
        again = message.rfind(_START)
        if again >= 0:
            log.warning("a sender began an HL7 message anew before it ended; only the last is read")
            message = message[again + 1 :]
        return message

    def send(self, answer: bytes) -> None:
        """Send an answer, framed.

        Raises
        ------
        OSError
            If the sender does not take it in time.

        """
        self.connection.settimeout(self.limits.send_seconds)
        self.connection.sendall(_START + answer + _END + b"\r")
        self.connection.settimeout(POLL_SECONDS)

    def send_last(self, answer: bytes) -> None:
        """Send an answer and swallow what still comes: a socket closed over unread bytes would take it back."""
        with contextlib.suppress(OSError):
            self.send(answer)
            self.connection.shutdown(socket.SHUT_WR)
            swallowed, until = 0, time.monotonic() + _DRAIN_SECONDS
            while swallowed < _DRAIN_BYTES and time.monotonic() < until and not self.stopping.is_set():
                try:
                    got = len(self.connection.recv(_CHUNK))
                except TimeoutError:
                    continue
                if not got:
                    return
                swallowed += got

    def _begun(self) -> bool:
        """Wait for the first byte of a message, which is taken away."""
        deadline = time.monotonic() + self.limits.idle_seconds
        while True:
            del self.rest[: len(self.rest) - len(self.rest.lstrip(_BETWEEN))]
            if self.rest:
                break
            if not self._more(deadline):
                return False
        if not self.rest.startswith(_START):
            raise Closing("what was sent is not framed as MLLP")
        del self.rest[:1]
        return True

    def _more(self, deadline: float) -> bool:
        """Wait for more bytes; False when there will be none, or not in time."""
        while time.monotonic() <= deadline:
            if self.stopping.is_set():
                raise Closing("the listener is being stopped")
            try:
                got = self.connection.recv(_CHUNK)
            except TimeoutError:
                continue
            self.rest += got
            return bool(got)
        if self.rest:
            raise Closing("a message took too long", self._too_slow())
        return False

    def _check_size(self, size: int) -> None:
        most = self.limits.message_bytes
        if size > most:
            head = bytes(self.rest[:4096])
            raise Closing("a message is too long", ack(head, AckCode.ERROR, f"longer than {most} bytes"))

    def _too_slow(self) -> bytes:
        seconds = f"{self.limits.message_seconds:g}"
        return ack(bytes(self.rest[:4096]), AckCode.REJECT, f"the message was not complete within {seconds} s")
