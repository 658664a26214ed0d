"""The TCP side of the listener: pynetdicom's server with bounds on what a peer can make it allocate or wait for."""

from __future__ import annotations

import logging
import queue
import socket
import threading
import time
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address, ip_network
from socketserver import TCPServer
from typing import Any, cast

from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.transport import AssociationSocket, ThreadedAssociationServer

from node.dicom.contexts import ACCEPTED_CLASSES

log = logging.getLogger(__name__)

_STORAGE_UIDS = frozenset(sop_class.uid for sop_class in ACCEPTED_CLASSES)
_LONGEST_REQUEST = 1 << 20  # an A-ASSOCIATE-RQ knows no negotiated length; 128 contexts stay well below this


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What peers may ask of the listener.

    Attributes
    ----------
    associations
        Established at one time; one more is rejected as 'local limit exceeded', transient.
    strangers
        Connections at one time that have not asked for an association yet; one more is closed.
    pdu_bytes
        Longest PDU, as negotiated (PS3.8 D.1).
    instance_bytes
        Longest data set; a longer one ends its association.
    acse_seconds
        Time a new connection has to ask for an association.
    idle_seconds
        Silence after which an association is aborted, also in the middle of a PDU.

    """

    associations: int = 32
    strangers: int = 64
    pdu_bytes: int = 128 * 1024
    instance_bytes: int = 1 << 30
    acse_seconds: float = 15.0
    idle_seconds: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedPeer:
    """A peer that may associate: its AE title, and the network (CIDR) or address it calls from; "" is any.

    Raises
    ------
    ValueError
        If ``host`` is neither an address nor a network: a name could not be checked when it matters.

    """

    ae_title: str = ""
    host: str = ""

    def __post_init__(self) -> None:
        if self.host:
            ip_network(self.host, strict=False)

    def admits(self, calling: str, address: str) -> bool:
        """Whether a caller is this peer."""
        if self.ae_title and self.ae_title != calling:
            return False
        from_where = ip_address(address)
        from_where = getattr(from_where, "ipv4_mapped", None) or from_where  # how a dual-stack socket shows IPv4
        return not self.host or from_where in ip_network(self.host, strict=False)


class BoundedServer(ThreadedAssociationServer):
    """An association server with a longer queue and a bound on silent connections."""

    request_queue_size = 128
    most_connections = 96

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ANN401, ARG002 - socketserver's types
        """Whether to talk to a new connection at all."""
        return len(self.active_associations) < self.most_connections

    def stop_accepting(self) -> None:
        """Close the listening socket; running associations go on."""
        TCPServer.shutdown(self)
        self.server_close()


def serve_at_once(association: Association) -> None:
    """Let an acceptor's C-STOREs be served without a wait."""
    association.dimse.msg_queue = _ServedAtOnce(association)


def prepare(association: Association, limits: Limits) -> None:
    """Set up a new connection: no delayed segments, a time-out for every read, reads of bounded size."""
    wrapped = cast("AssociationSocket", association.dul.socket)
    raw = cast("socket.socket", wrapped.socket)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    raw.settimeout(limits.idle_seconds)
    setattr(wrapped, "recv", partial(_receive, wrapped, limits))  # noqa: B010 - a method, on purpose


class Connections:
    """The sockets of incoming connections, to be closed when their threads have ended.

    The library closes a socket at the end of an association. One that ends before (nonsense, silence, a peer that is
    gone) it leaves to the garbage collector, and a port scan would hold as many file handles as it has made attempts.
    """

    def __init__(self) -> None:
        self._open: dict[Association, socket.socket] = {}
        self._lock = threading.Lock()

    def take(self, association: Association, limits: Limits) -> None:
        """A connection was made: set it up, and remember its socket."""
        wrapped = cast("AssociationSocket", association.dul.socket)
        with self._lock:
            self._open[association] = cast("socket.socket", wrapped.socket)
        prepare(association, limits)
        serve_at_once(association)

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
            each.close()


def _over(thread: threading.Thread) -> bool:
    return thread.ident is not None and not thread.is_alive()


class _ServedAtOnce(queue.Queue[Any]):
    """The queue of decoded messages, where a C-STORE need not wait for the association's thread to look.

    That thread looks once a millisecond and the network thread sends what it is given at its next look; serving from
    the network thread saves both waits. Everything else, and whatever comes before the association is established,
    goes the library's way.
    """

    def __init__(self, association: Association) -> None:
        super().__init__()
        self._association = association

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: ANN401, FBT001, FBT002 - queue's
        """Serve a C-STORE, or queue."""
        context_id, message = item
        context = self._association._accepted_cx.get(context_id)  # noqa: SLF001 - the library has no other way in
        if context is None or not self._association.is_established or not _is_storage(message):
            super().put(item, block, timeout)
            return
        try:
            StorageServiceClass(self._association).SCP(message, context)
        except Exception as error:  # noqa: BLE001 - of the library; the network thread must live to tell the peer
            log.error("a C-STORE could not be answered: %s", type(error).__name__)  # noqa: TRY400 - the text may quote data
            self._association.abort(block=False)


def _is_storage(message: object) -> bool:
    return isinstance(message, C_STORE) and message.is_valid_request and message.AffectedSOPClassUID in _STORAGE_UIDS


def _receive(wrapped: AssociationSocket, limits: Limits, count: int) -> bytearray:
    """``count`` bytes, or fewer if the peer hung up; in large reads, where the library asks for 4 KiB at a time.

    An error here ends the connection.
    """
    if count > max(limits.pdu_bytes, _LONGEST_REQUEST):
        raise OSError(f"a PDU of {count} bytes is too long")
    incoming = getattr(wrapped.assoc.dimse.message, "data_set", None)
    if incoming is not None and incoming.tell() > limits.instance_bytes:
        log.error("a data set is longer than %d bytes: its association is ended", limits.instance_bytes)
        raise OSError("the data set is too long")
    raw = wrapped.socket
    if raw is None:
        raise OSError("the connection is closed")
    buffer = bytearray(count)
    got = 0
    with memoryview(buffer) as view:
        while got < count:
            read = raw.recv_into(view[got:])
            if not read:
                break
            got += read
    del buffer[got:]
    return buffer
