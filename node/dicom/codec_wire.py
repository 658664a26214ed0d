"""What passes between the node and the program that decodes: a few words as JSON, then bytes, each with its length."""

from __future__ import annotations

import json
import struct
from typing import Any, BinaryIO, Final

_HEAD: Final = struct.Struct("<IQ")


def sent(pipe: BinaryIO, words: dict[str, Any], data: bytes) -> None:
    """Send one. Raises OSError if nobody is there."""
    text = json.dumps(words).encode("ascii")
    pipe.write(_HEAD.pack(len(text), len(data)) + text)
    pipe.write(data)
    pipe.flush()


def received(pipe: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """Receive one; None if the other side is gone, be it in the middle."""
    head = pipe.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    text, data = (pipe.read(count) for count in _HEAD.unpack(head))
    if len(text) + len(data) < sum(_HEAD.unpack(head)):
        return None
    words: dict[str, Any] = json.loads(text)
    return words, data
