"""The ports of the listener: one without TLS, one with it, or either of them."""

from __future__ import annotations

import logging
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final, cast

from pynetdicom import AE, evt
from pynetdicom.association import Association

from node.dicom.acceptor import BoundedServer, Connections
from node.dicom.commitment import COMMITMENT_SYNTAXES, STORAGE_COMMITMENT
from node.dicom.contexts import ACCEPTED_CLASSES, ACCEPTED_SYNTAXES, VERIFICATION
from node.dicom.framing import Reason, hang_up, tell_abort, tls_arrival
from node.dicom.limits import Limits
from node.dicom.lobby import Lobby, crowd
from node.dicom.tls import cut, shake_hands, speaks, why

log = logging.getLogger(__name__)

_POLL_SECONDS: Final = 0.1


class TlsServer(BoundedServer):
    """A server whose handshakes hold up nobody.

    The library shakes hands in the thread that accepts: one silent peer would keep all others out. Here a connection
    waits in the lobby until its first message of TLS is there. Then it shakes hands in a thread of its own, and waits
    there for its first word, because the lobby cannot look into what is encrypted; only then is it given a place. No
    more handshakes at once than strangers may wait: of one more, the address that has the most loses its oldest.
    """

    tls: ssl.SSLContext

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as the library's
        self._shaking: dict[ssl.SSLSocket, str] = {}  # and their addresses, in the order of their coming
        self._turn = threading.Lock()
        self._over = False
        super().__init__(*args, **kwargs)

    def stop_accepting(self) -> None:
        """Close the listening socket and cut handshakes off; running associations go on."""
        super().stop_accepting()
        with self._turn:
            self._over = True
            for each in self._shaking:
                cut(each)

    def _lobby(self) -> Lobby:
        return Lobby(self.limits, self._greet, tls_arrival, _no_tls)

    def _greet(self, connection: socket.socket, address: Any) -> None:  # noqa: ANN401 - socketserver's type
        """Shake hands in a thread of its own. A failure here ends this connection alone."""
        if self.connections.full(str(address[0]), self.limits):  # before the costly part
            hang_up(connection)
            return
        try:
            wrapped = self.tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        except OSError as error:  # gone already
            log.warning("no TLS with %s: %s", address[0], why(error))
            return
        with self._turn:
            self._shaking[wrapped] = str(address[0])
            if len(self._shaking) > self.limits.strangers:
                self._make_room()
        threading.Thread(target=self._meet, args=(wrapped, address), name="dicom-tls", daemon=True).start()

    def _make_room(self) -> None:
        whose = crowd(self._shaking.values())
        oldest = next(one for one, address in self._shaking.items() if address == whose)
        del self._shaking[oldest]
        cut(oldest)  # its thread ends with it

    def _meet(self, connection: ssl.SSLSocket, address: Any) -> None:  # noqa: ANN401 - socketserver's type
        spoken = False
        try:
            shake_hands(connection, self.limits.acse_seconds)
            spoken = speaks(connection, self.limits.acse_seconds)
        except OSError as error:
            log.warning("no TLS with %s: %s", address[0], why(error))
        finally:
            with self._turn:
                self._shaking.pop(connection, None)
        if self._over or not spoken:
            connection.close()
        else:
            self._seat(connection, address)


def _no_tls(connection: socket.socket, address: Any) -> None:  # noqa: ANN401 - socketserver's type
    log.warning("no TLS with %s: the peer does not speak TLS on this port", address[0])
    tell_abort(connection, Reason.UNEXPECTED)  # most likely it speaks DICOM


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
        """Bind. Raises OSError if an address cannot be bound; then none is.

        Storage commitment is offered where there is a handler for it.
        """
        commits = any(handler[0] is evt.EVT_N_ACTION for handler in handlers)
        try:
            for tls, port in self._wanted.items():
                if port is not None:
                    entity = _entity(ae_title, limits, commits=commits)
                    self._servers[tls] = self._bound(entity, port, handlers, tls=tls)
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

    def renew(self, tls: ssl.SSLContext) -> None:
        """Shake hands by another context from now on."""
        secured = self._servers.get(True)
        if isinstance(secured, TlsServer):
            secured.tls = tls

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


def _entity(ae_title: str, limits: Limits, *, commits: bool) -> AE:
    entity = AE(ae_title=ae_title)
    entity.maximum_pdu_size = limits.pdu_bytes
    entity.acse_timeout = limits.acse_seconds
    entity.dimse_timeout = limits.idle_seconds
    entity.network_timeout = limits.idle_seconds
    entity.maximum_associations = 1 << 16  # connections that end count there; Places counts associations
    for sop_class in ACCEPTED_CLASSES:
        entity.add_supported_context(sop_class.uid, list(ACCEPTED_SYNTAXES))
    entity.add_supported_context(VERIFICATION)
    if commits:
        entity.add_supported_context(STORAGE_COMMITMENT, list(COMMITMENT_SYNTAXES))
    return entity
