"""Damaged PDU streams against a listener that runs: nothing hangs, nothing breaks, and the next echo is answered."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.dicom.limits import Limits
from node.dicom.listener import Listener, ListenerConfig, StoreRequest
from tests.association_wire import VERIFICATION, a_command, a_fragment, a_pdu, a_request, connect, echoed
from tests.dicom_series import ct_series, thorax, wire_bytes
from tests.mutations import KINDS, TELLING, edited

IMAGE = ct_series(thorax(3, 4, 5))[0]
STREAMS = (
    a_request() + a_command(IMAGE.SOPInstanceUID) + a_fragment(wire_bytes(IMAGE), last=True) + a_pdu(5, bytes(4)),
    a_request(sop_class=VERIFICATION) + a_command("", VERIFICATION, 0x0030, data_set=False) + a_pdu(5, bytes(4)),
    a_request() + a_pdu(7, bytes(4)),
)
SECONDS = 1.0  # of the listener's patience
EDITS = st.lists(
    st.tuples(st.sampled_from(KINDS), st.floats(0, 1), st.sampled_from(TELLING) | st.binary(min_size=1, max_size=8)),
    min_size=1,
    max_size=4,
)


@pytest.fixture(scope="module")
def listener() -> Iterator[Listener]:
    def store(data: bytes, request: StoreRequest) -> None:
        assert data or request

    limits = Limits(acse_seconds=SECONDS, idle_seconds=SECONDS)
    running = Listener(ListenerConfig(ae_title="CALCIUM2R", host="127.0.0.1", port=0, limits=limits), store)
    running.start()
    yield running
    running.stop(0.2)


def spoken_to(port: int, said: bytes, *, at_once: bool) -> float:
    """Seconds until the listener has hung up on who said this, and then nothing more."""
    begun = time.monotonic()
    with connect(port) as peer, suppress(OSError):
        if at_once:
            peer.sendall(said)
        else:  # as a library would: the request, its answer, the rest
            peer.sendall(said[: len(a_request())])
            peer.settimeout(3)
            peer.recv(4096)
            peer.sendall(said[len(a_request()) :])
        peer.shutdown(socket.SHUT_WR)
        peer.settimeout(20)
        while peer.recv(4096):
            continue
    return time.monotonic() - begun


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stream=st.sampled_from(STREAMS), edits=EDITS, at_once=st.booleans())
def test_a_damaged_stream_harms_nobody(listener: Listener, stream: bytes, edits, *, at_once: bool):
    assert spoken_to(listener.port, edited(stream, edits), at_once=at_once) < 15
    echoed(listener.port, SECONDS)


def test_all_of_it_leaves_no_thread(listener: Listener):
    until = time.monotonic() + 10
    while any("AcceptorThread" in thread.name for thread in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert listener.open_associations == 0
