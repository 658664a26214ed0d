"""The outermost frame: what the first bytes of a connection are, whatever they are."""

from __future__ import annotations

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.dicom.framing import (
    ENOUGH_OF_A_REQUEST,
    LONGEST_REQUEST,
    Arrival,
    Reason,
    arrival,
    hang_up,
    tell_abort,
    tell_busy,
    tls_arrival,
)


def a_request(length: int) -> bytes:
    return struct.pack(">BBI", 1, 0, length) + bytes(length)


@given(st.integers(68, 4096), st.data())
def test_a_request_is_one_when_its_last_byte_is_there(length: int, data: st.DataObject):
    whole = a_request(length)
    cut = data.draw(st.integers(0, len(whole) - 1))
    assert arrival(whole[:cut]) is Arrival.PART
    assert arrival(whole) is Arrival.REQUEST


def test_a_long_request_need_not_be_whole():
    whole = a_request(LONGEST_REQUEST)
    assert arrival(whole[: ENOUGH_OF_A_REQUEST - 1]) is Arrival.PART
    assert arrival(whole[:ENOUGH_OF_A_REQUEST]) is Arrival.REQUEST


@pytest.mark.parametrize("length", [0, 67, LONGEST_REQUEST + 1, 0xFFFFFFFF])
def test_a_length_that_no_request_has(length: int):
    assert arrival(struct.pack(">BBI", 1, 0, length)) is Arrival.NONSENSE


@given(st.binary(min_size=1).filter(lambda data: data[0] != 1))
def test_anything_else_is_nonsense_from_its_first_byte(data: bytes):
    assert arrival(data) is Arrival.NONSENSE


@given(st.binary(max_size=40))
def test_a_tls_hello_is_a_whole_record_of_a_handshake(data: bytes):
    record = b"\x16\x03\x01" + struct.pack(">H", len(data) + 1) + data + b"\0"
    assert tls_arrival(record) is Arrival.REQUEST
    assert tls_arrival(record[:-1]) is Arrival.PART
    assert tls_arrival(b"\x01" + data) is Arrival.NONSENSE
    assert tls_arrival(b"\x16\x03\x01\xff\xff") is Arrival.NONSENSE


@pytest.mark.parametrize(
    ("tell", "said"),
    [
        (lambda end: tell_abort(end, Reason.INVALID_PARAMETER), "07000000000400000206"),
        (tell_busy, "03000000000400020302"),
    ],
    ids=["A-ABORT", "A-ASSOCIATE-RJ"],
)
def test_the_last_word_is_as_the_standard_has_it_and_arrives(tell, said: str):
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as peer:
        peer.sendall(b"unread")
        ours, _ = server.accept()
        tell(ours)
        hang_up(ours)
        peer.settimeout(5)
        assert peer.recv(100).hex() == said
        assert peer.recv(100) == b""


def test_a_word_to_nobody_is_no_error():
    one, other = socket.socketpair()
    other.close()
    tell_abort(one, Reason.UNEXPECTED)
    hang_up(one)
    tell_busy(one)
    hang_up(one)
