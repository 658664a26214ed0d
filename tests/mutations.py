"""Changes to valid input, as damage and malice make them."""

from __future__ import annotations

import random
import struct
from collections.abc import Sequence
from typing import Final

Edit = tuple[str, float, bytes]
"""What to do, where (as a part of the length), and with which bytes."""

KINDS: Final = ("set", "insert", "delete", "double", "cut", "length", "flip")
TELLING: Final = (b"\0", b"\xff", b"\xff" * 4, b"\xff" * 8, b"\x7f\xff\xff\xff", b"\0" * 8, b"|", b"\r", b"'", b"\xc3")


def edited(data: bytes, edits: Sequence[Edit]) -> bytes:
    """The input after the edits, one after the other; never more than twice as long and some."""
    for kind, where, value in edits:
        at = min(int(where * len(data)), max(len(data) - 1, 0))
        data = _edited(data, kind, at, value)
    return data


def random_edits(chance: random.Random) -> list[Edit]:
    """One to four edits."""
    return [
        (chance.choice(KINDS), chance.random(), chance.choice((*TELLING, chance.randbytes(chance.randint(1, 8)))))
        for _ in range(chance.randint(1, 4))
    ]


def _edited(data: bytes, kind: str, at: int, value: bytes) -> bytes:
    count = len(value)
    great = struct.pack("<I", 0x7FFFFFFF >> (count * 3))
    middle, gone = {
        "set": (value, count),
        "insert": (value, 0),
        "delete": (b"", count),
        "double": (data[at : at + 64], 0),
        "cut": (b"", len(data)),
        "length": (great, len(great)),  # where a length may stand, a great one
        "flip": (bytes(byte ^ 1 << (count % 8) for byte in data[at : at + 1]), 1),
    }[kind]
    return data[:at] + middle + data[at + gone :]
