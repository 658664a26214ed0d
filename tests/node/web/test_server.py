"""The server: it serves, it stops in time, and a port that is taken is said so."""

from __future__ import annotations

import socket
import time

import httpx2
import pytest

from node.domain.errors import Refused
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
