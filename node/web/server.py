"""The page's server: uvicorn in a thread of the node's process."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
import time
from typing import Final, Self

import uvicorn
from fastapi import FastAPI

from node.domain.errors import Refused
from node.web.connections import AT_ONCE, PatientProtocol
from node.web_settings import WebSettings

_GRACE_SECONDS: Final = 2.0
_START_SECONDS: Final = 10.0


class PageServer:
    """``with PageServer(site, settings) as server:`` serves ``site`` until the block ends.

    The port is taken when it is made, so that a conflict is known before anything runs. With ``tls`` it speaks TLS
    alone.

    Raises
    ------
    Refused
        The address cannot be listened on.

    """

    def __init__(self, site: FastAPI, settings: WebSettings, tls: ssl.SSLContext | None = None) -> None:
        self._socket = _listening(settings.host, settings.port)
        self.port = int(self._socket.getsockname()[1])
        shown = "127.0.0.1" if settings.host in ("", "0.0.0.0", "::") else settings.host  # noqa: S104 - any address
        scheme = "http" if tls is None else "https"
        self.address = f"{scheme}://{f'[{shown}]' if ':' in shown else shown}:{self.port}/"
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        own_tls = None if tls is None else lambda *_: tls
        self._server = uvicorn.Server(
            uvicorn.Config(
                site,
                log_config=None,
                access_log=False,  # addresses hold what people search for
                server_header=False,
                lifespan="off",
                ws="none",
                ssl_context_factory=own_tls,
                proxy_headers=bool(settings.trusted_proxies),
                forwarded_allow_ips=list(settings.trusted_proxies),
                http=PatientProtocol,
                limit_concurrency=AT_ONCE,
                timeout_graceful_shutdown=int(_GRACE_SECONDS),
            )
        )
        self._thread = threading.Thread(target=self._serve, name="page", daemon=True)

    def __enter__(self) -> Self:
        """Serve; returns when the first request can come."""
        self._thread.start()
        ends = time.monotonic() + _START_SECONDS
        while not self._server.started and self._thread.is_alive() and time.monotonic() < ends:
            time.sleep(0.01)
        if not self._server.started:
            self._stop()
            raise Refused("the page did not start; the log says why")
        return self

    def __exit__(self, *_: object) -> None:
        """Answer what was asked already, for two seconds at most, and stop."""
        self._stop()

    def close(self) -> None:
        """Give the port back; for a server that was never started."""
        self._socket.close()

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])

    def _stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(_GRACE_SECONDS)
        if self._thread.is_alive():
            self._server.force_exit = True
            self._thread.join(1.0)
        self.close()


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(128)
    except OSError as error:
        made.close()
        raise Refused(f"the page cannot listen on {host}:{port}: {error.strerror or error}; see [web]") from error
    return made
