"""RLE is unpacked as others unpack it, and no further than the image goes."""

from __future__ import annotations

import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as some
from pydicom.pixels.encoders.native import _encode_row

from node.dicom.run_lengths import unpacked
from node.domain.errors import Unreadable


def packed(values: np.ndarray) -> bytes:
    """As PS3.5 G.3 packs: planes from the most significant byte on, row by row."""
    words = values.dtype.itemsize
    plain = values.astype(values.dtype.newbyteorder("<")).tobytes()
    columns = values.shape[1]
    planes = [plain[words - 1 - plane :: words] for plane in range(words)]
    coded = [
        b"".join(bytes(_encode_row(one[at : at + columns])) for at in range(0, len(one), columns)) for one in planes
    ]
    return head(coded) + b"".join(coded)


def head(coded: list[bytes]) -> bytes:
    starts = [64 + sum(map(len, coded[:number])) for number in range(len(coded))]
    return struct.pack("<16I", len(coded), *starts, *[0] * (15 - len(starts)))


@given(
    some.arrays(
        st.sampled_from([np.uint8, np.int8, np.uint16, np.int16]),
        some.array_shapes(min_dims=2, max_dims=2, max_side=40),
        fill=st.just(3),
    )
)
def test_what_was_packed_comes_back(values: np.ndarray):
    kind = values.dtype
    rows, columns = values.shape
    found = unpacked(packed(values), rows=rows, columns=columns, words=kind.itemsize, signed=kind.kind == "i")
    assert found.dtype == kind
    assert np.array_equal(found, values)


def test_a_bomb_costs_what_the_image_costs():
    bomb = b"\x81\x00" * (1 << 20)  # 128 MiB, if one let it
    tracemalloc.start()
    found = unpacked(head([bomb, bomb]) + bomb + bomb, rows=64, columns=64, words=2, signed=False)
    peak = tracemalloc.get_traced_memory()[1] - 4 * len(bomb)  # the frame itself, put together
    tracemalloc.stop()
    assert not found.any()
    assert peak < 1 << 20


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        head([b"x"])[:63],
        head([b"\x00\x01"]) + b"\x00\x01",
        head([b"\x03abc", b"\x00a"]) + b"\x03abc\x00a",
        head([b"\x80" * 100, b"\x80" * 100]) + b"\x80" * 200,
        struct.pack("<16I", 2, 64, 1 << 31, *[0] * 13) + b"\xfd\x00" * 2,
        struct.pack("<16I", 2, 0, 64, *[0] * 13) + b"\xfd\x00" * 2,
        struct.pack("<16I", 1 << 31, *[64] * 15) + b"\xfd\x00" * 2,
    ],
)
def test_what_is_no_frame_of_this_image_is_told(frame: bytes):
    with pytest.raises(Unreadable, match="RLE"):
        unpacked(frame, rows=2, columns=2, words=2, signed=False)


@given(st.binary(max_size=300), st.integers(0, 200))
def test_any_bytes_are_unpacked_or_told(junk: bytes, at: int):
    good = packed(np.arange(64, dtype=np.uint16).reshape(8, 8))
    damaged = good[:at] + junk + good[at + len(junk) // 2 :]
    try:
        found = unpacked(damaged, rows=8, columns=8, words=2, signed=True)
    except Unreadable:
        return
    assert found.shape == (8, 8)
