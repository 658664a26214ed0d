"""TLS itself: which versions, which files, and whose certificate a setting means."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from pathlib import Path

import pytest

from node.dicom.tls import (
    OwnCertificate,
    Presented,
    client_context,
    fingerprint_in,
    presented_by,
    server_context,
    shake_hands,
    why,
)
from tests.authority import Authority, fingerprint, needs_openssl

pytestmark = needs_openssl


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def own(hospital: Authority) -> OwnCertificate:
    return hospital.issue("node")


def meet(server: ssl.SSLContext, client: ssl.SSLContext, name: str = "127.0.0.1") -> tuple[str, str, Presented | None]:
    """What either side says of a handshake, "" if it is content; and whom the server has seen."""
    one, other = socket.socketpair()
    said = {}

    def accept() -> None:
        with server.wrap_socket(one, server_side=True, do_handshake_on_connect=False) as connection:
            try:
                shake_hands(connection, 5)
                connection.send(b"x")
                said["server"], said["seen"] = "", presented_by(connection)
            except OSError as error:
                said["server"], said["seen"] = why(error), None

    thread = threading.Thread(target=accept)
    thread.start()
    with client.wrap_socket(other, server_hostname=name, do_handshake_on_connect=False) as connection:
        try:
            shake_hands(connection, 5)
            connection.recv(1)
            said["client"] = ""
        except OSError as error:
            said["client"] = why(error)
    thread.join(10)
    return said["server"], said["client"], said["seen"]


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_good_versions_are_spoken_with_forward_secrecy(hospital: Authority, own: OwnCertificate, version):
    client = client_context(hospital.certificate)
    client.maximum_version = client.minimum_version = version
    assert meet(server_context(own), client) == ("", "", None)


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1")
def test_old_versions_and_weak_ciphers_are_not(hospital: Authority, own: OwnCertificate):
    old = client_context(hospital.certificate)
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    weak = client_context(hospital.certificate)
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    weak.set_ciphers("ECDHE-ECDSA-AES128-SHA")
    for client in (old, weak):
        said, _, _ = meet(server_context(own), client)
        assert "this node takes TLS 1.2 and 1.3" in said


def test_ciphers_are_all_authenticated_and_forward_secret(own: OwnCertificate):
    for context in (server_context(own), client_context()):
        ciphers = context.get_ciphers()
        assert len(ciphers) > 5
        for cipher in ciphers:
            assert cipher["aead"], cipher
            assert cipher["kea"] in ("kx-ecdhe", "kx-any"), cipher
            assert cipher["auth"] not in ("auth-null", "auth-psk"), cipher


def test_each_wrong_certificate_is_told_for_what_it_is(hospital: Authority, own: OwnCertificate, tmp_path: Path):
    trusting = client_context(hospital.certificate)
    stranger = Authority(tmp_path, "elsewhere")
    for shown, name, words in (
        (hospital.issue("expired", days=-1), "127.0.0.1", "has expired"),
        (own, "other.example", "for another host"),
        (own, "10.1.2.3", "for another host"),
        (stranger.issue("node"), "127.0.0.1", "authority that is not trusted"),
    ):
        _, said, _ = meet(server_context(shown), trusting, name)
        assert words in said


def test_a_client_is_asked_for_its_certificate_and_turned_away_without(
    hospital: Authority, own: OwnCertificate, tmp_path: Path
):
    server = server_context(own, hospital.certificate)
    said, told, _ = meet(server, client_context(hospital.certificate))
    assert "showed no certificate" in said
    assert told
    said, _, _ = meet(server, client_context(hospital.certificate, hospital.issue("late", days=-1)))
    assert "has expired" in said
    said, _, _ = meet(server, client_context(hospital.certificate, Authority(tmp_path, "elsewhere").issue("ct01")))
    assert "not trusted" in said
    optional = server_context(own, hospital.certificate, required=False)
    assert meet(optional, client_context(hospital.certificate)) == ("", "", None)


def test_a_certificate_is_known_by_its_names_and_its_fingerprint(hospital: Authority, own: OwnCertificate):
    shown = hospital.issue("CT01", names="DNS:ct01.example.org,IP:127.0.0.1")
    _, _, seen = meet(server_context(own, hospital.certificate), client_context(hospital.certificate, shown))
    assert seen is not None
    printed = fingerprint(shown.certificate)
    for wanted in ("ct01", "CT01.example.org", "127.0.0.1", printed, printed.lower(), f"sha256:{printed}"):
        assert seen.is_bound_to(wanted), wanted
    for wanted in ("ct0", "CT02", "example.org", "*", "", fingerprint(own.certificate), printed[:-3]):
        assert not seen.is_bound_to(wanted), wanted


@pytest.mark.parametrize("text", ["ab" * 32, "AB:" * 31 + "AB", "sha256:" + "ab" * 32, " SHA256:" + "AB" * 32 + "\n"])
def test_a_fingerprint_is_told_from_a_name(text: str):
    assert fingerprint_in(text) == "ab" * 32
    assert fingerprint_in(text.replace("b", "x").replace("B", "X")) == ""


def test_without_tls_or_a_certificate_nobody_is_presented():
    one, other = socket.socketpair()
    with one, other:
        assert presented_by(one) is None
    assert presented_by(None) is None


def test_files_that_cannot_be_used_are_named(hospital: Authority, own: OwnCertificate, tmp_path: Path):
    empty = tmp_path / "empty.pem"
    empty.touch()
    sealed = hospital.issue("sealed", password="open sesame")  # noqa: S106 - of a made-up key
    good = server_context(sealed)
    assert good.minimum_version == ssl.TLSVersion.TLSv1_2
    for certificate, key, password, words in (
        (tmp_path / "gone.pem", own.key, None, r"cannot read .*gone\.pem: No such file"),
        (own.certificate, empty, None, r"empty\.pem cannot be used"),
        (own.certificate, sealed.key, "open sesame", "is not the key of"),
        (sealed.certificate, sealed.key, None, "password is missing or wrong"),
        (sealed.certificate, sealed.key, "wrong", "password is missing or wrong"),
    ):
        with pytest.raises(ValueError, match=words) as caught:
            server_context(OwnCertificate(certificate=certificate, key=key, password=password))
        assert "sesame" not in str(caught.value)
    with pytest.raises(ValueError, match=r"empty\.pem holds no certificate"):
        client_context(empty)
    assert "sesame" not in repr(sealed)


@pytest.mark.parametrize("drip", [b"", b"\x16\x03\x01\x02\x00\x01"])
def test_a_handshake_that_stalls_or_drips_ends_in_time(own: OwnCertificate, drip: bytes):
    one, other = socket.socketpair()
    began = time.monotonic()
    with other, server_context(own).wrap_socket(one, server_side=True, do_handshake_on_connect=False) as connection:
        stop = threading.Event()

        def trickle() -> None:
            for byte in drip:
                other.send(bytes([byte]))
                if stop.wait(0.2):
                    return

        thread = threading.Thread(target=trickle)
        thread.start()
        with pytest.raises(TimeoutError) as caught:
            shake_hands(connection, 0.5)
        stop.set()
        thread.join()
    assert time.monotonic() - began < 5
    assert why(caught.value) == "no TLS handshake in time"


def test_a_peer_without_tls_is_told_apart(own: OwnCertificate):
    one, other = socket.socketpair()
    with other, server_context(own).wrap_socket(one, server_side=True, do_handshake_on_connect=False) as connection:
        other.send(b"\x01\x00\x00\x00\x00\xcc" + bytes(204))  # how an A-ASSOCIATE-RQ begins
        with pytest.raises(ssl.SSLError) as caught:
            shake_hands(connection, 5)
    assert "does not speak TLS" in why(caught.value)
