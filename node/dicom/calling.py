"""Associations that this node asks for: opened, closed whatever happens, and one answer to one request.

==================================================  =====================================================
not reached, lost, no answer in time                PeerDown
association rejected, transient                     PeerDown
TLS fails: certificates, names, versions            PeerDown, saying what is wrong
association rejected for good: AE title, protocol   Refused: a person must change a setting here or there
association rejected for good, no reason given      PeerDown: busy archives do that
presentation context not accepted                   Refused, naming the SOP class
==================================================  =====================================================
"""

from __future__ import annotations

import queue
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, cast

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE, N_EVENT_REPORT
from pynetdicom.events import Event
from pynetdicom.pdu_primitives import A_ASSOCIATE, SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AssociationSocket

from node.dicom.acceptor import Limits, prepare
from node.dicom.contexts import name_of_class
from node.dicom.discretion import keep_libraries_discreet
from node.dicom.tls_client import PeerTls, TlsSocket
from node.domain.errors import PeerDown, Refused

_POLL_SECONDS: Final = 0.05
Request = C_STORE | N_EVENT_REPORT


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerAddress:
    """Where a DICOM peer listens, and as whom; over TLS, if it is said how."""

    ae_title: str
    host: str
    port: int
    tls: PeerTls | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long to wait, in seconds: for TCP, for an association, for the answer to one C-STORE."""

    connect: float = 10.0
    association: float = 30.0
    response: float = 60.0


class _Entity(AE):
    """An AE that knows its socket: pynetdicom leaves one that could not connect to the garbage collector."""

    def __init__(self, ae_title: str, tls: PeerTls | None) -> None:
        super().__init__(ae_title=ae_title)
        self._tls = tls
        self._raw: socket.socket | None = None
        self.secured: TlsSocket | None = None

    def _create_socket(self, *args: Any, **kwargs: Any) -> AssociationSocket:  # noqa: ANN401 - as the library's
        if self._tls is None:
            wrapped = super()._create_socket(*args, **kwargs)
        else:
            wrapped = self.secured = TlsSocket(args[0], args[1], self._tls)
        self._raw = wrapped.socket
        return wrapped

    def close(self) -> None:
        """Close the socket, whatever became of it."""
        if self.secured is not None:
            self.secured.discard()
        elif self._raw is not None:
            self._raw.close()


class Caller:
    """Asks one peer for associations. Holds no connection between calls; calls may come from several threads."""

    def __init__(self, ae_title: str, peer: PeerAddress, timeouts: Timeouts | None = None) -> None:
        keep_libraries_discreet()
        self._ae_title = ae_title
        self._peer = peer
        self._timeouts = timeouts or Timeouts()

    @contextmanager
    def association(
        self, contexts: list[PresentationContext], roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = ()
    ) -> Iterator[Association]:
        """An association that is open until the block ends.

        Raises
        ------
        PeerDown, Refused
            As the module says.

        """
        entity = _Entity(self._ae_title, self._peer.tls)
        entity.connection_timeout = self._timeouts.connect
        entity.acse_timeout = self._timeouts.association
        entity.dimse_timeout = self._timeouts.response
        entity.network_timeout = self._timeouts.response
        limits = Limits(idle_seconds=self._timeouts.response)
        try:
            association = entity.associate(
                self._peer.host,
                self._peer.port,
                contexts=contexts,
                ae_title=self._peer.ae_title,
                max_pdu=limits.pdu_bytes,
                ext_neg=list(roles),
                evt_handlers=[(evt.EVT_CONN_OPEN, _connected, [limits])],
            )
        except OSError as fault:  # a host name that does not resolve, no free local port
            raise PeerDown(f"{self._peer.ae_title} cannot be reached ({type(fault).__name__})") from fault
        if not association.is_established:
            entity.close()
            raise self._why_not(association, entity.secured.fault if entity.secured is not None else "")
        try:
            yield association
        finally:
            if association.is_established:
                association.release()
            if association.is_established:
                association.abort()
            entity.close()

    def _why_not(self, association: Association, fault: str) -> PeerDown | Refused:
        name = self._peer.ae_title
        answer = association.acceptor.primitive
        if association.is_rejected and answer is not None:
            return _rejection(name, answer)
        if association.rejected_contexts:
            return Refused(f"{name} does not accept {_classes(association.rejected_contexts)}")
        # Tried again, also for certificates: those are renewed, and what waits goes out then.
        return PeerDown(f"{name}: {fault}" if fault else f"{name} cannot be reached or does not answer")


def _rejection(name: str, answer: A_ASSOCIATE) -> PeerDown | Refused:
    """What a rejected association means (PS3.8 table 9-21)."""
    said = f"{name} rejected the association: {answer.reason_str}"
    for_good = answer.result == 1 and answer.diagnostic != 1
    return Refused(said) if for_good else PeerDown(said)


def _classes(contexts: Sequence[PresentationContext]) -> str:
    return ", ".join(sorted({name_of_class(str(context.abstract_syntax)) for context in contexts}))


class _Answers(queue.Queue[Any]):
    """The queue of decoded messages with the answers to our requests kept apart.

    The association's own thread takes whatever it finds in the library's queue, and pausing it, as the library's
    send_c_store does, leaves a moment in which it takes the answer all the same.
    """

    def __init__(self) -> None:
        super().__init__()
        self.given: queue.Queue[Request] = queue.Queue()

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: ANN401, FBT001, FBT002 - queue's
        """Keep an answer, or queue."""
        if isinstance(item[1], C_STORE | N_EVENT_REPORT) and item[1].MessageIDBeingRespondedTo is not None:
            self.given.put(item[1])
        else:
            super().put(item, block, timeout)


def _connected(event: Event, limits: Limits) -> None:
    prepare(event.assoc, limits)
    event.assoc.dimse.msg_queue = _Answers()


def exchange(association: Association, request: Request, context_id: int, seconds: float) -> int:
    """Send a request and wait for the status of its response.

    Raises
    ------
    PeerDown
        If the connection is lost or the answer does not come in time; the association is then over.

    """
    answers = cast("_Answers", association.dimse.msg_queue).given
    association.dimse.send_msg(request, context_id)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            response = answers.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            if not association.is_established or not association.dul.is_alive():
                break
            continue
        if response.MessageIDBeingRespondedTo == request.MessageID and isinstance(response.Status, int):
            return response.Status
        break
    association.abort()
    association.is_established = False
    raise PeerDown("the connection was lost, or the peer did not answer in time")
