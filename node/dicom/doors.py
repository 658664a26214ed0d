"""The ports of the listener: one without TLS, one with it, or either of them."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, cast

from pynetdicom import AE, evt
from pynetdicom.association import Association

from node.dicom.acceptor import BoundedServer, Connections
from node.dicom.contexts import ACCEPTED_CLASSES, ACCEPTED_SYNTAXES, VERIFICATION
from node.dicom.limits import Limits
from node.dicom.tls import cut, shake_hands, why

log = logging.getLogger(__name__)

_POLL_SECONDS: Final = 0.1


class TlsServer(BoundedServer):
    """A server whose handshakes hold up nobody.

    The library shakes hands in the thread that accepts: one silent peer would keep all others out. Here every
    connection does so in its own thread, within the time that it has to ask for an association, and no more of them at
    once than strangers may wait. Afterwards it asks at its place: the lobby cannot look into what is encrypted.
    """

    tls: ssl.SSLContext

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as the library's
        self._shaking: set[ssl.SSLSocket] = set()
        self._turn = threading.Lock()
        self._over = False
        super().__init__(*args, **kwargs)

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ANN401, ARG002 - socketserver's types
        """Whether to talk to a new connection at all."""
        return len(self._shaking) < self.limits.strangers

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - socketserver's types
        """Shake hands in a thread of its own. A failure here ends this connection alone."""
        connection = self.tls.wrap_socket(request, server_side=True, do_handshake_on_connect=False)
        with self._turn:
            self._shaking.add(connection)
        shaking = threading.Thread(target=self._meet, args=(connection, client_address), name="dicom-tls", daemon=True)
        shaking.start()

    def stop_accepting(self) -> None:
        """Close the listening socket and cut handshakes off; running associations go on."""
        super().stop_accepting()
        with self._turn:
            self._over = True
            for each in self._shaking:
                cut(each)

    def _meet(self, connection: ssl.SSLSocket, address: Any) -> None:  # noqa: ANN401 - socketserver's type
        try:
            shake_hands(connection, self.limits.acse_seconds)
        except OSError as error:
            log.warning("no TLS with %s: %s", address[0], why(error))
            connection.close()
            return
        finally:
            with self._turn:
                self._shaking.discard(connection)
        if self._over:
            connection.close()
        else:
            self._seat(connection, address)


class Doors:
    """What is bound, and serves.

    Parameters
    ----------
    host, port
        Where to listen without TLS; None: nowhere.
    tls
        The port and the context of TLS; None: none.

    Raises
    ------
    OSError
        If an address cannot be bound; then none is.

    """

    def __init__(self, host: str, port: int | None, tls: tuple[int, ssl.SSLContext] | None) -> None:
        self._host = host
        self._wanted = {False: port, True: None if tls is None else tls[0]}
        self._context = None if tls is None else tls[1]
        self._servers: dict[bool, BoundedServer] = {}

    def open(
        self, ae_title: str, limits: Limits, connections: Connections, handlers: list[evt.EventHandlerType]
    ) -> None:
        """Bind. Raises OSError if an address cannot be bound; then none is."""
        try:
            for tls, port in self._wanted.items():
                if port is not None:
                    self._servers[tls] = self._bound(_entity(ae_title, limits), port, handlers, tls=tls)
        except OSError:
            for server in self._servers.values():
                server.server_close()
            self._servers.clear()
            raise
        for server in self._servers.values():
            server.open(connections, limits)

    def port(self, *, tls: bool) -> int | None:
        """The port that is bound; the configured one while none is; None if there shall be none."""
        server = self._servers.get(tls)
        return self._wanted[tls] if server is None else int(server.server_address[1])

    def serving(self) -> Iterator[Callable[[], None]]:
        """What has to run, in a thread each."""
        for server in self._servers.values():
            yield partial(server.serve_forever, poll_interval=_POLL_SECONDS)

    def associations(self) -> list[Association]:
        """Those that are running."""
        return [one for server in self._servers.values() for one in server.active_associations]

    def stop_accepting(self) -> None:
        """Close the ports; running associations go on."""
        for server in self._servers.values():
            server.stop_accepting()

    def _bound(self, entity: AE, port: int, handlers: list[evt.EventHandlerType], *, tls: bool) -> BoundedServer:
        kind = TlsServer if tls else BoundedServer
        made = entity.make_server((self._host, port), evt_handlers=handlers, server_class=kind)
        if isinstance(made, TlsServer) and self._context is not None:
            made.tls = self._context
        return cast("BoundedServer", made)


def _entity(ae_title: str, limits: Limits) -> AE:
    entity = AE(ae_title=ae_title)
    entity.maximum_pdu_size = limits.pdu_bytes
    entity.acse_timeout = limits.acse_seconds
    entity.dimse_timeout = limits.idle_seconds
    entity.network_timeout = limits.idle_seconds
    entity.maximum_associations = 1 << 16  # connections that end count there; Places counts associations
    for sop_class in ACCEPTED_CLASSES:
        entity.add_supported_context(sop_class.uid, list(ACCEPTED_SYNTAXES))
    entity.add_supported_context(VERIFICATION)
    return entity
