"""The sender's connection over TLS: a handshake with an end, and faults that can be told.

The library connects and shakes hands with the network's errors in its log alone. It also takes a socket on which
something arrives for one with a PDU to read, and would wait for that PDU when all that came is a ticket of TLS 1.3.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.transport import T_CONNECT, AddressInformation, AssociationSocket

from node.dicom.tls import shake_hands, why


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerTls:
    """How to speak TLS with a peer: by which trust, and the name its certificate has to hold."""

    context: ssl.SSLContext
    name: str


class _Connection(ssl.SSLSocket):
    """A TLS socket that can tell whether there is anything for its reader."""

    _first = b""

    def has_data(self) -> bool:
        """Whether a read would not wait: data, the end, or an error."""
        if self._first or self.pending():
            return True
        patience = self.gettimeout()
        self.settimeout(0)
        try:
            self._first = super().recv(1)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        finally:
            self.settimeout(patience)
        return True

    def recv_into(self, buffer: Any, nbytes: int | None = None, flags: int = 0) -> int:  # noqa: ANN401 - as SSLSocket's
        """Read into a buffer, beginning with what was looked at."""
        if not self._first:
            return super().recv_into(buffer, nbytes, flags)
        buffer[:1] = self._first
        self._first = b""
        return 1


class TlsSocket(AssociationSocket):
    """The socket of an association that is requested over TLS; ``fault`` says what ended it, "" if nothing did."""

    def __init__(self, association: Association, address: AddressInformation, tls: PeerTls) -> None:
        super().__init__(association, address=address)
        self._tls = tls
        self.fault = ""
        self.certificate_ends: datetime | None = None
        self._raw = cast("socket.socket", self.socket)

    @property
    def ready(self) -> bool:
        """Whether there is something to read."""
        if not super().ready or not isinstance(self.socket, _Connection):
            return False
        try:
            return self.socket.has_data()
        except OSError as error:
            self._note(error)
            self.event_queue.put("Evt17")
            return False

    def connect(self, primitive: T_CONNECT) -> None:
        """Connect, shake hands, and tell the association how it went."""
        try:
            self._connect(primitive)
        except (OSError, ValueError) as error:  # ValueError: a name that no certificate can hold
            self.fault = why(error) if isinstance(error, OSError) else "the name to verify is none"
            self.discard()
            self.socket = None
            primitive.result = "Evt17"
        else:
            primitive.result = "Evt2"
        self.provider_queue.put(primitive)
        self._ready.set()

    def discard(self) -> None:
        """Close the socket, whatever became of it."""
        self._raw.close()

    def _connect(self, primitive: T_CONNECT) -> None:
        seconds = self.assoc.connection_timeout or 0.0
        self._raw.settimeout(seconds)
        self._raw.connect(primitive.address_info.as_tuple)
        self._tls.context.sslsocket_class = _Connection
        secured = self._tls.context.wrap_socket(
            self._raw, server_hostname=self._tls.name, do_handshake_on_connect=False
        )
        self._raw = self.socket = secured
        shake_hands(secured, seconds)
        told = secured.getpeercert() or {}
        self.certificate_ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(told["notAfter"])), UTC)
        self.assoc.requestor.address_info = AddressInformation.from_tuple(secured.getsockname())
        self._is_connected = True
        evt.trigger(self.assoc, evt.EVT_CONN_OPEN, {"address": primitive.address_info.as_tuple})

    def _note(self, error: OSError) -> None:
        """What the peer said of our certificate comes after the handshake (TLS 1.3)."""
        if isinstance(error, ssl.SSLError):
            self.fault = why(error)
        elif not self.assoc.is_established:
            self.fault = "the peer ended the connection after the TLS handshake; does it take our certificate?"
