"""The outermost frame of the DICOM upper layer, before any library sees it (PS3.8 9.3)."""

from __future__ import annotations

import contextlib
import socket
import struct
from enum import Enum, IntEnum, auto
from typing import Final

LONGEST_REQUEST: Final = 1 << 20  # an A-ASSOCIATE-RQ knows no negotiated length; 128 contexts stay well below this
ENOUGH_OF_A_REQUEST: Final = 32 * 1024  # what every system's receive buffer holds

_ASSOCIATE_RQ: Final = 0x01
_HEAD: Final = 6
_SHORTEST_REQUEST: Final = 68  # the fixed fields, without any item
_TLS_HEAD: Final = 5
_LONGEST_RECORD: Final = 1 << 14
_DRAIN: Final = 1 << 16


class Arrival(Enum):
    """What the first bytes of a connection are."""

    PART = auto()
    REQUEST = auto()
    NONSENSE = auto()


class Reason(IntEnum):
    """Why the service provider aborts (PS3.8 table 9-26)."""

    UNEXPECTED = 2
    INVALID_PARAMETER = 6


def arrival(data: bytes) -> Arrival:
    """Whether the first bytes are an A-ASSOCIATE-RQ: the whole of it, or enough of it to be taken for a peer."""
    if data[:1] not in (b"", b"\x01"):
        return Arrival.NONSENSE
    if len(data) < _HEAD:
        return Arrival.PART
    _, _, length = struct.unpack_from(">BBI", data)
    if not _SHORTEST_REQUEST <= length <= LONGEST_REQUEST:
        return Arrival.NONSENSE
    return Arrival.REQUEST if len(data) >= min(_HEAD + length, ENOUGH_OF_A_REQUEST) else Arrival.PART


def tls_arrival(data: bytes) -> Arrival:
    """Whether the first bytes are a TLS record of a handshake, whole (RFC 8446 5.1): who asks, asks inside of it."""
    if data[:1] not in (b"", b"\x16") or data[1:2] not in (b"", b"\x03"):
        return Arrival.NONSENSE
    if len(data) < _TLS_HEAD:
        return Arrival.PART
    length = int.from_bytes(data[3:_TLS_HEAD], "big")
    if not 0 < length <= _LONGEST_RECORD:
        return Arrival.NONSENSE
    return Arrival.REQUEST if len(data) >= _TLS_HEAD + length else Arrival.PART


def tell_abort(connection: socket.socket, reason: Reason) -> None:
    """Send A-ABORT by the service provider, if that needs no wait."""
    _tell(connection, struct.pack(">BBI2xBB", 7, 0, 4, 2, reason))


def tell_busy(connection: socket.socket) -> None:
    """Send A-ASSOCIATE-RJ, transient, 'local limit exceeded', if that needs no wait."""
    _tell(connection, struct.pack(">BBIxBBB", 3, 0, 4, 2, 3, 2))


def hang_up(connection: socket.socket) -> None:
    """Close; what was said last still arrives, because nothing unread makes the system reset the connection."""
    with contextlib.suppress(OSError, ValueError):
        connection.shutdown(socket.SHUT_WR)
        connection.recv(_DRAIN, socket.MSG_DONTWAIT)
    connection.close()


def _tell(connection: socket.socket, said: bytes) -> None:
    with contextlib.suppress(OSError, ValueError):  # ValueError: a TLS socket takes no flags
        connection.send(said, socket.MSG_DONTWAIT)
