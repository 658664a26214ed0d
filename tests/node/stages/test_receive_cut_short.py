"""Senders that end within an image, over real sockets into real stores: nothing is left of what was not whole."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Iterator

import pytest

from node.dicom.limits import Limits
from node.dicom.listener import Listener, ListenerConfig
from tests.association_wire import a_command, a_fragment, a_pdu, ask, one_pdu
from tests.dicom_series import ct_series, thorax, wire_bytes
from tests.node.rig import Rig

IMAGE = ct_series(thorax(3, 4, 5))[0]
DATA = wire_bytes(IMAGE)
FOLDERS = ("spool", "spool.incoming", "quarantine", "quarantine.incoming")


@pytest.fixture
def listener(rig: Rig) -> Iterator[Listener]:
    running = Listener(
        ListenerConfig(ae_title="CALCIUM2R", host="127.0.0.1", port=0, limits=Limits(idle_seconds=0.5)),
        rig.receiver.store,
        on_opened=rig.receiver.opened,
        on_closed=rig.receiver.closed,
    )
    running.start()
    yield running
    running.stop(0.2)


@pytest.mark.parametrize("how", ["stops", "stops within a fragment", "A-ABORT", "reset", "nonsense"])
def test_an_image_that_ends_before_its_end_leaves_nothing(rig: Rig, listener: Listener, how: str):
    connection, _ = ask(listener.port)
    with connection:
        connection.sendall(a_command(IMAGE.SOPInstanceUID) + a_fragment(DATA[:400], last=False))
        rest = a_fragment(DATA[400:], last=True)
        if how == "stops within a fragment":
            connection.sendall(rest[: len(rest) // 2])
        elif how == "A-ABORT":
            connection.sendall(a_pdu(7, bytes(4)))
        elif how == "nonsense":
            connection.sendall(b"\xde\xad\xbe\xef" * 100)
        elif how == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        ended(rig)
    assert {path for folder in FOLDERS for path in rig.files(folder)} == set()
    assert rig.ledger.known_paths() == set()
    assert rig.ledger.find_instance(IMAGE.SOPInstanceUID) is None


def test_the_same_image_whole_is_kept(rig: Rig, listener: Listener):
    connection, _ = ask(listener.port)
    with connection:
        connection.sendall(a_command(IMAGE.SOPInstanceUID) + a_fragment(DATA[:400], last=False))
        connection.sendall(a_fragment(DATA[400:], last=True))
        assert one_pdu(connection)[:1] == b"\4"
    ended(rig)
    assert {path for folder in FOLDERS for path in rig.files(folder)} == rig.ledger.known_paths() != set()


def ended(rig: Rig) -> None:
    until = time.monotonic() + 10
    while not rig.ended:
        assert time.monotonic() < until, "the association never ended"
        time.sleep(0.01)
