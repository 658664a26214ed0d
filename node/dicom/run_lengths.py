"""RLE Lossless (PS3.5 annex G), unpacked no further than the image goes: two bytes of it can claim to be 128."""

from __future__ import annotations

import struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from node.domain.errors import Unreadable

_HEAD: Final = struct.Struct("<16I")
_NOTHING: Final = 128


def unpacked(frame: bytes, *, rows: int, columns: int, words: int, signed: bool) -> NDArray[Any]:
    """The values (rows, columns) of a grey frame of ``words`` bytes a pixel.

    Raises
    ------
    Unreadable
        If the frame has other planes than that, or one ends early.

    """
    if len(frame) < _HEAD.size:
        raise Unreadable("the RLE frame is too short")
    count, *offsets = _HEAD.unpack_from(frame)
    if count != words:
        raise Unreadable(f"the RLE frame has {count} planes, {words} are needed")
    ends = [*offsets[1:words], len(frame)]
    values = np.zeros(rows * columns, np.dtype(f"<u{words}"))
    for start, stop in zip(offsets, ends, strict=False):  # the most significant plane is the first
        if not _HEAD.size <= start <= stop <= len(frame):
            raise Unreadable("the RLE frame does not hold its planes")
        plane = np.frombuffer(_plane(frame, start, stop, values.size), np.uint8)
        values = values << 8 | plane if words > 1 else plane
    return values.view(f"<{'i' if signed else 'u'}{words}").reshape(rows, columns)


def _plane(frame: bytes, at: int, stop: int, size: int) -> bytes:
    plain = bytearray()
    while len(plain) < size:
        if at + 1 >= stop:
            raise Unreadable("a plane of the RLE frame ends early")
        control = frame[at]
        if control < _NOTHING:
            plain += frame[at + 1 : min(at + 2 + control, stop)]
            at += control + 2
        elif control > _NOTHING:
            plain += frame[at + 1 : at + 2] * (257 - control)
            at += 2
        else:
            at += 1
    return bytes(plain[:size])
