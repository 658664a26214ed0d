"""The loops of an association's two threads, waiting where the library looks a thousand times a second."""

from __future__ import annotations

import queue
import select
import socket
import ssl
import struct
import threading
import time
from typing import Any, Final, cast

from pynetdicom.association import Association
from pynetdicom.dul import DULServiceProvider
from pynetdicom.transport import AssociationSocket

from node.dicom.lane import StoreLane, Violation
from node.dicom.store_wire import P_DATA

CLOSED: Final = "Evt17"
INVALID_PDU: Final = "Evt19"
"""Events of PS3.8 table 9-10; the latter is answered by A-ABORT in every state."""

_DATA_TRANSFER: Final = "Sta6"
_KINDS: Final = range(1, 8)
_LOOK_SECONDS: Final = 0.001
_REST_SECONDS: Final = 0.05
_BUSY_SECONDS: Final = 0.2


class Reactor:
    """The network thread of one association: reads, lets the state machine act, sends what it is given.

    The library's loop sleeps a millisecond whenever it finds nothing to do, so that an image waits for it twice. This
    one waits for the socket. What the association's thread wants to send has to be looked for; so for a moment after
    anything but a C-STORE, and before and after data transfer, it looks as often as the library does.
    """

    def __init__(self, association: Association, lane: StoreLane) -> None:
        self._association = association
        self._dul: DULServiceProvider = association.dul
        self._lane = lane
        self._busy_until = 0.0

    def run(self) -> None:
        """Until the association is over."""
        dul = self._dul
        dul._idle_timer.start()  # noqa: SLF001 - this and what follows is the library's own loop
        dul.assoc._dul_ready.set()  # noqa: SLF001
        while not dul._kill_thread:  # noqa: SLF001
            if dul.artim_timer.expired:
                dul.event_queue.put("Evt18")
            if not dul._process_recv_primitive() and dul._is_transport_event():  # noqa: SLF001
                dul._idle_timer.restart()  # noqa: SLF001
            try:
                event = dul.event_queue.get(block=False)
            except queue.Empty:
                self._wait()
            else:
                dul.state_machine.do_action(event)

    def read(self) -> None:
        """Read one PDU: ours is served, everything else becomes an event of the state machine."""
        dul = self._dul
        wrapped = cast("AssociationSocket", dul.socket)
        try:
            head = wrapped.recv(6)
            kind, _, length = struct.unpack(">BBL", head)
            if kind not in _KINDS:
                dul.event_queue.put(INVALID_PDU)
                return
            body = wrapped.recv(length)
        except (OSError, struct.error):
            dul.event_queue.put(CLOSED)
            return
        if len(body) != length:
            dul.event_queue.put(CLOSED)
            return
        try:
            left = self._for_the_library(kind, body)
        except Violation:
            dul.event_queue.put(INVALID_PDU)
            return
        except OSError:
            dul.event_queue.put(CLOSED)
            return
        if left is not None:
            self._hand_on(struct.pack(">BBL", kind, 0, len(left)), left)

    def _for_the_library(self, kind: int, body: bytearray) -> memoryview | None:
        if kind != P_DATA or not self._transferring():
            return memoryview(body)
        left = self._lane.take(memoryview(body))
        return left if left or not body else None

    def _hand_on(self, head: bytes, body: memoryview) -> None:
        self._busy_until = time.monotonic() + _BUSY_SECONDS
        dul = self._dul
        try:
            pdu, event = dul._decode_pdu(bytearray(head + body))  # noqa: SLF001 - as the library reads it
        except Exception:  # noqa: BLE001 - of the library's decoders, about what a peer has sent
            dul.event_queue.put(INVALID_PDU)
            return
        dul.event_queue.put(event)
        dul._recv_pdu.put(pdu)  # noqa: SLF001

    def _transferring(self) -> bool:
        return bool(self._association.is_established) and self._dul.state_machine.current_state == _DATA_TRANSFER

    def _wait(self) -> None:
        """Rest until the peer has sent something, or it is time to look whether there is something to send."""
        raw = cast("socket.socket | None", getattr(self._dul.socket, "socket", None))
        if raw is None or not getattr(self._dul.socket, "_is_connected", False):
            time.sleep(_LOOK_SECONDS)
            return
        quiet = self._transferring() and time.monotonic() > self._busy_until
        if isinstance(raw, ssl.SSLSocket) and raw.pending():
            return
        waiting = select.poll()
        try:
            waiting.register(raw, select.POLLIN)
            waiting.poll((_REST_SECONDS if quiet else _LOOK_SECONDS) * 1000)
        except (OSError, ValueError):  # closed under us; the next turn finds out
            time.sleep(_LOOK_SECONDS)


class News:
    """Where the association's thread rests between two turns of its loop, in place of the library's checkpoint.

    The library has it sleep a millisecond a turn. Whoever asks something of the peer holds it here as ever.
    """

    def __init__(self) -> None:
        self._news = threading.Event()
        self._open = threading.Event()
        self._open.set()

    def set(self) -> None:
        """There is something to look at, and nobody holds the thread."""
        self._open.set()
        self._news.set()

    def tell(self) -> None:
        """There is something to look at."""
        self._news.set()

    def clear(self) -> None:
        """Hold the thread."""
        self._open.clear()

    def wait(self) -> None:
        """Until there is something, or for a moment; and then until nobody holds the thread."""
        self._news.wait(_REST_SECONDS)
        self._news.clear()
        self._open.wait()


class ToldQueue(queue.Queue[Any]):
    """A queue whose reader is told that something has come."""

    def __init__(self, news: News) -> None:
        super().__init__()
        self._told = news

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: ANN401, FBT001, FBT002 - queue's
        """Queue, and tell."""
        super().put(item, block, timeout)
        self._told.tell()
