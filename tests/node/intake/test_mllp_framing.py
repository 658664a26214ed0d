"""The framing of MLLP, whatever pieces the network makes of it."""

from __future__ import annotations

import threading
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.intake.mllp_wire import Closing, MllpLimits, Wire

CHUNK = 65_536


class Pieces:
    """The receiving end of a connection: what was sent, in pieces, and then nothing more, or silence."""

    def __init__(self, pieces, *, hangs_up=True) -> None:
        self.pieces, self.hangs_up, self.asked = list(pieces), hangs_up, 0

    def recv(self, size):
        self.asked += 1
        if not self.pieces:
            if self.hangs_up:
                return b""
            raise TimeoutError
        piece = self.pieces.pop(0)
        if len(piece) > size:
            self.pieces.insert(0, piece[size:])
        return piece[:size]


def a_wire(pieces, *, hangs_up=True, **limits: float) -> Wire:
    return Wire(Pieces(pieces, hangs_up=hangs_up), MllpLimits(**limits), threading.Event())


def cut(data: bytes, places) -> list[bytes]:
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[start:end] for start, end in pairwise(edges) if start < end]


BODIES = st.lists(st.binary(max_size=60).map(lambda one: one.replace(b"\x0b", b"").replace(b"\x1c", b"")), max_size=6)
PLACES = st.lists(st.integers(0, 500), max_size=12)


@settings(deadline=None)
@given(BODIES, PLACES, st.sampled_from([b"\r", b"", b"\r\n", b"\r\r\n"]))
def test_every_message_comes_out_once_and_whole_however_it_was_cut(bodies, places, trailer):
    data = b"".join(b"\x0b" + body + b"\x1c" + trailer for body in bodies)
    wire = a_wire(cut(data, places))
    assert [wire.message() for _ in bodies] == bodies
    assert wire.message() is None


@settings(deadline=None)
@given(BODIES, st.binary(min_size=1, max_size=40), PLACES)
def test_a_message_without_its_end_is_never_handed_on(bodies, rest, places):
    rest = rest.replace(b"\x1c", b"")
    data = b"".join(b"\x0b" + body + b"\x1c\r" for body in bodies) + b"\x0b" + rest
    wire = a_wire(cut(data, places))
    assert [wire.message() for _ in bodies] == bodies
    with pytest.raises(Closing, match="in the middle"):
        wire.message()


@settings(deadline=None)
@given(st.binary(max_size=300), PLACES)
def test_whatever_is_sent_ends_in_a_message_an_end_or_a_reason(data, places):
    wire = a_wire(cut(data, places), message_bytes=100)
    try:
        while (message := wire.message()) is not None:
            assert len(message) <= 100
    except Closing as reason:
        assert str(reason)  # noqa: PT017 - one of three ends


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 3 * CHUNK), st.integers(256, CHUNK))
def test_ten_megabytes_are_cut_off_without_being_held(most, piece):
    endless = [b"\x0bMSH|^~\\&|", *[b"A" * piece] * (10_000_000 // piece)]
    wire = a_wire(endless, message_bytes=most, message_seconds=3600.0)
    with pytest.raises(Closing, match="is too long") as end:
        wire.message()
    assert len(wire.rest) <= most + CHUNK
    assert b"MSA|AE|" in end.value.answer
    assert wire.connection.asked * piece <= most + 2 * CHUNK + piece


def test_silence_between_messages_ends_the_connection_and_in_a_message_it_is_said():
    assert a_wire([], hangs_up=False, idle_seconds=0.05).message() is None
    begun = a_wire([b"\x0bMSH|^~\\&|A|B|C|D|2026||ORU^R01|77"], hangs_up=False, message_seconds=0.05)
    with pytest.raises(Closing, match="too long") as end:
        begun.message()
    assert b"MSA|AR|77" in end.value.answer
