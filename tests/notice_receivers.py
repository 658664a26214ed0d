"""Who is told in tests: a mail server and a webhook on this machine, which refuse, hang and redirect when told to."""

from __future__ import annotations

import base64
import socketserver
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.peers.programs import program


def self_made_certificate(folder: Path) -> Path:
    """Certificate and key of ``localhost`` in one file, signed by itself; the test skips without openssl."""
    key, certificate, both = folder / "key.pem", folder / "certificate.pem", folder / "both.pem"
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    words += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    words += ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([program("openssl"), *words], check=True, capture_output=True)
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    return both


def server_tls(both: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context


@dataclass(frozen=True, kw_only=True)
class Mail:
    """One message a mail server has taken."""

    sender: str
    to: tuple[str, ...]
    data: bytes

    @property
    def message(self) -> EmailMessage:
        parsed = message_from_bytes(self.data, policy=default)
        assert isinstance(parsed, EmailMessage)
        return parsed


@dataclass
class Manners:
    """How a mail server answers: the replies to a verb are given one after the other, then the usual one.

    ``hang`` is the verb, or ``CONNECT``, that is never answered; ``drip`` answers it byte by byte without an end.
    """

    replies: dict[str, list[str]] = field(default_factory=dict)
    offers: tuple[str, ...] = ()
    hang: str = ""
    drip: str = ""
    starttls: ssl.SSLContext | None = None
    tls: ssl.SSLContext | None = None


class MailServer(socketserver.ThreadingTCPServer):
    """An SMTP server (RFC 5321) that keeps what it takes."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, manners: Manners) -> None:
        super().__init__(("127.0.0.1", 0), _MailHandler)
        self.manners = manners
        self.mails: list[Mail] = []
        self.logins: list[tuple[str, str]] = []
        self.connections = 0
        self.closing = threading.Event()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is no fault of the server."""


class _MailHandler(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        manners = self.server.manners
        self.server.connections += 1
        if manners.tls is not None:
            self._wrap(manners.tls)
        self._converse()

    def finish(self) -> None:
        """The server closes the socket it knows: TLS has put another in its place."""
        super().finish()
        self.request.close()

    def _converse(self) -> None:
        self._sender, self._to = "", []
        if not self._answer("CONNECT", "220 test ESMTP"):
            return
        while line := self.rfile.readline(4096):
            verb, _, rest = line.decode("ascii").strip().partition(" ")
            if not self._obey(verb.upper(), rest):
                return

    def _wrap(self, context: ssl.SSLContext) -> None:
        self.request = context.wrap_socket(self.request, server_side=True)
        self.rfile, self.wfile = self.request.makefile("rb"), self.request.makefile("wb", 0)

    def _obey(self, verb: str, rest: str) -> bool:
        """Whether the conversation goes on."""
        acts: dict[str, Callable[[str], bool]] = {
            "EHLO": self._ehlo, "STARTTLS": self._starttls, "AUTH": self._auth,
            "MAIL": self._mail, "RCPT": self._rcpt, "DATA": self._data,
        }  # fmt: skip
        if verb in acts:
            return acts[verb](rest)
        return self._answer(verb, "221 bye" if verb == "QUIT" else "250 ok") and verb != "QUIT"

    def _answer(self, verb: str, usual: str) -> bool:
        manners = self.server.manners
        if manners.hang == verb:
            self.server.closing.wait()
            return False
        while manners.drip == verb and not self.server.closing.wait(0.05):
            self.wfile.write(b"2")
        waiting = manners.replies.get(verb)
        self._said = waiting.pop(0) if waiting else usual
        self.wfile.write(self._said.encode("ascii") + b"\r\n")
        return not self._said.startswith("421")

    def _ehlo(self, _: str) -> bool:
        offers = [*self.server.manners.offers]
        if self.server.manners.starttls is not None and not isinstance(self.request, ssl.SSLSocket):
            offers.append("STARTTLS")
        return self._answer("EHLO", "\r\n".join(["250-test", *(f"250-{one}" for one in offers), "250 8BITMIME"]))

    def _starttls(self, _: str) -> bool:
        context = self.server.manners.starttls
        if self._answer("STARTTLS", "220 go ahead") and self._said.startswith("220") and context is not None:
            self._wrap(context)
        return True

    def _auth(self, rest: str) -> bool:
        kind, _, given = rest.partition(" ")
        assert kind == "PLAIN"
        _, name, password = base64.b64decode(given).decode().split("\0")
        self.server.logins.append((name, password))
        return self._answer("AUTH", "235 welcome")

    def _mail(self, rest: str) -> bool:
        self._sender, self._to = rest.partition("<")[2].partition(">")[0], []
        return self._answer("MAIL", "250 ok")

    def _rcpt(self, rest: str) -> bool:
        goes_on = self._answer("RCPT", "250 ok")
        if self._said.startswith("2"):
            self._to.append(rest.partition("<")[2].partition(">")[0])
        return goes_on

    def _data(self, _: str) -> bool:
        if not self._answer("DATA", "354 go on") or not self._said.startswith("354"):
            return True
        lines = []
        while (line := self.rfile.readline(1 << 16)) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b"."))
        if not line:
            return False
        goes_on = self._answer("TAKEN", "250 taken")
        if self._said.startswith("2"):
            self.server.mails.append(Mail(sender=self._sender, to=tuple(self._to), data=b"".join(lines)))
        return goes_on


@dataclass(frozen=True, kw_only=True)
class Post:
    """One request a webhook has seen."""

    path: str
    headers: dict[str, str]
    body: bytes


class WebReceiver(ThreadingHTTPServer):
    """A webhook: ``statuses`` are answered one after the other, then 200."""

    daemon_threads = True

    def __init__(self, statuses: tuple[int, ...] = (), tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _PostHandler)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.statuses = list(statuses)
        self.posts: list[Post] = []
        self.body = b"thanks"
        self.hang = False
        self.drip = False
        self.closing = threading.Event()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/notices?site=1"

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is no fault of the server."""


class _PostHandler(BaseHTTPRequestHandler):
    server: WebReceiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append(Post(path=self.path, headers=dict(self.headers), body=body))
        if self.server.hang:
            self.server.closing.wait()
            return
        while self.server.drip and not self.server.closing.wait(0.05):
            self.wfile.write(b"X")
        status = self.server.statuses.pop(0) if self.server.statuses else 200
        self.send_response(status)
        self.send_header("Location", f"http://127.0.0.1:{self.server.port}/elsewhere")
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        """Keep the tests' output clean."""


@contextmanager
def mail_server(**manners: Any) -> Iterator[MailServer]:  # noqa: ANN401 - any of the manners
    with _served(MailServer(Manners(**manners))) as running:
        yield running


@contextmanager
def web_receiver(*statuses: int, tls: ssl.SSLContext | None = None) -> Iterator[WebReceiver]:
    with _served(WebReceiver(statuses, tls)) as running:
        yield running


@contextmanager
def _served(server: Any) -> Iterator[Any]:  # noqa: ANN401 - either of the two
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        thread.join()
        server.server_close()
