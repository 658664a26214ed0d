"""The TCP side of the listener: pynetdicom's server with bounds on what a peer can make it allocate or wait for."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterable
from socketserver import TCPServer
from typing import Any, cast

from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket, ThreadedAssociationServer

from node.dicom.framing import hang_up, tell_busy
from node.dicom.guards import guard, prepare
from node.dicom.lane import Store
from node.dicom.limits import AllowedPeer, Limits
from node.dicom.lobby import Lobby

__all__ = ["AllowedPeer", "BoundedServer", "Connections", "Limits", "abort_all", "prepare"]

log = logging.getLogger(__name__)

_SPARE = 2  # of an address: an association that ends and the one that follows it may overlap


class Connections:
    """The sockets of incoming connections, to be closed when their threads have ended.

    The library closes a socket at the end of an association. One that ends before (nonsense, silence, a peer that is
    gone) it leaves to the garbage collector, and a port scan would hold as many file handles as it has made attempts.
    """

    def __init__(self) -> None:
        self._open: dict[Association, socket.socket] = {}
        self._lock = threading.Lock()

    def take(self, association: Association, limits: Limits, store: Store) -> None:
        """A connection was made: set it up, and remember its socket."""
        wrapped = cast("AssociationSocket", association.dul.socket)
        with self._lock:
            self._open[association] = cast("socket.socket", wrapped.socket)
        guard(association, limits, store)

    def full(self, address: str, limits: Limits) -> bool:
        """Whether there are so many that another is not even looked at, of the address or in all."""
        with self._lock:
            served = [one.requestor.address for one in self._open if not _over(one)]
        in_all = limits.associations + limits.strangers
        return len(served) >= in_all or served.count(address) >= _SPARE * limits.per_address

    def close_dead(self) -> None:
        """Close the sockets that nobody serves any more."""
        with self._lock:
            dead = [one for one in self._open if _over(one) and _over(one.dul)]
            sockets = [self._open.pop(one) for one in dead]
        for each in sockets:
            each.close()

    def end(self, seconds: float) -> None:
        """At the end: wait so long for the threads to go, then close what is left under them."""
        until = time.monotonic() + seconds
        while self._open and time.monotonic() < until:
            self.close_dead()
            time.sleep(0.002)
        with self._lock:
            left = list(self._open.values())
            self._open.clear()
        for each in left:
            hang_up(each)  # which also wakes a thread that reads from it


class BoundedServer(ThreadedAssociationServer):
    """An association server with a longer queue, whose connections wait in a lobby until they have asked."""

    request_queue_size = 128
    lobby: Lobby
    connections: Connections
    limits: Limits

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - socketserver's types
        """A new connection: nothing is spent on it until it asks for an association."""
        self.lobby.enter(request, client_address)

    def open(self, connections: Connections, limits: Limits) -> None:
        """Be ready to serve; before that, nothing may be accepted."""
        self.connections, self.limits = connections, limits
        self.lobby = self._lobby()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002 - socketserver's types
        """Say that a connection could not be served, without what the library would print."""
        log.error("a connection could not be served")

    def stop_accepting(self) -> None:
        """Close the listening socket and whoever has not asked; running associations go on."""
        TCPServer.shutdown(self)
        self.server_close()
        self.lobby.close()

    def _lobby(self) -> Lobby:
        return Lobby(self.limits, self._seat)

    def _seat(self, connection: socket.socket, address: Any) -> None:  # noqa: ANN401 - socketserver's type
        if self.connections.full(str(address[0]), self.limits):
            tell_busy(connection)
            hang_up(connection)
            return
        super().process_request(connection, address)


def abort_all(associations: Iterable[Association]) -> None:
    """Tell everybody at once, and wait for nobody: a thread that reads would be waited for until its time-out."""
    for association in associations:
        if association.is_established:
            association.abort(block=False)
        association._kill = True  # noqa: SLF001 - kill() waits


def _over(thread: threading.Thread) -> bool:
    return thread.ident is not None and not thread.is_alive()
