"""The listener over real sockets: what it accepts, what it answers, and that bad peers do not stop it."""

from __future__ import annotations

import logging
import socket
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from io import BytesIO

import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE

from node.dicom.contexts import ACCEPTED_CLASSES, ACCEPTED_SYNTAXES
from node.dicom.files import content_of
from node.dicom.headers import read_instance
from node.dicom.listener import AllowedPeer, Closed, Limits, Listener, ListenerConfig, StoreRequest
from node.dicom.sender import PeerAddress, Sender, SendItem
from node.domain.errors import LedgerBusy, Malformed, PeerDown, Refused, StorageFull, Unreadable
from node.domain.series import Peer
from tests.dicom_series import Style, ct_series, enhanced_ct, file_bytes, thorax, wire_bytes

SMALL = thorax(3, 4, 5)
CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
VERIFICATION = "1.2.840.10008.1.1"


@dataclass
class Keeper:
    """What a receive stage would do, in memory."""

    kept: list[tuple[bytes, StoreRequest]] = field(default_factory=list)
    opened: list[Peer] = field(default_factory=list)
    closed: list[tuple[Peer, Closed, int]] = field(default_factory=list)
    failure: Exception | None = None
    delay: float = 0.0

    def store(self, data: bytes, request: StoreRequest) -> None:
        time.sleep(self.delay)
        if self.failure is not None:
            raise self.failure
        read_instance(data, request.transfer_syntax_uid)
        self.kept.append((bytes(data), request))

    def close(self, peer: Peer, how: Closed) -> None:
        self.closed.append((peer, how, len(self.kept)))

    def wait_closed(self, count: int = 1) -> None:
        wait_until(lambda: len(self.closed) >= count)


def wait_until(holds, seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.005)


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture
def start(keeper: Keeper) -> Iterator:
    running = []

    def go(**changes: object) -> Listener:
        config = replace(ListenerConfig(ae_title="CALCIUM2R", host="127.0.0.1", port=0), **changes)
        listener = Listener(config, keeper.store, on_opened=keeper.opened.append, on_closed=keeper.close)
        listener.start()
        running.append(listener)
        return listener

    yield go
    for listener in running:
        listener.stop(grace_seconds=0.2)


@pytest.fixture
def listener(start) -> Listener:
    return start()


def sender(listener: Listener, **changes: object) -> Sender:
    return Sender("CT01", replace(PeerAddress(ae_title="CALCIUM2R", host="127.0.0.1", port=listener.port), **changes))


def item(image, **changes: object) -> SendItem:
    return replace(SendItem.of_file(file_bytes(image)), **changes)


def still_works(listener: Listener, keeper: Keeper) -> None:
    """The next peer is served as if nothing had happened."""
    keeper.failure = None
    before = len(keeper.kept)
    sender(listener).echo()
    (outcome,) = sender(listener).send([item(ct_series(SMALL, Style(name="after"))[0])])
    assert outcome.delivered
    assert len(keeper.kept) == before + 1


def associated(
    listener: Listener, classes=(CT,), syntaxes=(ExplicitVRLittleEndian,), called="CALCIUM2R"
) -> Association:
    entity = AE(ae_title="CT01")
    entity.dimse_timeout = entity.acse_timeout = entity.network_timeout = 5
    for sop_class in classes:
        entity.add_requested_context(sop_class, list(syntaxes))
    return entity.associate("127.0.0.1", listener.port, ae_title=called)


def raw_store(association: Association, data: bytes, *, sop_class: str = CT, sop_uid: str = "1.2.3") -> C_STORE:
    """C-STORE of any bytes at all; the whole response."""
    request = C_STORE()
    request.MessageID, request.Priority = 1, 0
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = sop_class, sop_uid
    request.DataSet = BytesIO(data)
    association._reactor_checkpoint.clear()
    association.dimse.send_msg(request, association.accepted_contexts[0].context_id)
    _, response = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    assert isinstance(response, C_STORE)
    return response


def test_echo(listener):
    sender(listener).echo()


def test_the_bytes_arrive_as_they_were_sent(listener, keeper):
    images = ct_series(SMALL)
    outcomes = sender(listener).send([item(image) for image in images])
    assert all(outcome.delivered and outcome.note == "" for outcome in outcomes)
    assert [data for data, _ in keeper.kept] == [wire_bytes(image) for image in images]
    request = keeper.kept[0][1]
    assert (request.sop_class_uid, request.sop_uid) == (CT, Style().sop_uid(0))
    assert request.transfer_syntax_uid == ExplicitVRLittleEndian
    assert (request.peer.ae_title, request.peer.host) == ("CT01", "127.0.0.1")


def compressed(syntax: str):
    image = ct_series(SMALL)[0]
    image.compress(
        syntax, encoding_plugin="pydicom" if syntax == RLELossless else "pyjpegls", generate_instance_uid=False
    )
    return image


@pytest.mark.parametrize(
    "image",
    [
        ct_series(SMALL, Style(syntax=ImplicitVRLittleEndian))[0],
        ct_series(SMALL, Style(syntax=DeflatedExplicitVRLittleEndian))[0],
        compressed(RLELossless),
        compressed(JPEGLSLossless),
        enhanced_ct(SMALL),
        enhanced_ct(SMALL, legacy=True),
    ],
    ids=["implicit", "deflated", "RLE", "JPEG-LS", "enhanced", "legacy enhanced"],
)
def test_every_form_is_kept_as_sent(image, listener, keeper):
    sent = item(image)
    (outcome,) = sender(listener).send([sent])
    assert outcome.require() == ""
    assert keeper.kept[0][0] == bytes(content_of(sent.content).dataset)
    assert keeper.kept[0][1].transfer_syntax_uid == sent.transfer_syntax_uid


def test_every_class_is_accepted_in_every_syntax(listener):
    for syntax in ACCEPTED_SYNTAXES:
        association = associated(listener, [sop_class.uid for sop_class in ACCEPTED_CLASSES], [syntax])
        accepted = {
            (str(context.abstract_syntax), context.transfer_syntax[0]) for context in association.accepted_contexts
        }
        association.release()
        assert accepted == {(sop_class.uid, syntax) for sop_class in ACCEPTED_CLASSES}


def test_hooks_tell_of_a_released_association_after_its_last_store(listener, keeper):
    sender(listener).send([item(image) for image in ct_series(SMALL)])
    keeper.wait_closed()
    (peer,) = keeper.opened
    assert keeper.closed == [(peer, Closed.RELEASED, 3)]
    assert {request.peer for _, request in keeper.kept} == {peer}


def test_every_association_has_its_own_id(listener, keeper):
    for _ in range(3):
        sender(listener).echo()
    keeper.wait_closed(3)
    assert len({peer.association for peer in keeper.opened}) == 3


def test_wrong_called_ae_title(listener, keeper):
    association = associated(listener, called="SOMEONE")
    assert association.is_rejected
    assert (association.acceptor.primitive.result, association.acceptor.primitive.diagnostic) == (1, 7)
    assert association.acceptor.primitive.result_source == 1
    still_works(listener, keeper)


def test_any_called_ae_title_if_so_set(start):
    listener = start(accept_any_called=True)
    association = associated(listener, called="SOMEONE")
    assert association.is_established
    association.release()


@pytest.mark.parametrize(
    ("allow", "admitted"),
    [
        (AllowedPeer(ae_title="CT01", host="127.0.0.0/8"), True),
        (AllowedPeer(ae_title="CT01"), True),
        (AllowedPeer(host="127.0.0.1"), True),
        (AllowedPeer(ae_title="CT02", host="127.0.0.0/8"), False),
        (AllowedPeer(ae_title="CT01", host="10.1.0.0/16"), False),
        (AllowedPeer(ae_title="CT01", host="::1"), False),
    ],
)
def test_allowed_peers(allow, admitted, start):
    listener = start(allow=(allow,))
    association = associated(listener)
    assert association.is_established == admitted
    if admitted:
        association.release()
    else:
        assert (association.acceptor.primitive.result, association.acceptor.primitive.diagnostic) == (1, 3)


def test_a_dual_stack_socket_shows_ipv4_as_mapped():
    allow = AllowedPeer(host="10.1.0.0/16")
    assert allow.admits("CT01", "::ffff:10.1.2.3")
    assert not allow.admits("CT01", "::ffff:10.2.2.3")


def test_a_host_name_cannot_be_allowed():
    with pytest.raises(ValueError, match=r"pacs\.hospital"):
        AllowedPeer(host="pacs.hospital")


def test_a_fault_while_judging_lets_nobody_in(start, monkeypatch):
    listener = start(allow=(AllowedPeer(ae_title="CT01"),))
    monkeypatch.setattr(AllowedPeer, "admits", lambda *_: 1 / 0)
    association = associated(listener)
    assert association.is_rejected
    assert association.acceptor.primitive.result == 2


def test_unknown_sop_class_is_one_rejected_context(listener, keeper):
    association = associated(listener, [MR, CT])
    assert [str(context.abstract_syntax) for context in association.accepted_contexts] == [CT]
    assert [context.result for context in association.rejected_contexts] == [3]
    association.release()
    still_works(listener, keeper)


def test_unknown_transfer_syntax_is_one_rejected_context(listener):
    association = associated(listener, [CT], ["1.2.840.10008.1.2.4.100"])
    assert not association.is_established
    assert [context.result for context in association.rejected_contexts] == [4]


def test_one_association_too_many_is_told_to_come_back(start, keeper):
    listener = start(limits=Limits(associations=2))
    held = [associated(listener) for _ in range(2)]
    third = associated(listener)
    assert third.is_rejected
    answer = third.acceptor.primitive
    assert (answer.result, answer.result_source, answer.diagnostic) == (2, 3, 2)
    for association in held:
        association.release()
    keeper.wait_closed(2)
    still_works(listener, keeper)


def test_silent_connections_keep_nobody_out(start, keeper):
    listener = start(limits=Limits(associations=2, strangers=12))
    silent = [socket.create_connection(("127.0.0.1", listener.port)) for _ in range(10)]
    still_works(listener, keeper)
    for connection in silent:
        connection.close()


def test_silent_connections_are_closed_in_time(start):
    listener = start(limits=Limits(acse_seconds=0.3))
    with socket.create_connection(("127.0.0.1", listener.port)) as connection:
        connection.settimeout(5)
        assert connection.recv(1) == b""


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


def a_pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBI", kind, 0, len(body)) + body


def hello(listener: Listener) -> socket.socket:
    """An association made by hand: context 1 is CT in Explicit VR Little Endian."""

    def sub(kind: int, body: bytes) -> bytes:
        return struct.pack(">BBH", kind, 0, len(body)) + body

    context = sub(0x20, b"\1\0\0\0" + sub(0x30, CT.encode()) + sub(0x40, ExplicitVRLittleEndian.encode()))
    user = sub(0x50, sub(0x51, struct.pack(">I", 16384)) + sub(0x52, b"1.2.3.4"))
    body = struct.pack(">HH16s16s32x", 1, 0, b"CALCIUM2R".ljust(16), b"CT01".ljust(16))
    body += sub(0x10, b"1.2.840.10008.3.1.1.1") + context + user
    connection = socket.create_connection(("127.0.0.1", listener.port))
    connection.settimeout(10)
    connection.sendall(a_pdu(1, body))
    assert connection.recv(1) == b"\2"
    connection.recv(4096)
    return connection


def a_command(sop_uid: str) -> bytes:
    """C-STORE-RQ as one P-DATA-TF."""

    def element(number: int, value: bytes) -> bytes:
        value += b"\0" * (len(value) % 2)
        return struct.pack("<HHI", 0, number, len(value)) + value

    said = b"".join(
        (
            element(0x0002, CT.encode()),
            element(0x0100, struct.pack("<H", 1)),
            element(0x0110, struct.pack("<H", 1)),
            element(0x0700, struct.pack("<H", 0)),
            element(0x0800, struct.pack("<H", 1)),
            element(0x1000, sop_uid.encode()),
        )
    )
    said = element(0, struct.pack("<I", len(said))) + said
    return a_pdu(4, struct.pack(">IBB", len(said) + 2, 1, 3) + said)


def a_fragment(data: bytes, *, last: bool) -> bytes:
    return a_pdu(4, struct.pack(">IBB", len(data) + 2, 1, 2 if last else 0) + data)


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


def test_an_end_that_overtakes_a_slow_store_is_told_after_it(start, keeper):
    listener = start(limits=Limits(idle_seconds=0.3))
    images = ct_series(SMALL)
    sender(listener).send([item(images[0])])
    keeper.wait_closed()
    keeper.delay = 1.0
    # each store outlasts the idle time-out, which another thread watches
    outcomes = sender(listener).send([item(image) for image in images[1:]])
    keeper.wait_closed(2)
    assert not outcomes[1].delivered
    _, how, kept_before = keeper.closed[1]
    assert how is Closed.LOST
    time.sleep(1.2)
    assert kept_before == len(keeper.kept)
    keeper.delay = 0
    still_works(listener, keeper)


def test_many_scanners_at_once(listener, keeper):
    def scan(name: str) -> None:
        images = ct_series(thorax(8, 4, 5), Style(name=name))
        assert all(outcome.delivered for outcome in sender(listener).send([item(image) for image in images]))

    threads = [threading.Thread(target=scan, args=(f"scanner {n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len({request.sop_uid for _, request in keeper.kept}) == 64
    keeper.wait_closed(8)
    assert len({peer.association for peer in keeper.opened}) == 8


def test_stop_lets_the_running_store_end(start, keeper):
    listener = start()
    keeper.delay = 0.5
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.extend(sender(listener).send([item(ct_series(SMALL)[0])])))
    thread.start()
    wait_until(lambda: keeper.opened)
    time.sleep(0.1)
    listener.stop(grace_seconds=5)
    thread.join(10)
    assert outcomes[0].delivered
    assert [how for _, how, _ in keeper.closed] == [Closed.RELEASED]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", listener.port or 1), timeout=1)


def test_stop_aborts_whoever_stays(start, keeper):
    listener = start()
    association = associated(listener)
    listener.stop(grace_seconds=0.1)
    wait_until(lambda: association.is_aborted)
    assert len(keeper.closed) == 1
    assert listener.open_associations == 0


def test_it_can_be_started_again(start, keeper):
    listener = start()
    listener.stop()
    listener.start()
    still_works(listener, keeper)


def test_no_uid_and_no_patient_in_the_log(listener, keeper, caplog):
    caplog.set_level(logging.INFO)
    images = ct_series(SMALL)
    sender(listener).send([item(image) for image in images])
    keeper.failure = ValueError("Phantom^Synthetic")
    sender(listener).send([item(images[0])])
    associated(listener, called="SOMEONE")
    hello(listener).close()
    keeper.wait_closed(3)
    assert caplog.records
    for secret in ("Phantom", "PHANTOM-1", *(image.SOPInstanceUID for image in images), Style().series_uid()):
        assert secret not in caplog.text


def test_no_connection_keeps_its_socket_when_it_is_over(start, keeper):
    listener = start(limits=Limits(idle_seconds=0.3, acse_seconds=0.3))
    for nonsense in (b"", b"GET / HTTP/1.1\r\n\r\n", b"\x01\x00\x00\x00\xff\xff\xff\xff" + bytes(64)):
        with socket.create_connection(("127.0.0.1", listener.port)) as peer:
            peer.sendall(nonsense)
    sockets = listener._connections._open
    until = time.monotonic() + 5
    while sockets and time.monotonic() < until:
        time.sleep(0.05)
    assert not sockets
    still_works(listener, keeper)
