"""The listener over real sockets: what it accepts, what it answers, and when it ends."""

from __future__ import annotations

import logging
import socket
import threading
import time

import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGLSLossless,
    RLELossless,
)

from node.dicom.contexts import ACCEPTED_CLASSES, ACCEPTED_SYNTAXES
from node.dicom.files import content_of
from node.dicom.listener import AllowedPeer, Closed, Limits
from tests.association_wire import CT
from tests.dicom_series import Style, ct_series, enhanced_ct, thorax, wire_bytes
from tests.node.dicom.listening import MR, SMALL, associated, hello, item, sender, still_works, wait_until


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
