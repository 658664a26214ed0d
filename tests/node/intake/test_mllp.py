import logging
import socket
import struct
import threading
import time
from contextlib import contextmanager, suppress

import pytest

from node.domain.errors import Malformed, Refused, StorageFull
from node.intake.hl7_message import Problem, Unsupported, parse
from node.intake.mllp import AckCode, MllpConfig, MllpLimits, MllpListener, Reply

MESSAGE = b"MSH|^~\\&|RIS|HOSP|NODE|HERE|20260304||ORU^R01|%d|P|2.5.1\rPID|1||P1\r"
QUICK = MllpLimits(message_seconds=0.5, idle_seconds=0.6, message_bytes=20_000, connections=3, send_seconds=1)


@contextmanager
def listening(handler=lambda *_: Reply(), limits=QUICK, allow=()):
    listener = MllpListener(MllpConfig(host="127.0.0.1", port=0, limits=limits, allow=allow), handler)
    listener.start()
    try:
        yield listener
    finally:
        listener.stop()


@contextmanager
def connected(listener):
    with socket.create_connection(("127.0.0.1", listener.port), timeout=5) as link:
        yield link


def framed(message: bytes) -> bytes:
    return b"\x0b" + message + b"\x1c\r"


def answer(link) -> tuple[str, str, str]:
    """(code, control id, text) of the next acknowledgement."""
    got = b""
    while not got.endswith(b"\x1c\r"):
        more = link.recv(1)
        assert more, f"closed after {got!r}"
        got += more
    msa = parse(got[1:-2]).segments[1]
    return msa.text(1), msa.text(2), msa.text(3)


def closed(link) -> bool:
    try:
        return link.recv(1) == b""
    except ConnectionResetError:
        return True


def test_several_messages_on_one_connection_in_any_pieces():
    kept = []
    with (
        listening(lambda data, peer: kept.append((data, peer.host)) or Reply()) as listener,
        connected(listener) as link,
    ):
        link.sendall(framed(MESSAGE % 1) + b"\r\n" + framed(MESSAGE % 2))
        assert [answer(link), answer(link)] == [("AA", "1", ""), ("AA", "2", "")]
        for byte in framed(MESSAGE % 3):
            link.sendall(bytes([byte]))
        assert answer(link)[:2] == ("AA", "3")
        link.sendall(framed(MESSAGE % 4)[:-1])  # no CR until the answer is there
        assert answer(link)[:2] == ("AA", "4")
        link.sendall(b"\r" + framed(MESSAGE % 5))
        assert answer(link)[:2] == ("AA", "5")
    assert kept == [(MESSAGE % number, "127.0.0.1") for number in range(1, 6)]


@pytest.mark.parametrize(
    ("raised", "code", "words"),
    [
        (Malformed("LAD: '12O' is no number"), "AE", "LAD: '12O' is no number"),
        (Refused("EBCDIC is not read"), "AE", "EBCDIC is not read"),
        (Unsupported("ADT is not read", Problem.TYPE), "AR", "ADT is not read"),
        (StorageFull("no room"), "AR", "try again later: no room"),
        (ValueError("secret"), "AR", "try again later: a fault in this software"),
    ],
)
def test_what_the_handler_raises_is_answered(raised, code, words, caplog):
    def handler(*_):
        raise raised

    with listening(handler) as listener, connected(listener) as link:
        link.sendall(framed(MESSAGE % 7))
        assert answer(link) == (code, "7", words)
        link.sendall(framed(MESSAGE % 8))
        assert answer(link)[1] == "8"
    assert "12O" not in caplog.text
    assert "secret" not in caplog.text


def test_the_handler_may_refuse_by_its_reply():
    with listening(lambda *_: Reply(AckCode.ERROR, "no")) as listener, connected(listener) as link:
        link.sendall(framed(MESSAGE % 1))
        assert answer(link) == ("AE", "1", "no")


def test_no_answer_before_the_handler_has_returned():
    kept, go = threading.Event(), threading.Event()

    def handler(*_):
        kept.set()
        assert go.wait(5)
        return Reply()

    with listening(handler) as listener, connected(listener) as link:
        link.sendall(framed(MESSAGE % 1))
        assert kept.wait(5)
        link.settimeout(0.1)
        with pytest.raises(TimeoutError):
            link.recv(1)
        link.settimeout(5)
        go.set()
        assert answer(link)[0] == "AA"


def test_ten_megabytes_are_answered_and_closed_and_never_handed_on():
    kept = []
    with listening(lambda *args: kept.append(args) or Reply()) as listener, connected(listener) as link:
        link.sendall(b"\x0b" + MESSAGE % 1 + b"A" * 10_000_000 + b"\x1c\r")
        assert answer(link) == ("AE", "1", "longer than 20000 bytes")  # sent again, it would be as long
        assert closed(link)
    assert not kept


def test_a_message_of_just_the_longest_size_is_taken():
    exact = MESSAGE % 1 + b"A" * (20_000 - len(MESSAGE % 1))
    with listening() as listener, connected(listener) as link:
        link.sendall(framed(exact))
        assert answer(link)[0] == "AA"


def test_a_slow_sender_is_told_and_closed():
    with listening() as listener, connected(listener) as link:
        link.sendall(b"\x0b" + MESSAGE % 9)
        assert answer(link) == ("AR", "9", "the message was not complete within 0.5 s")
        assert closed(link)


def test_a_trickle_does_not_keep_a_message_open():
    with listening() as listener, connected(listener) as link:
        started = time.monotonic()
        link.sendall(b"\x0b")
        link.settimeout(0)
        heard = b""
        while not heard and time.monotonic() < started + 5:
            link.send(b"A")
            time.sleep(0.02)
            with suppress(BlockingIOError):
                heard = link.recv(4096)
        assert b"not complete within" in heard


def test_silence_is_closed():
    with listening() as listener, connected(listener) as link:
        assert closed(link)


@pytest.mark.parametrize("junk", [b"GET / HTTP/1.1\r\n\r\n", b"MSH|^~\\&|no frame\r", b"\x1c\r", bytes(100)])
def test_what_is_not_framed_is_closed_without_a_word(junk):
    with listening() as listener, connected(listener) as link:
        link.sendall(junk)
        assert closed(link)


def test_a_frame_of_nothing_is_handed_on_and_answered():
    with listening() as listener, connected(listener) as link:
        link.sendall(framed(b""))
        assert answer(link)[0] == "AA"


def test_a_message_begun_anew_replaces_the_broken_one():
    kept = []
    with listening(lambda data, _: kept.append(data) or Reply()) as listener, connected(listener) as link:
        link.sendall(b"\x0bMSH|broken" + framed(MESSAGE % 2))
        assert answer(link)[:2] == ("AA", "2")
    assert kept == [MESSAGE % 2]


def test_a_sender_that_hangs_up_in_the_middle_leaves_nothing():
    kept = []
    with listening(lambda *args: kept.append(args) or Reply()) as listener:
        with connected(listener) as link:
            link.sendall(b"\x0b" + MESSAGE % 1)
        with connected(listener) as link:
            link.sendall(b"\x0b" + MESSAGE % 1)
            link.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # reset
        gone(listener)
    assert not kept


def gone(listener):
    until = time.monotonic() + 5
    while listener.open_connections and time.monotonic() < until:
        time.sleep(0.01)
    assert not listener.open_connections


def test_strangers_and_too_many_are_closed():
    with listening(allow=("10.0.0.0/8", "::1")) as listener, connected(listener) as link:
        assert closed(link)
    slow = MllpLimits(connections=2)
    with listening(limits=slow, allow=("127.0.0.0/8",)) as listener:
        with connected(listener) as one, connected(listener) as other:
            for link in (one, other):
                link.sendall(framed(MESSAGE % 1))
                assert answer(link)[0] == "AA"
            with connected(listener) as third:
                assert closed(third)
        gone(listener)
        with connected(listener) as link:
            link.sendall(framed(MESSAGE % 1))
            assert answer(link)[0] == "AA"


def test_an_allowed_address_must_be_one():
    with pytest.raises(ValueError, match="network"):
        MllpConfig(allow=("ris.hospital",))
    assert MllpConfig(allow=("10.0.0.0/8",)).admits("::ffff:10.1.2.3")
    assert not MllpConfig(allow=("10.0.0.0/8",)).admits("fe80::1%eth0")


def test_many_senders_at_once_lose_nothing():
    kept, lock = [], threading.Lock()

    def handler(data, _):
        with lock:
            kept.append(data)
        return Reply()

    def send(first):
        with connected(listener) as link:
            for number in range(first, first + 20):
                link.sendall(framed(MESSAGE % number))
                assert answer(link)[:2] == ("AA", str(number))

    with listening(handler, MllpLimits()) as listener:
        threads = [threading.Thread(target=send, args=(first,)) for first in range(0, 160, 20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
    assert sorted(kept) == sorted(MESSAGE % number for number in range(160))


def test_it_stops_within_three_seconds_and_answers_what_is_under_way():
    begun = threading.Event()

    def handler(*_):
        begun.set()
        time.sleep(0.4)
        return Reply()

    listener = MllpListener(MllpConfig(host="127.0.0.1", port=0), handler)
    listener.start()
    with connected(listener) as idle, connected(listener) as busy:
        busy.sendall(framed(MESSAGE % 1))
        assert begun.wait(5)
        started = time.monotonic()
        listener.stop()
        assert time.monotonic() - started < 3
        assert answer(busy)[0] == "AA"
        assert closed(idle)
    with pytest.raises(OSError):  # noqa: PT011 - refused or reset
        socket.create_connection(("127.0.0.1", listener.port or 1), timeout=1)
    listener.stop()


def test_a_handler_that_hangs_does_not_hold_the_stop(caplog):
    caplog.set_level(logging.CRITICAL)
    go = threading.Event()
    listener = MllpListener(MllpConfig(host="127.0.0.1", port=0), lambda *_: go.wait(20) and Reply())
    listener.start()
    with connected(listener) as link:
        link.sendall(framed(MESSAGE % 1))
        time.sleep(0.1)
        started = time.monotonic()
        listener.stop()
        assert time.monotonic() - started < 3
    go.set()
    gone(listener)


def test_other_addresses_are_let_in_from_now_on_and_open_connections_go_on():
    with listening() as listener, connected(listener) as link:
        link.sendall(framed(MESSAGE % 1))
        assert answer(link)[:2] == ("AA", "1")
        listener.allow(("10.0.0.0/8",))
        with connected(listener) as stranger:
            assert closed(stranger)
        link.sendall(framed(MESSAGE % 2))
        assert answer(link)[:2] == ("AA", "2")
        with pytest.raises(ValueError, match="ris"):
            listener.allow(("ris.hospital",))
        listener.allow(("127.0.0.1",))
        with connected(listener) as again:
            again.sendall(framed(MESSAGE % 3))
            assert answer(again)[:2] == ("AA", "3")
