"""The server: it serves, it stops in time, and a port that is taken is said so."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack

import httpx2
import pytest

from node.domain.errors import Refused
from node.web import connections
from node.web.server import PageServer
from node.web_settings import WebSettings
from tests.web_site import WebSite


def test_it_serves_until_the_block_ends_and_stops_in_time(site: WebSite):
    with httpx2.Client() as client:  # its connection stays open: the stop must not wait for it
        with PageServer(site.app, WebSettings(port=0)) as server:
            answer = client.get(f"{server.address}healthz")
            assert (answer.status_code, answer.json()) == (200, {"alive": True})
            assert "server" not in answer.headers
            began = time.monotonic()
        assert time.monotonic() - began < 3
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"{server.address}healthz")


def test_a_port_that_is_taken_is_a_clear_refusal(site: WebSite):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(Refused, match=rf"cannot listen on 127\.0\.0\.1:{port}.*\[web\]"):
            PageServer(site.app, WebSettings(port=port))


def test_a_proxy_is_believed_only_where_the_settings_name_it(site: WebSite):
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "10.9.8.7"}
    for trusted, secure in (((), False), (("127.0.0.1",), True)):
        with PageServer(site.app, WebSettings(port=0, trusted_proxies=trusted)) as server:
            cookie = httpx2.get(f"{server.address}login", headers=forwarded).headers["set-cookie"]
            assert ("Secure" in cookie) == secure


def a_peer(port: int, said: bytes = b"", source: str = "127.0.0.2") -> socket.socket:
    peer = socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source, 0))
    peer.sendall(said)
    return peer


def test_silent_peers_take_no_room_from_others(site: WebSite):
    with PageServer(site.app, WebSettings(port=0)) as server, ExitStack() as crowd:
        for number in range(connections.AT_ONCE + 20):
            crowd.enter_context(a_peer(server.port, b"GET / HTTP/1.1\r\nHo" if number % 2 else b""))
        assert httpx2.get(f"{server.address}healthz").status_code == 200


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("_HEAD_SECONDS", b""),
        ("_HEAD_SECONDS", b"GET /healthz HTTP/1.1\r\nX: "),
        ("_HEAD_SECONDS", b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /"),
        ("_BODY_SECONDS", b"POST /login HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\nname="),
    ],
)
def test_a_request_that_trickles_is_hung_up_on(site: WebSite, monkeypatch: pytest.MonkeyPatch, name: str, said: bytes):
    monkeypatch.setattr(connections, name, 0.3)
    with PageServer(site.app, WebSettings(port=0)) as server, a_peer(server.port, said) as peer:
        peer.settimeout(0.05)
        ends = time.monotonic() + 10
        heard = True
        while heard and time.monotonic() < ends:
            try:
                peer.sendall(b"x")
                heard = bool(peer.recv(4096))
            except TimeoutError:
                continue
            except OSError:
                heard = False
        assert not heard


def test_requests_that_are_whole_share_a_connection_for_longer(site: WebSite, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(connections, "_HEAD_SECONDS", 1.0)
    with PageServer(site.app, WebSettings(port=0)) as server, httpx2.Client(base_url=server.address) as client:
        for _ in range(4):
            assert client.get("healthz").status_code == 200
            assert client.post("login", content=b"x" * 100_000).status_code == 403
            time.sleep(0.4)
        assert len(server._server.server_state.connections) == 1
