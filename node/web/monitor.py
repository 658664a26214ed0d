"""For supervisors and Prometheus: alive, ready, metrics. No log-in, but only for addresses that the settings name.

They run on the page's own loop, wait for no thread, no disk and no ledger, and so answer while everything else hangs.
"""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from node.monitor.readiness import Readiness
from node.monitor.watch import LOOPBACK, Watch, admits
from node.web.house import house_of

PATHS: Final = ("/healthz", "/readyz", "/metrics")
_TEXT: Final = "text/plain; version=1.0.0; charset=utf-8"
_NOWHERE: Final = Readiness(checks={"node": "no node runs in this process"})


def add_routes(site: FastAPI) -> None:
    """Serve them."""
    for path, answer in zip(PATHS, (alive, ready, metrics), strict=True):
        site.add_api_route(path, answer, methods=["GET"], include_in_schema=False)


async def alive(request: Request) -> Response:
    """That the process answers."""
    return JSONResponse({"alive": True}) if _admitted(request) else _unknown()


async def ready(request: Request) -> Response:
    """200 if the node can take a scan now, else 503; every reason."""
    if not _admitted(request):
        return _unknown()
    watch = _watch(request)
    found = _NOWHERE if watch is None else watch.readiness()
    checks = {name: {"ok": not reason, "reason": reason} for name, reason in found.checks.items()}
    said = {"ready": found.ready, "checks": checks, "warnings": list(found.warnings)}
    return JSONResponse(said, 200 if found.ready else 503)


async def metrics(request: Request) -> Response:
    """Everything that is measured, in the text format of Prometheus."""
    watch = _watch(request)
    if watch is None or not _admitted(request):
        return _unknown()
    return Response(watch.exposition(), headers={"Content-Type": _TEXT})


def _watch(request: Request) -> Watch | None:
    return house_of(request).services.watch


def _admitted(request: Request) -> bool:
    watch = _watch(request)
    address = "" if request.client is None else request.client.host
    return admits(LOOPBACK if watch is None else watch.allow, address)


def _unknown() -> Response:
    """For an address that is not allowed: it need not know what is here."""
    return JSONResponse({"detail": "not found"}, 404)
