"""The Storage SCU: stored objects to one peer, each with its own outcome, the bytes as they are stored.

What an answer means:

==================================================  =====================================================
C-STORE 0000; B000, B006, B007; 0111                delivered; with a note; already there
C-STORE A7xx, no answer in time, connection lost    PeerDown
any other C-STORE status                            Refused
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
from datetime import datetime
from io import BytesIO
from typing import Any, cast

from pynetdicom import AE, build_context, evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.presentation import PresentationContext
from pynetdicom.transport import AssociationSocket

from node.dicom.acceptor import Limits, prepare
from node.dicom.contexts import VERIFICATION, name_of_class
from node.dicom.discretion import keep_libraries_discreet
from node.dicom.outgoing import Outcome, SendItem, all_failed, unreadable
from node.dicom.tls_client import PeerTls, TlsSocket
from node.domain.errors import NodeError, PeerDown, Permanent, Refused

__all__ = ["Outcome", "PeerAddress", "PeerTls", "SendItem", "Sender", "Timeouts"]

_WARNINGS = {0xB000: "coerced data elements", 0xB006: "elements were discarded", 0xB007: "does not match its SOP class"}
_ALREADY_THERE = 0x0111
_MOST_CONTEXTS = 128
_POLL_SECONDS = 0.05


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


class Sender:
    """Storage SCU towards one peer. Holds no connection between calls; calls may come from several threads."""

    def __init__(self, ae_title: str, peer: PeerAddress, timeouts: Timeouts | None = None) -> None:
        keep_libraries_discreet()
        self._ae_title = ae_title
        self._peer = peer
        self._timeouts = timeouts or Timeouts()

    def echo(self) -> datetime | None:
        """C-ECHO; until when the peer's certificate is good, None without TLS.

        Raises
        ------
        PeerDown, Refused
            As the module says.

        """
        with self._association([build_context(VERIFICATION)]) as association:
            if not association.accepted_contexts:
                raise Refused("the peer does not accept Verification")
            status = association.send_c_echo()
            if "Status" not in status:
                raise PeerDown("no answer to C-ECHO")
            if status.Status != 0:
                raise Refused(f"C-ECHO answered {status.Status:04X}")
            return getattr(association.dul.socket, "certificate_ends", None)

    def send(self, items: Sequence[SendItem]) -> list[Outcome]:
        """Send objects over one association; an outcome for each, in order. Raises nothing foreseen."""
        wanted = sorted({(item.sop_class_uid, item.transfer_syntax_uid) for item in items})
        if not wanted:
            return []
        if len(wanted) > _MOST_CONTEXTS:  # PS3.8 9.3.2.2: context ids are odd and below 256
            half = len(items) // 2
            return [*self.send(items[:half]), *self.send(items[half:])]
        contexts = [build_context(sop_class, syntax) for sop_class, syntax in wanted]
        try:
            with self._association(contexts) as association:
                return list(self._outcomes(association, items))
        except (PeerDown, Permanent) as error:
            return all_failed(list(items), error)

    def _outcomes(self, association: Association, items: Sequence[SendItem]) -> Iterator[Outcome]:
        lost: PeerDown | None = None
        for number, item in enumerate(items, start=1):
            if lost is not None:
                yield Outcome(sop_uid=item.sop_uid, error=lost)
                continue
            try:
                note = self._store(association, item, number)
            except PeerDown as error:
                lost = error if not association.is_established else None
                yield Outcome(sop_uid=item.sop_uid, error=error)
            except Permanent as error:
                yield Outcome(sop_uid=item.sop_uid, error=error)
            else:
                yield Outcome(sop_uid=item.sop_uid, note=note)

    def _store(self, association: Association, item: SendItem, number: int) -> str:
        """One C-STORE of the bytes as stored; pynetdicom's own would decode and encode them again."""
        context = _context_for(association, item)
        try:
            dataset = item.dataset_bytes()
        except (OSError, NodeError) as fault:
            unreadable(item, fault).require()
            raise AssertionError from fault  # require() has raised
        request = C_STORE()
        request.MessageID = (number - 1) % 0xFFFF + 1
        request.Priority = 0
        request.AffectedSOPClassUID = item.sop_class_uid
        request.AffectedSOPInstanceUID = item.sop_uid
        request.DataSet = BytesIO(dataset)
        return _meaning(_exchange(association, request, cast("int", context.context_id), self._timeouts.response))

    @contextmanager
    def _association(self, contexts: list[PresentationContext]) -> Iterator[Association]:
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


def _context_for(association: Association, item: SendItem) -> PresentationContext:
    for context in association.accepted_contexts:
        if context.abstract_syntax == item.sop_class_uid and item.transfer_syntax_uid in context.transfer_syntax:
            return context
    name = name_of_class(item.sop_class_uid)
    raise Refused(f"the peer does not accept {name} as {name_of_class(item.transfer_syntax_uid)}")


class _Answers(queue.Queue[Any]):
    """The queue of decoded messages with the answers to C-STOREs kept apart.

    The association's own thread takes whatever it finds in the library's queue, and pausing it, as the library's
    send_c_store does, leaves a moment in which it takes the answer all the same.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stored: queue.Queue[C_STORE] = queue.Queue()

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: ANN401, FBT001, FBT002 - queue's
        """Keep an answer, or queue."""
        if isinstance(item[1], C_STORE) and item[1].MessageIDBeingRespondedTo is not None:
            self.stored.put(item[1])
        else:
            super().put(item, block, timeout)


def _connected(event: Event, limits: Limits) -> None:
    prepare(event.assoc, limits)
    event.assoc.dimse.msg_queue = _Answers()


def _exchange(association: Association, request: C_STORE, context_id: int, seconds: float) -> int:
    """Send a request and wait for the status of its response.

    Raises
    ------
    PeerDown
        If the connection is lost or the answer does not come in time; the association is then over.

    """
    answers = cast("_Answers", association.dimse.msg_queue).stored
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
    raise PeerDown("the connection was lost, or the peer did not answer the C-STORE in time")


def _meaning(status: int) -> str:
    """The note of a delivery, "" as a rule.

    Raises
    ------
    PeerDown, Refused
        As the module says.

    """
    if status == 0:
        return ""
    if status in _WARNINGS:
        return f"the peer warned {status:04X}: {_WARNINGS[status]}"
    if status == _ALREADY_THERE:
        return "the peer has it already (0111)"
    if status & 0xFF00 == 0xA700:
        raise PeerDown(f"the peer is out of resources ({status:04X})")
    raise Refused(f"the peer answered {status:04X}")
