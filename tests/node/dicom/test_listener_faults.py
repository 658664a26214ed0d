"""The listener over real sockets: bad data and bad peers have their answer, and do not stop it."""

from __future__ import annotations

import socket
import struct

import pytest

from node.dicom.listener import Closed, Limits
from node.domain.errors import LedgerBusy, Malformed, PeerDown, Refused, StorageFull, Unreadable
from tests.association_wire import a_command, a_fragment, a_pdu
from tests.dicom_series import Style, ct_series, wire_bytes
from tests.node.dicom.listening import MR, SMALL, associated, hello, item, raw_store, sender, still_works, wait_until


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (StorageFull("no room"), 0xA700),
        (LedgerBusy("locked"), 0xA700),
        (PeerDown("elsewhere"), 0xA700),
        (Malformed("cut off"), 0xC000),
        (Unreadable("no volume"), 0xC000),
        (Refused("quarantined"), 0x0124),
        (ValueError("Doe^Jane"), 0x0110),
        (OSError(28, "No space left on device"), 0x0110),
        (KeyError("x"), 0x0110),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else f"{value:04X}",
)
def test_every_failure_has_its_status(failure, status, listener, keeper, caplog):
    keeper.failure = failure
    image = ct_series(SMALL)[0]
    association = associated(listener)
    response = raw_store(association, wire_bytes(image), sop_uid=image.SOPInstanceUID)
    assert response.Status == status
    assert 0 < len(response.ErrorComment) <= 64
    assert "Doe" not in response.ErrorComment
    keeper.failure = None
    assert raw_store(association, wire_bytes(image), sop_uid=image.SOPInstanceUID).Status == 0
    association.release()
    still_works(listener, keeper)
    assert "Doe" not in caplog.text
    assert image.SOPInstanceUID not in caplog.text


def damaged(name: str) -> bytes:
    image = ct_series(SMALL)[0]
    data = wire_bytes(image)
    if name == "nothing":
        return b"\0"
    if name == "text":
        return b"GET / HTTP/1.1\r\nHost: pacs\r\n\r\n"
    if name == "truncated":
        return data[:-7]
    if name == "2 GB element":
        return data + struct.pack("<HH2sHI", 0x7FE1, 0x10, b"OB", 0, 0x7FFFFFFE)
    del image[name]
    return wire_bytes(image)


BAD = ["nothing", "text", "truncated", "2 GB element", "SeriesInstanceUID", "StudyInstanceUID", "SOPInstanceUID"]


@pytest.mark.parametrize("name", BAD)
def test_bad_data_cannot_be_understood(name, listener, keeper):
    association = associated(listener)
    response = raw_store(association, damaged(name), sop_uid=Style().sop_uid(0))
    assert response.Status == 0xC000
    assert keeper.kept == []
    association.release()
    still_works(listener, keeper)


@pytest.mark.parametrize("tags", [{"PixelSpacing": None}, {"Rows": 0}, {"ImagePositionPatient": None}])
def test_absurd_geometry_is_kept(tags, listener, keeper):
    (outcome,) = sender(listener).send([item(ct_series(SMALL, Style(tags=tags))[0])])
    assert outcome.delivered
    still_works(listener, keeper)


def test_nan_spacing_is_kept(listener, keeper):
    image = ct_series(SMALL, Style(tags={"PixelSpacing": [0.75, 0.5]}))[0]
    association = associated(listener)
    data = wire_bytes(image).replace(b"0.75\\0.5", b"NaN\\NaN ")
    assert raw_store(association, data, sop_uid=image.SOPInstanceUID).Status == 0
    association.release()
    assert len(keeper.kept) == 1


def test_another_class_than_the_request_says(listener, keeper):
    image = ct_series(SMALL, Style(tags={"SOPClassUID": MR}))[0]
    association = associated(listener)
    assert raw_store(association, wire_bytes(image), sop_uid=image.SOPInstanceUID).Status == 0xA900
    assert raw_store(association, wire_bytes(ct_series(SMALL)[0]), sop_uid="1.2.3.999").Status == 0xA900
    association.release()
    assert keeper.kept == []
    still_works(listener, keeper)


@pytest.mark.parametrize("how", ["half a PDU", "between PDUs", "A-ABORT", "reset", "garbage"])
def test_a_peer_that_goes_away_in_mid_transfer(how, listener, keeper):
    image = ct_series(SMALL)[0]
    data = wire_bytes(image)
    connection = hello(listener)
    connection.sendall(a_command(image.SOPInstanceUID) + a_fragment(data[:400], last=False))
    rest = a_fragment(data[400:], last=True)
    if how == "half a PDU":
        connection.sendall(rest[: len(rest) // 2])
    elif how == "A-ABORT":
        connection.sendall(a_pdu(7, b"\0\0\0\0"))
    elif how == "garbage":
        connection.sendall(b"\xde\xad\xbe\xef" * 100)
    elif how == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    keeper.wait_closed()
    assert keeper.kept == []
    assert keeper.closed[0][1] in {Closed.ABORTED, Closed.LOST}
    assert (keeper.closed[0][1] is Closed.ABORTED) == (how == "A-ABORT")
    still_works(listener, keeper)


def test_the_handmade_store_is_sound(listener, keeper):
    image = ct_series(SMALL)[0]
    data = wire_bytes(image)
    with hello(listener) as connection:
        connection.sendall(a_command(image.SOPInstanceUID) + a_fragment(data[:400], last=False))
        connection.sendall(a_fragment(data[400:], last=True))
        wait_until(lambda: keeper.kept)
    assert keeper.kept[0][0] == data


def test_a_pdu_that_claims_four_gigabytes(listener, keeper):
    with hello(listener) as connection:
        connection.sendall(struct.pack(">BBI", 4, 0, 0xFFFFFFF0) + b"\0" * 100)
        keeper.wait_closed()
    still_works(listener, keeper)


def test_a_data_set_without_end(start, keeper):
    listener = start(limits=Limits(instance_bytes=100_000))
    image = ct_series(SMALL)[0]
    with hello(listener) as connection:
        connection.sendall(a_command(image.SOPInstanceUID))
        flood = a_fragment(b"\0" * 16000, last=False) * 2000
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            connection.sendall(flood)
    keeper.wait_closed()
    assert keeper.kept == []
    still_works(listener, keeper)


def test_a_peer_that_falls_silent_within_a_pdu(start, keeper):
    listener = start(limits=Limits(idle_seconds=0.4))
    image = ct_series(SMALL)[0]
    with hello(listener) as connection:
        connection.sendall(a_command(image.SOPInstanceUID) + a_fragment(wire_bytes(image), last=True)[:50])
        keeper.wait_closed()
    assert keeper.kept == []
    still_works(listener, keeper)


def test_a_peer_that_falls_silent_after_a_store(start, keeper):
    listener = start(limits=Limits(idle_seconds=0.4))
    association = associated(listener)
    keeper.wait_closed()
    assert not keeper.kept
    association.abort()
    still_works(listener, keeper)
