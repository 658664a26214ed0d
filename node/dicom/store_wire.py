"""C-STORE requests and responses as bytes: command sets (PS3.7 9.3.1, E.1) in presentation data values (PS3.8 D.1).

Command sets are Implicit VR Little Endian, always. The library makes data sets of them, which costs more than all the
rest that is done with an image of half a megabyte.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from node.dicom.encoding import is_uid

P_DATA: Final = 0x04
COMMAND, LAST = 0x01, 0x02
"""Bits of a message control header (PS3.8 E.2)."""
LONGEST_RESPONSE: Final = 512

_HEAD: Final = struct.Struct("<HHI")
_C_STORE_RQ: Final = 0x0001
_C_STORE_RSP: Final = 0x8001
_NO_DATA_SET: Final = 0x0101
_CLASS, _FIELD, _ID, _RESPONDED, _DATA_SET, _STATUS, _COMMENT, _INSTANCE = (
    0x0002,
    0x0100,
    0x0110,
    0x0120,
    0x0800,
    0x0900,
    0x0902,
    0x1000,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreCommand:
    """A C-STORE request that a data set follows: which message, and what it claims to bring."""

    message_id: int
    sop_class_uid: str
    sop_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A presentation data value: a piece of a message, and where the next one begins in its PDU."""

    context: int
    control: int
    data: memoryview
    stop: int


def values_of(body: memoryview, start: int = 0) -> Iterator[Value]:
    """The values in the body of a P-DATA-TF.

    Raises
    ------
    ValueError
        The body is not made of whole values.

    """
    while start < len(body):
        if len(body) - start < 6:
            raise ValueError("a presentation data value is cut off")
        (length,) = struct.unpack_from(">I", body, start)
        stop = start + 4 + length
        if length < 2 or stop > len(body):
            raise ValueError("a presentation data value is longer than its PDU")
        yield Value(context=body[start + 4], control=body[start + 5], data=body[start + 6 : stop], stop=stop)
        start = stop


def read_store(command: bytes | memoryview) -> StoreCommand | None:
    """The request that a command set is; None if it is another one, or not all that it should be."""
    found: dict[int, bytes] = {}
    start, end = 0, len(command)
    while start < end:
        if end - start < _HEAD.size:
            return None
        group, element, length = _HEAD.unpack_from(command, start)
        start += _HEAD.size + length
        if group != 0 or start > end:
            return None
        found[element] = bytes(command[start - length : start])
    if _number(found, _FIELD) != _C_STORE_RQ or _number(found, _DATA_SET) in (None, _NO_DATA_SET):
        return None
    message_id, sop_class_uid, sop_uid = _number(found, _ID), _uid(found, _CLASS), _uid(found, _INSTANCE)
    if message_id is None or not is_uid(sop_class_uid) or not is_uid(sop_uid):
        return None
    return StoreCommand(message_id=message_id, sop_class_uid=sop_class_uid, sop_uid=sop_uid)


def response_to(request: StoreCommand, context: int, status: int, comment: str) -> bytes:
    """The C-STORE response as a whole P-DATA-TF, at most ``LONGEST_RESPONSE`` bytes; "" leaves the comment out."""
    said = b"".join(
        (
            _element(_CLASS, _padded(request.sop_class_uid, b"\0")),
            _element(_FIELD, struct.pack("<H", _C_STORE_RSP)),
            _element(_RESPONDED, struct.pack("<H", request.message_id)),
            _element(_DATA_SET, struct.pack("<H", _NO_DATA_SET)),
            _element(_STATUS, struct.pack("<H", status)),
            _element(_COMMENT, _padded(_plain(comment), b" ")) if comment else b"",
            _element(_INSTANCE, _padded(request.sop_uid, b"\0")),
        )
    )
    message = _element(0x0000, struct.pack("<I", len(said))) + said
    value = struct.pack(">IBB", len(message) + 2, context, COMMAND | LAST) + message
    return struct.pack(">BBI", P_DATA, 0, len(value)) + value


def _element(element: int, value: bytes) -> bytes:
    return _HEAD.pack(0, element, len(value)) + value


def _plain(comment: str) -> str:
    """A Long String of the default repertoire has no control characters, and a backslash would part it (PS3.5 6.2)."""
    return "".join(one if one.isprintable() and one != "\\" else "?" for one in comment)


def _padded(text: str, by: bytes) -> bytes:
    value = text.encode("ascii", "replace")
    return value + by * (len(value) % 2)


def _number(found: dict[int, bytes], element: int) -> int | None:
    value = found.get(element, b"")
    return int.from_bytes(value, "little") if len(value) == 2 else None


def _uid(found: dict[int, bytes], element: int) -> str:
    return found.get(element, b"").decode("latin-1").rstrip(" \0")
