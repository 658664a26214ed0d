"""DICOM over TLS between real sockets: who gets in, who is sent to, and what is said to everybody else."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pynetdicom import build_context

from node.dicom.contexts import VERIFICATION
from node.dicom.listener import AllowedPeer, Limits, Listener, ListenerConfig, StoreRequest
from node.dicom.sender import PeerAddress, PeerTls, Sender, SendItem, Timeouts
from node.dicom.tls import OwnCertificate, client_context, server_context
from node.domain.errors import PeerDown, Refused
from tests.association_wire import a_request
from tests.authority import Authority, fingerprint, needs_openssl
from tests.dicom_series import Style, ct_series, file_bytes, thorax
from tests.node.dicom.listening import listeners

pytestmark = needs_openssl
SMALL = thorax(3, 4, 5)
QUICK = Timeouts(connect=3, association=3, response=3)
Start = Callable[..., Listener]


@dataclass(frozen=True)
class Hospital:
    """One authority, and the certificates it gave out."""

    authority: Authority
    node: OwnCertificate
    scanner: OwnCertificate
    other: OwnCertificate


@dataclass
class Kept:
    items: list[tuple[bytes, StoreRequest]] = field(default_factory=list)

    def store(self, data: bytes, request: StoreRequest) -> None:
        self.items.append((bytes(data), request))


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    made = Authority(tmp_path_factory.mktemp("authority"))
    return Hospital(made, made.issue("node"), made.issue("CT01"), made.issue("CT02"))


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def start(hospital: Hospital, kept: Kept) -> Iterator[Start]:
    with listeners() as begin:

        def go(*, own: OwnCertificate | None = None, required: bool = True, **changes: object) -> Listener:
            context = server_context(own or hospital.node, hospital.authority.certificate, required=required)
            given = {"ae_title": "CALCIUM2R", "host": "127.0.0.1", "port": 0, "tls": (0, context)} | changes
            return begin(Listener(ListenerConfig(**given), kept.store))

        yield go


def sender(hospital: Hospital, port: int | None, *, own: OwnCertificate | None, name: str = "127.0.0.1") -> Sender:
    tls = PeerTls(context=client_context(hospital.authority.certificate, own), name=name)
    return Sender("CT01", PeerAddress(ae_title="CALCIUM2R", host="127.0.0.1", port=port or 0, tls=tls), QUICK)


def plain(listener: Listener) -> Sender:
    return Sender("CT01", PeerAddress(ae_title="CALCIUM2R", host="127.0.0.1", port=listener.port), QUICK)


def items(count: int = 3) -> list[SendItem]:
    return [SendItem.of_file(file_bytes(image)) for image in ct_series(SMALL, Style())[:count]]


def test_objects_arrive_over_tls_as_they_were_stored(hospital: Hospital, start: Start, kept: Kept):
    listener = start()
    sent = items()
    ends = sender(hospital, listener.tls_port, own=hospital.scanner).send(sent)
    assert [one.error for one in ends] == [None] * 3
    assert [data for data, _ in kept.items] == [one.dataset_bytes() for one in sent]


def test_a_large_object_goes_through_in_many_records(hospital: Hospital, start: Start, kept: Kept):
    listener = start()
    (item,) = [SendItem.of_file(file_bytes(ct_series(thorax(3, 700, 700), Style())[0]))]
    (end,) = sender(hospital, listener.tls_port, own=hospital.scanner).send([item])
    assert end.delivered
    assert kept.items[0][0] == item.dataset_bytes()
    assert len(kept.items[0][0]) > 900_000


def test_both_ports_are_open_or_either(hospital: Hospital, start: Start):
    both = start()
    assert both.port != both.tls_port
    plain(both).echo()
    assert sender(hospital, both.tls_port, own=hospital.scanner).echo() is not None
    alone = start(port=None)
    assert alone.port == alone.tls_port
    with pytest.raises(PeerDown):
        plain(alone).echo()
    without = start(tls=None)
    assert without.tls_port is None
    plain(without).echo()


def test_a_port_that_is_taken_leaves_the_other_one_closed(start: Start, hospital: Hospital):
    with socket.socket() as holder, socket.socket() as probe:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        probe.bind(("127.0.0.1", 0))
        free = probe.getsockname()[1]
        probe.close()
        context = server_context(hospital.node)
        with pytest.raises(OSError, match="in use"):
            start(port=free, tls=(holder.getsockname()[1], context))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", free), 2)


@pytest.mark.parametrize("bound_to", ["name", "fingerprint"])
def test_an_allowed_peer_is_its_title_and_its_certificate(hospital: Hospital, start: Start, bound_to: str):
    wanted = "ct01" if bound_to == "name" else fingerprint(hospital.scanner.certificate)
    listener = start(allow=(AllowedPeer(ae_title="CT01", host="127.0.0.0/8", certificate=wanted),))
    sender(hospital, listener.tls_port, own=hospital.scanner).echo()
    with pytest.raises(Refused, match="rejected"):
        sender(hospital, listener.tls_port, own=hospital.other).echo()
    with pytest.raises(Refused, match="rejected"):
        plain(listener).echo()


def test_without_a_certificate_a_bound_peer_is_not_let_in_though_none_is_required(hospital: Hospital, start: Start):
    listener = start(required=False, allow=(AllowedPeer(ae_title="CT01", certificate="CT01"),))
    with pytest.raises(Refused):
        sender(hospital, listener.tls_port, own=None).echo()
    sender(hospital, listener.tls_port, own=hospital.scanner).echo()


def test_a_client_without_a_good_certificate_is_told_and_logged(
    hospital: Hospital, start: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.WARNING)
    listener = start()
    stranger = Authority(tmp_path, "elsewhere").issue("CT01")
    for own, words in (
        (None, "showed no certificate"),
        (stranger, "authority that is not trusted here"),
        (hospital.authority.issue("late", days=-1), "has expired"),
    ):
        caplog.clear()
        with pytest.raises(PeerDown, match=r"our certificate|after the TLS handshake"):
            sender(hospital, listener.tls_port, own=own).echo()
        assert "no TLS with 127.0.0.1: the peer" in caplog.text
        assert words in caplog.text
    sender(hospital, listener.tls_port, own=hospital.scanner).echo()


def test_a_peer_with_a_wrong_certificate_gets_nothing_and_the_fault_is_named(
    hospital: Hospital, start: Start, kept: Kept, tmp_path: Path
):
    stranger = Authority(tmp_path, "elsewhere").issue("node")
    for shown, name, words in (
        (hospital.authority.issue("gone", days=-1), "127.0.0.1", "has expired"),
        (stranger, "127.0.0.1", "authority that is not trusted here"),
        (hospital.node, "pacs.example.org", "is for another host"),
    ):
        listener = start(own=shown)
        ends = sender(hospital, listener.tls_port, own=hospital.scanner, name=name).send(items())
        for end in ends:
            assert isinstance(end.error, PeerDown)
            assert words in str(end.error)
    assert not kept.items


def test_tls_and_no_tls_on_the_wrong_port_are_told(hospital: Hospital, start: Start):
    listener = start()
    with pytest.raises(PeerDown, match=r"does not speak TLS|hung up|ended during TLS"):
        sender(hospital, listener.port, own=hospital.scanner).echo()
    wrong = PeerAddress(ae_title="CALCIUM2R", host="127.0.0.1", port=listener.tls_port or 0)
    with pytest.raises(PeerDown):
        Sender("CT01", wrong, QUICK).echo()


def test_a_peer_that_never_shakes_hands_is_given_up(hospital: Hospital):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        began = time.monotonic()
        with pytest.raises(PeerDown, match="no TLS handshake in time"):
            sender(hospital, silent.getsockname()[1], own=None).echo()
        assert time.monotonic() - began < 10


def test_handshakes_that_stall_hold_up_nobody_and_are_cut(hospital: Hospital, start: Start):
    listener = start(limits=Limits(acse_seconds=2.0))
    stalled = [socket.create_connection(("127.0.0.1", listener.tls_port or 0), 10) for _ in range(30)]
    try:
        for one in stalled[:10]:
            one.send(b"\x16\x03\x01\x02\x00\x01")
        sender(hospital, listener.tls_port, own=hospital.scanner).echo()
        until = time.monotonic() + 15
        for one in stalled:
            one.settimeout(max(until - time.monotonic(), 0.1))
            with contextlib.suppress(ConnectionResetError):
                assert b"" in (one.recv(100), one.recv(100)), "an alert at most, then the end"
        sender(hospital, listener.tls_port, own=hospital.scanner).echo()
    finally:
        for one in stalled:
            one.close()


def hello(hospital: Hospital) -> bytes:
    """The first message of a handshake."""
    outgoing = ssl.MemoryBIO()
    tls = client_context(hospital.authority.certificate, hospital.scanner, check_name=False)
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.wrap_bio(ssl.MemoryBIO(), outgoing).do_handshake()
    return outgoing.read()


def knock(listener: Listener, source: str = "127.0.0.1") -> socket.socket:
    return socket.create_connection(("127.0.0.1", listener.tls_port or 0), 10, source_address=(source, 0))


def threads(name: str) -> int:
    return sum(thread.name.startswith(name) for thread in threading.enumerate())


def test_idle_half_open_and_silent_peers_do_not_keep_an_echo_over_tls_waiting(hospital: Hospital, start: Start):
    listener = start()
    tls = client_context(hospital.authority.certificate, hospital.scanner)
    with contextlib.ExitStack() as held:
        idle = [held.enter_context(knock(listener)) for _ in range(60)]
        for one in idle[:10]:
            one.send(hello(hospital)[:100])
        for _ in range(20):  # who begins a handshake and does not end it
            held.enter_context(knock(listener)).sendall(hello(hospital))
        for _ in range(5):  # who ends it, and then says nothing
            held.enter_context(tls.wrap_socket(knock(listener), server_hostname="127.0.0.1"))
        assert min(timed_echo(hospital, listener) for _ in range(3)) < 1
        until = time.monotonic() + 10
        while threads("AcceptorThread"):  # who has not asked costs none of the library's threads, which poll
            assert time.monotonic() < until
            time.sleep(0.01)
        assert threads("dicom-tls") <= 25  # nor any thread before the handshake has begun


def timed_echo(hospital: Hospital, listener: Listener) -> float:
    began = time.monotonic()
    sender(hospital, listener.tls_port, own=hospital.scanner).echo()
    return time.monotonic() - began


@pytest.mark.parametrize("said", [False, True], ids=["idle", "half-open"])
def test_one_address_cannot_take_the_room_of_tls_from_others(hospital: Hospital, start: Start, *, said: bool):
    listener = start(limits=Limits(strangers=4))
    first = hello(hospital) if said else b""
    with contextlib.ExitStack() as held:
        patient = held.enter_context(knock(listener, "127.0.0.2"))
        patient.sendall(first)
        crowd = [held.enter_context(knock(listener)) for _ in range(12)]
        for one in crowd:
            with contextlib.suppress(OSError):  # its turn to go may have come
                one.sendall(first)
        crowd[0].settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            while crowd[0].recv(1 << 14):  # its end, after what the handshake may have said
                continue
        sender(hospital, listener.tls_port, own=hospital.scanner).echo()
        patient.settimeout(0.2)
        with contextlib.suppress(TimeoutError):
            while True:
                assert patient.recv(1 << 14), "still open"


def test_who_shakes_hands_and_then_says_nothing_is_hung_up_on(hospital: Hospital, start: Start):
    listener = start(limits=Limits(acse_seconds=0.5))
    tls = client_context(hospital.authority.certificate, hospital.scanner)
    with tls.wrap_socket(knock(listener), server_hostname="127.0.0.1") as silent:
        silent.settimeout(5)
        with contextlib.suppress(ssl.SSLError, ConnectionResetError):
            assert silent.recv(1) == b""


def test_what_is_not_tls_is_named_and_aborted(start: Start, caplog: pytest.LogCaptureFixture):
    listener = start()
    with knock(listener) as peer:
        peer.sendall(a_request())
        peer.settimeout(5)
        assert peer.recv(100).hex() == "07000000000400000202"
    assert "no TLS with 127.0.0.1: the peer does not speak TLS on this port" in caplog.text


def test_a_stop_does_not_wait_for_handshakes(start: Start):
    listener = start()
    with socket.create_connection(("127.0.0.1", listener.tls_port or 0), 10) as stalled:
        time.sleep(0.2)
        began = time.monotonic()
        listener.stop(grace_seconds=0.2)
        assert time.monotonic() - began < 5
        stalled.settimeout(5)
        assert stalled.recv(1) == b""


@pytest.mark.peer
@pytest.mark.parametrize("profile", ["+py", "+px"])
def test_dcmtk_sends_over_tls(hospital: Hospital, start: Start, kept: Kept, tmp_path: Path, profile: str):
    program = shutil.which("storescu")
    if program is None:
        pytest.skip("dcmtk is not installed")
    told = subprocess.run([program, "--help"], capture_output=True, check=False, text=True, timeout=60).stdout
    if "+tls" not in told or profile not in told:
        pytest.skip("this dcmtk has no TLS, or not this profile")
    listener = start(allow=(AllowedPeer(ae_title="CT01", certificate="CT01"),))
    file = tmp_path / "slice.dcm"
    file.write_bytes(file_bytes(ct_series(SMALL, Style())[0]))

    def send(own: OwnCertificate) -> int:
        command = [
            program,
            "-v",
            "+tls",
            own.key,
            own.certificate,
            "+cf",
            hospital.authority.certificate,
            profile,
            "-rc",
        ]
        command += ["-aet", "CT01", "-aec", "CALCIUM2R", "127.0.0.1", str(listener.tls_port), file]
        done = subprocess.run(command, capture_output=True, check=False, text=True, timeout=60)
        print(done.stdout, done.stderr)  # noqa: T201 - shown when the test fails
        return done.returncode

    assert send(hospital.scanner) == 0
    assert len(kept.items) == 1
    assert send(hospital.other) != 0
    assert len(kept.items) == 1


def test_a_renewed_certificate_is_shown_from_the_next_handshake_on(hospital: Hospital, start: Start):
    def shown(port: int) -> str:
        context = client_context(hospital.authority.certificate, hospital.scanner)
        with (
            socket.create_connection(("127.0.0.1", port), timeout=3) as raw,
            context.wrap_socket(raw, server_hostname="127.0.0.1") as secured,
        ):
            return hashlib.sha256(secured.getpeercert(binary_form=True) or b"").hexdigest()

    listener = start(port=None)
    before = shown(listener.port)
    renewed = server_context(hospital.authority.issue("renewed"), hospital.authority.certificate)
    asks = sender(hospital, listener.port, own=hospital.scanner)
    with asks._caller.association([build_context(VERIFICATION)]) as association:
        listener.change(ListenerConfig(ae_title="CALCIUM2R", port=None, tls=(0, renewed)))
        assert association.send_c_echo().Status == 0  # whoever is in stays in
    assert shown(listener.port) != before
    asks.echo()
