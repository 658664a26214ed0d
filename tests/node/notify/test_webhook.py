"""The webhook against a receiver on this machine: what is posted, that it is signed, every answer with its meaning."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from datetime import UTC, datetime

import pytest

from node.domain.errors import PeerDown, Refused
from node.domain.notices import Notice
from node.domain.tiers import Tier
from node.notify.deadline import Deadline
from node.notify.trust import tls_context
from node.notify.webhook import WebhookAddress, WebhookChannel, body_of, headers_of, signing_key
from tests.notice_receivers import self_made_certificate, server_tls, web_receiver

NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
KEY = "0123456789abcdef" * 2
NOTICE = Notice(key=KEY, made_at=datetime(2026, 3, 1, 8, 30, tzinfo=UTC), tier=Tier.PRIORITY, case=17)
SECRET = b"sixteen bytes or more"


def channel(url: str, *, secret: bytes = b"", seconds: float = 20.0, authority=None) -> WebhookChannel:
    address = WebhookAddress(url=url, secret=secret, tls=tls_context(authority), seconds=seconds)
    return WebhookChannel(address, lambda: NOW)


def test_what_is_posted():
    with web_receiver() as server:
        assert channel(server.url).send(NOTICE).note == ""
        (post,) = server.posts
    assert post.path == "/notices?site=1"
    assert json.loads(post.body) == {
        "schema": 1,
        "event": "case",
        "id": KEY,
        "tier": "priority",
        "case": 17,
        "compared_at": "2026-03-01T08:30:00+00:00",
    }
    assert post.headers["Content-Type"] == "application/json"
    assert post.headers["Idempotency-Key"] == post.headers["Webhook-Id"] == KEY
    assert post.headers["Webhook-Timestamp"] == str(int(NOW.timestamp()))
    assert "Webhook-Signature" not in post.headers


def test_link_and_accession_number_are_there_where_they_are_wanted():
    notice = Notice(key=KEY, made_at=NOW, tier=Tier.REVIEW, case=1, link="https://r/cases/1", accession='A"1\r\nX: y')
    content = json.loads(body_of(notice))
    assert (content["link"], content["accession"]) == ("https://r/cases/1", 'A"1\r\nX: y')
    assert b"\n" not in body_of(notice)


def test_a_test_is_one():
    assert json.loads(body_of(Notice(key=KEY, made_at=NOW))) == {"schema": 1, "event": "test", "id": KEY}


def test_the_signature_is_that_of_id_time_and_body():
    with web_receiver() as server:
        channel(server.url, secret=SECRET).send(NOTICE)
        (post,) = server.posts
    signed = ".".join((post.headers["Webhook-Id"], post.headers["Webhook-Timestamp"])).encode() + b"." + post.body
    version, _, given = post.headers["Webhook-Signature"].partition(",")
    assert version == "v1"
    assert base64.b64decode(given) == hmac.new(SECRET, signed, hashlib.sha256).digest()
    assert SECRET not in post.body + str(post.headers).encode()


def test_the_signature_is_the_one_standard_webhooks_gives_as_its_example():
    body = b'{"test": 2432232314}'
    secret = signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = headers_of("msg_p5jXN8AQM9LWM0D4loKWxJek", body, secret, datetime.fromtimestamp(1614265330, UTC))
    assert headers["Webhook-Signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("secret", "said"),
    [("", "shorter"), ("fifteen letters", "shorter"), ("whsec_AAAA", "shorter"), ("whsec_no base64 at all!", "base64")],
)
def test_a_secret_that_is_none_is_refused(secret, said):
    with pytest.raises(ValueError, match=said) as caught:
        signing_key(secret)
    assert not secret or secret not in str(caught.value)


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_told(status):
    with web_receiver(status) as server:
        assert channel(server.url).send(NOTICE).note == ("" if status == 200 else f"answered {status}")


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504])
def test_to_be_tried_again(status):
    with web_receiver(status) as server, pytest.raises(PeerDown, match=str(status)):
        channel(server.url).send(NOTICE)


@pytest.mark.parametrize("status", [300, 400, 401, 403, 404, 410, 413, 422])
def test_not_taken(status):
    with web_receiver(status) as server, pytest.raises(Refused, match=str(status)):
        channel(server.url).send(NOTICE)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status):
    with web_receiver(status) as server:
        with pytest.raises(Refused, match="redirect"):
            channel(server.url).send(NOTICE)
        assert len(server.posts) == 1


def test_the_body_of_an_answer_is_not_waited_for():
    with web_receiver() as server:
        server.body = b"x" * (1 << 24)
        before = time.monotonic()
        assert channel(server.url).send(NOTICE).note == ""
        assert time.monotonic() - before < 10


@pytest.mark.parametrize("how", ["hang", "drip"])
def test_a_receiver_that_never_answers_is_given_up(how):
    with web_receiver() as server:
        setattr(server, how, True)
        before = time.monotonic()
        with pytest.raises(PeerDown, match=r"within 0\.3 s"):
            channel(server.url, seconds=0.3).send(NOTICE)
        assert time.monotonic() - before < 10


def test_nobody_there_and_the_address_is_not_repeated():
    with web_receiver() as server:
        pass
    with pytest.raises(PeerDown, match="cannot be reached") as caught:
        channel(server.url).send(NOTICE)
    assert "notices" not in str(caught.value)
    assert "notices" not in repr(WebhookAddress(url=server.url, secret=SECRET, tls=tls_context()))


def test_what_is_no_http_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            link, _ = server.accept()
            with link:
                link.recv(65536)
                link.sendall(b"220 this is a mail server\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(PeerDown):
            channel(f"http://127.0.0.1:{server.getsockname()[1]}/").send(NOTICE)
        thread.join()


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x", "reader:8042"])
def test_other_addresses_are_refused(url):
    with pytest.raises(ValueError, match="http"):
        channel(url)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    return self_made_certificate(tmp_path_factory.mktemp("tls"))


@pytest.mark.peer
@pytest.mark.parametrize(
    ("host", "known", "taken"), [("localhost", True, True), ("localhost", False, False), ("127.0.0.1", True, False)]
)
def test_https_is_verified(host, known, taken, both):
    with web_receiver(tls=server_tls(both)) as server:
        one = channel(f"https://{host}:{server.port}/", authority=both if known else None)
        if taken:
            assert one.send(NOTICE).note == ""
        else:
            with pytest.raises(Refused, match="certificate"):
                one.send(NOTICE)
        assert len(server.posts) == taken


@pytest.mark.peer
def test_a_handshake_that_never_ends_is_given_up(both):
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(PeerDown, match="within"):
        channel(f"https://localhost:{server.getsockname()[1]}/", seconds=0.3, authority=both).send(NOTICE)


def test_a_deadline_cuts_what_it_watches_also_when_it_has_passed_already():
    with Deadline(0.05) as deadline:
        while not deadline.passed:
            time.sleep(0.01)
        one, other = socket.socketpair()
        with one, other:
            deadline.watch(one)
            assert other.recv(1) == b""
