"""The page over TLS, over a real socket: cookies and headers as they are then, and nothing without TLS."""

from __future__ import annotations

import socket
import ssl
import time
from pathlib import Path

import httpx2
import pytest

from node.dicom.tls import client_context, server_context
from node.domain.people import Role
from node.web.server import PageServer
from node.web_settings import WebSettings
from tests.authority import Authority, needs_openssl
from tests.web_site import PASSWORD, WebSite, field_of

pytestmark = needs_openssl


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def server(site: WebSite, hospital: Authority):
    with PageServer(site.app, WebSettings(port=0), server_context(hospital.issue("page"))) as running:
        yield running


def test_a_log_in_over_tls_gives_a_cookie_that_stays_there(site: WebSite, server: PageServer, hospital: Authority):
    site.user("vera", Role.VIEWER)
    assert server.address.startswith("https://127.0.0.1:")
    with httpx2.Client(verify=client_context(hospital.certificate), base_url=server.address) as browser:
        page = browser.get("/login")
        form = {"token": field_of(page.text, "token"), "name": "vera", "password": PASSWORD}
        answer = browser.post("/login", data=form)
        assert answer.status_code == 303
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-session=")
        for part in ("Secure", "HttpOnly", "SameSite=lax", "Path=/"):
            assert part in cookie
        for one in (page, answer, browser.get("/"), browser.get("/healthz"), browser.get("/nothing")):
            assert one.headers["strict-transport-security"] == "max-age=31536000"
        assert browser.get("/").status_code == 200


def test_without_tls_nothing_is_said_of_it(site: WebSite):
    assert "strict-transport-security" not in site.browser().get("/login").headers


def test_a_browser_that_does_not_know_the_authority_stays_away(server: PageServer):
    with pytest.raises(httpx2.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx2.get(server.address, verify=client_context())


def test_without_tls_nobody_is_answered(server: PageServer):
    with pytest.raises(httpx2.HTTPError):
        httpx2.get(server.address.replace("https", "http"))


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1")
def test_old_tls_is_not_spoken(server: PageServer, hospital: Authority):
    context = client_context(hospital.certificate)
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with socket.create_connection(("127.0.0.1", server.port), 5) as raw, pytest.raises(ssl.SSLError):
        context.wrap_socket(raw, server_hostname="127.0.0.1")


def test_a_handshake_that_stalls_holds_up_nobody(server: PageServer, hospital: Authority):
    stalled = [socket.create_connection(("127.0.0.1", server.port), 5) for _ in range(20)]
    try:
        began = time.monotonic()
        answer = httpx2.get(f"{server.address}healthz", verify=client_context(hospital.certificate))
        assert answer.status_code == 200
        assert time.monotonic() - began < 5
    finally:
        for one in stalled:
            one.close()


def test_the_page_of_the_settings_takes_the_key_with_its_password(hospital: Authority, tmp_path: Path):
    from node.setting_sources import SettingsError  # noqa: PLC0415
    from node.trust import page_context  # noqa: PLC0415

    made = hospital.issue("sealed", password="open sesame")  # noqa: S106 - of a made-up key
    secret = tmp_path / "password"
    secret.write_text("open sesame\n", encoding="ascii")
    tls = {"enabled": True, "certificate": made.certificate, "key": made.key}
    assert page_context(WebSettings.model_validate({"tls": tls | {"key_password_file": secret}})) is not None
    assert page_context(WebSettings()) is None
    with pytest.raises(SettingsError, match=r"web\.tls: .*password is missing or wrong"):
        page_context(WebSettings.model_validate({"tls": tls}))
