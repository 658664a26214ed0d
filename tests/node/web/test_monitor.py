"""Alive, ready, metrics: for the addresses of the settings, without a log-in, and also while the ledger hangs."""

from __future__ import annotations

import time

import httpx2
import pytest

from node.monitor.readiness import Readiness
from node.monitor.watch import Watch
from node.web.monitor import PATHS
from node.web.server import PageServer
from node.web.services import Services
from node.web.site import make_site
from node.web_settings import WebSettings
from tests.web_site import WebSite


def watched(site: WebSite, reason: str = "", allow: tuple[str, ...] = ("127.0.0.1",)):
    watch = Watch(
        exposition=lambda: b"x 1\n",
        readiness=lambda: Readiness(checks={"ledger": reason, "disk": ""}, warnings=("full some day",)),
        silences=lambda: (),
        allow=allow,
    )
    return PageServer(
        make_site(Services(storage=site.storage, watch=watch), WebSettings(), site.clock), WebSettings(port=0)
    )


def test_what_is_missing_is_said_with_503(site: WebSite):
    with watched(site) as server:
        answer = httpx2.get(f"{server.address}readyz")
        assert answer.status_code == 200
        assert answer.json() == {
            "ready": True,
            "checks": {"ledger": {"ok": True, "reason": ""}, "disk": {"ok": True, "reason": ""}},
            "warnings": ["full some day"],
        }
    with watched(site, "away") as server:
        answer = httpx2.get(f"{server.address}readyz")
        assert answer.status_code == 503
        assert answer.json()["checks"]["ledger"] == {"ok": False, "reason": "away"}


def test_metrics_are_text_of_their_version(site: WebSite):
    with watched(site) as server:
        answer = httpx2.get(f"{server.address}metrics")
        assert (answer.status_code, answer.text) == (200, "x 1\n")
        assert answer.headers["content-type"] == "text/plain; version=1.0.0; charset=utf-8"


@pytest.mark.parametrize("path", PATHS)
def test_other_addresses_find_nothing(site: WebSite, path: str):
    with watched(site, allow=("10.0.0.0/8",)) as server:
        assert httpx2.get(f"{server.address}{path[1:]}").status_code == 404


def test_without_a_node_there_is_no_readiness_and_nothing_to_measure(site: WebSite):
    with PageServer(site.app, WebSettings(port=0)) as server:
        assert httpx2.get(f"{server.address}healthz").status_code == 200
        assert httpx2.get(f"{server.address}readyz").status_code == 503
        assert httpx2.get(f"{server.address}metrics").status_code == 404


def test_they_answer_while_the_ledger_is_locked(site: WebSite):
    with watched(site) as server, site.ledger._database.writing():
        began = time.monotonic()
        assert [httpx2.get(f"{server.address}{path[1:]}").status_code for path in PATHS] == [200, 200, 200]
        assert time.monotonic() - began < 5
