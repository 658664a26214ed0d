"""STOW-RS against a stand-in server: the file unchanged, and every answer with its meaning."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from node.dicom.outgoing import SendItem
from node.dicom.web import WebSender
from node.domain.errors import Malformed, PeerDown, Refused
from tests.dicom_series import Style, ct_series, file_bytes, thorax

ITEM = SendItem.of_file(file_bytes(ct_series(thorax(3, 4, 5))[0]))
UID = Style().sop_uid(0)


def answer(*, stored: int | None = None, failed: int | None = None, sop_uid: str = UID) -> bytes:
    """A Store Instances Response with a warning or failure reason."""

    def item(tag: str, reason: int) -> list[dict]:
        said = {"00081155": {"vr": "UI", "Value": [sop_uid]}}
        return [said | ({tag: {"vr": "US", "Value": [reason]}} if reason else {})]

    said = {}
    if stored is not None:
        said["00081199"] = {"vr": "SQ", "Value": item("00081196", stored)}
    if failed is not None:
        said["00081198"] = {"vr": "SQ", "Value": item("00081197", failed)}
    return json.dumps(said).encode()


class Server(HTTPServer):
    status, body = 200, answer(stored=0)

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, dict[str, str], bytes]] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.server.seen.append((self.path, dict(self.headers), self.rfile.read(length)))
        self.send_response(self.server.status)
        self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    do_GET = do_POST  # noqa: N815 - the library looks it up by this name

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


def sender(server: Server, **changes: str) -> WebSender:
    return WebSender(f"http://127.0.0.1:{server.server_port}/dicom-web/", timeout=2, **changes)


def test_the_stored_file_goes_out_unchanged(server):
    (outcome,) = sender(server).send([ITEM])
    assert outcome.require() == ""
    ((path, headers, body),) = server.seen
    assert path == "/dicom-web/studies"
    kind, boundary = headers["Content-Type"].split("; boundary=")
    assert kind == 'multipart/related; type="application/dicom"'
    _, part, end = body.split(f"--{boundary}".encode())
    assert part == b"\r\nContent-Type: application/dicom\r\n\r\n" + ITEM.content + b"\r\n"
    assert end == b"--\r\n"


@pytest.mark.parametrize(
    ("status", "body", "note"),
    [
        (200, answer(stored=0), ""),
        (202, answer(stored=0xB000), "B000"),
        (409, answer(failed=0x0111), "already"),
        (200, b"<xml/>", "cannot be read"),
    ],
)
def test_delivered(status, body, note, server):
    server.status, server.body = status, body
    (outcome,) = sender(server).send([ITEM])
    assert note in outcome.require()
    assert bool(outcome.note) == bool(note)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (202, answer(failed=0xA700), PeerDown),
        (409, answer(failed=0xA7FF), PeerDown),
        (409, answer(failed=0xA900), Refused),
        (409, answer(failed=0xC000), Refused),
        (202, answer(stored=0, sop_uid="1.2.3"), Refused),
        (202, b"<xml/>", Refused),
        (202, b"[]", Refused),
        (409, b"", Refused),
        (302, b"", Refused),
        (400, b"", Refused),
        (401, b"", Refused),
        (403, b"", Refused),
        (404, b"", Refused),
        (408, b"", PeerDown),
        (429, b"", PeerDown),
        (500, b"", PeerDown),
        (503, b"", PeerDown),
    ],
)
def test_not_delivered(status, body, error, server):
    server.status, server.body = status, body
    (outcome,) = sender(server).send([ITEM])
    assert type(outcome.error) is error
    assert len(server.seen) == 1


def test_one_bad_object_spoils_no_other(server):
    bad = SendItem(sop_class_uid="1.2", sop_uid="1.2.3", transfer_syntax_uid="1.2", content=b"nothing")
    outcomes = sender(server).send([bad, ITEM])
    assert type(outcomes[0].error) is Malformed
    assert outcomes[1].delivered


@pytest.mark.parametrize(
    ("how", "header"),
    [({"username": "u", "password": "p"}, "Basic dTpw"), ({"token": "t"}, "Bearer t"), ({}, None)],
)
def test_credentials(how, header, server):
    sender(server, **how).send([ITEM])
    assert server.seen[0][1].get("Authorization") == header


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x", "pacs:8042"])
def test_other_addresses_are_refused(url):
    with pytest.raises(ValueError, match="http"):
        WebSender(url)


def test_nobody_there(server):
    down = WebSender("http://127.0.0.1:1", timeout=1)
    assert type(down.send([ITEM])[0].error) is PeerDown
    with pytest.raises(PeerDown):
        down.echo()


def test_echo(server):
    sender(server).echo()
    assert server.seen[0][0] == "/dicom-web/studies?limit=1"
