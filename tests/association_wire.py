"""An association's bytes made by hand, for peers that a library would not be."""

from __future__ import annotations

import socket
import struct
import time

from pydicom.uid import ExplicitVRLittleEndian

CT = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"


def a_pdu(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBI", kind, 0, len(body)) + body


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def a_request(calling: str = "CT01", called: str = "CALCIUM2R", sop_class: str = CT) -> bytes:
    """A-ASSOCIATE-RQ: context 1 is the class in Explicit VR Little Endian."""
    context = _item(0x20, b"\1\0\0\0" + _item(0x30, sop_class.encode()) + _item(0x40, ExplicitVRLittleEndian.encode()))
    user = _item(0x50, _item(0x51, struct.pack(">I", 16384)) + _item(0x52, b"1.2.3.4"))
    body = struct.pack(">HH16s16s32x", 1, 0, called.encode().ljust(16), calling.encode().ljust(16))
    return a_pdu(1, body + _item(0x10, b"1.2.840.10008.3.1.1.1") + context + user)


def a_command(sop_uid: str, sop_class: str = CT, field: int = 0x0001, *, data_set: bool = True) -> bytes:
    """C-STORE-RQ (or another command) as one P-DATA-TF."""

    def element(number: int, value: bytes) -> bytes:
        value += b"\0" * (len(value) % 2)
        return struct.pack("<HHI", 0, number, len(value)) + value

    said = b"".join(
        (
            element(0x0002, sop_class.encode()),
            element(0x0100, struct.pack("<H", field)),
            element(0x0110, struct.pack("<H", 1)),
            element(0x0700, struct.pack("<H", 0)),
            element(0x0800, struct.pack("<H", 1 if data_set else 0x0101)),
            element(0x1000, sop_uid.encode()),
        )
    )
    return a_fragment(element(0, struct.pack("<I", len(said))) + said, last=True, command=True)


def a_fragment(data: bytes, *, last: bool, command: bool = False) -> bytes:
    """A piece of a message as one P-DATA-TF."""
    return a_pdu(4, struct.pack(">IBB", len(data) + 2, 1, 2 * last + command) + data)


def connect(port: int, source: str = "127.0.0.1") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source, 0))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def ask(port: int, source: str = "127.0.0.1", sop_class: str = CT) -> tuple[socket.socket, bytes]:
    """A connection that has asked for an association, and the PDU it was answered."""
    connection = connect(port, source)
    connection.sendall(a_request(sop_class=sop_class))
    return connection, one_pdu(connection)


def one_pdu(connection: socket.socket) -> bytes:
    """The next PDU; b"" if the peer hung up."""
    head = _exactly(connection, 6)
    return head + _exactly(connection, struct.unpack(">BBI", head)[2]) if len(head) == 6 else b""


def _exactly(connection: socket.socket, count: int) -> bytes:
    said = b""
    while len(said) < count:
        more = connection.recv(count - len(said))
        if not more:
            return b""
        said += more
    return said


def echo_seconds(port: int, source: str = "127.0.0.2") -> float:
    """How long a whole C-ECHO takes: connection, association, answer, release."""
    started = time.monotonic()
    connection, answer = ask(port, source, VERIFICATION)
    with connection:
        assert answer[:1] == b"\2", answer[:10]
        connection.sendall(a_command("", VERIFICATION, 0x0030, data_set=False))
        assert one_pdu(connection)[:1] == b"\4"
        connection.sendall(a_pdu(5, bytes(4)))
        assert one_pdu(connection)[:1] == b"\6"
    return time.monotonic() - started


def echoed(port: int, patience: float, tries: int = 3) -> None:
    """A C-ECHO has to be answered; it is asked again where this machine took longer than the listener is patient."""
    for _ in range(tries):
        begun = time.monotonic()
        try:
            echo_seconds(port)
        except (AssertionError, OSError):
            if time.monotonic() - begun < patience:
                raise
        else:
            return
    raise RuntimeError("no C-ECHO was answered")
