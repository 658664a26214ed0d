"""What one connection's bytes may do to the library: PDUs of bounded length and time, messages in bounded number.

The library ends a thread by an exception that nobody catches, or waits out a time-out, where a peer sends what its
state machine or its decoders do not foresee. Here every such end is an A-ABORT, a line in the log and free threads.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, cast

from pynetdicom.association import Association
from pynetdicom.dimse_primitives import N_EVENT_REPORT
from pynetdicom.transport import AssociationSocket

from node.dicom.framing import LONGEST_REQUEST, Reason, tell_abort
from node.dicom.lane import Store, StoreLane
from node.dicom.limits import Limits
from node.dicom.reactor import INVALID_PDU, News, Reactor, ToldQueue

log = logging.getLogger(__name__)

_LONGEST_COMMAND: Final = 1 << 16
_MOST_UNANSWERED: Final = 64  # without asynchronous operations, one is what a peer may have
_IDLE: Final = "Sta1"


def prepare(association: Association, limits: Limits) -> None:
    """Set up a connection of either side: no delayed segments, bounds in time and length on every read."""
    wrapped = cast("AssociationSocket", association.dul.socket)
    raw = cast("socket.socket", wrapped.socket)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    raw.settimeout(limits.idle_seconds)
    setattr(wrapped, "recv", partial(_receive, wrapped, limits))  # noqa: B010 - a method, on purpose


def guard(association: Association, limits: Limits, store: Store) -> None:
    """Set up a new connection of a peer: as above, C-STOREs to ``store``, and no end that nobody hears of."""
    prepare(association, limits)
    news = News()
    setattr(association, "_reactor_checkpoint", news)  # noqa: B010 - a stand-in, on purpose
    association.dimse.msg_queue = _Unanswered(association, news)
    association.dul.to_user_queue = ToldQueue(news)
    reactor = Reactor(association, StoreLane(association, limits, store))
    machine = association.dul.state_machine
    # Methods of one object replaced, on purpose: the library makes these objects itself.
    for owner, name, method in (
        (association, "run", partial(_run, association)),
        (association.dul, "run", partial(_run_network, association, reactor)),
        (association.dul, "_read_pdu_data", reactor.read),
        (machine, "do_action", partial(_act, association, machine.do_action)),
        (association.dimse, "receive_primitive", partial(_decode, association, association.dimse.receive_primitive)),
        (association, "_serve_request", partial(_serve, association, association._serve_request)),  # noqa: SLF001 - see above
    ):
        setattr(owner, name, method)


def _ended(what: str, error: Exception) -> None:
    log.warning("an association is ended: its %s could not be handled (%s)", what, type(error).__name__)


def _run(association: Association) -> None:
    """The association's thread; whatever ends it, the network thread does not outlive it."""
    try:
        threading.Thread.run(association)
    except Exception as error:  # noqa: BLE001 - of the library, about what a peer asked for
        _ended("request", error)
        _abort(association)
    finally:
        association.dul.kill_dul()


def _run_network(association: Association, reactor: Reactor) -> None:
    try:
        reactor.run()
    except Exception as error:  # noqa: BLE001 - of the library's state machine
        _ended("sequence of PDUs", error)
        _abort(association)
    finally:
        _let_go(association)


def _act(association: Association, do_action: Callable[[str], None], event: str) -> None:
    """One step of the state machine; back in its first state, nobody need wait for a request any more."""
    do_action(event)
    if association.dul.state_machine.current_state == _IDLE:
        _let_go(association)


def _let_go(association: Association) -> None:
    if association.requestor.primitive is None:
        association.dul.to_user_queue.put(None)  # what a time-out looks like to its reader


def _decode(association: Association, receive_primitive: Callable[[Any], None], primitive: object) -> None:
    try:
        receive_primitive(primitive)
    except Exception as error:  # noqa: BLE001 - of the library's decoders
        _ended("message", error)
        association.dul.event_queue.put(INVALID_PDU)


def _serve(association: Association, serve_request: Callable[[Any, int], None], message: object, context: int) -> None:
    """Serve what does not take the lane."""
    try:
        if isinstance(message, N_EVENT_REPORT):
            _reported(association, message)
            return
        serve_request(message, context)
    except Exception as error:  # noqa: BLE001 - of the library's services
        _ended("request", error)
        association.dul.event_queue.put(INVALID_PDU)


def _reported(association: Association, message: N_EVENT_REPORT) -> None:
    """The answer to a result of storage commitment; a report is for those who asked for one, which we have not."""
    answers = getattr(association, "commitment_answers", None)
    if answers is None or message.MessageIDBeingRespondedTo is None:
        association.dul.event_queue.put(INVALID_PDU)
    else:
        answers.put(message)


def _abort(association: Association) -> None:
    raw = cast("AssociationSocket", association.dul.socket).socket
    if raw is not None:
        tell_abort(raw, Reason.UNEXPECTED)


class _Unanswered(ToldQueue):
    """The queue of decoded messages, for the association's thread; no longer than any peer may make it."""

    def __init__(self, association: Association, news: News) -> None:
        super().__init__(news)
        self._association = association

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:  # noqa: ANN401, FBT001, FBT002 - queue's
        """Queue, or end the association."""
        if self.qsize() >= _MOST_UNANSWERED:
            log.warning("an association is ended: it does not wait for answers")
            self._association.dul.event_queue.put(INVALID_PDU)
            return
        super().put(item, block, timeout)


def _receive(wrapped: AssociationSocket, limits: Limits, count: int) -> bytearray:
    """``count`` bytes, or fewer if the peer hung up; in large reads, where the library asks for 4 KiB at a time.

    They must be there within the time-out all together, not each: a peer that drips would never be cut. An error here
    ends the connection.
    """
    raw = wrapped.socket
    if raw is None:
        raise OSError("the connection is closed")
    if count > max(limits.pdu_bytes, LONGEST_REQUEST):
        tell_abort(raw, Reason.INVALID_PARAMETER)
        log.warning("an association is ended: a PDU claims to be %d bytes long", count)
        raise OSError("a PDU is too long")
    _bound_message(wrapped, raw, limits)
    seconds = limits.idle_seconds if wrapped.assoc.is_established else min(limits.acse_seconds, limits.idle_seconds)
    until = time.monotonic() + seconds
    buffer = bytearray(count)
    got = 0
    with memoryview(buffer) as view:
        while got < count:
            read = raw.recv_into(view[got:])
            if not read:
                break
            got += read
            if got < count:
                raw.settimeout(max(until - time.monotonic(), 0.001))
    raw.settimeout(limits.idle_seconds)
    del buffer[got:]
    return buffer


def _bound_message(wrapped: AssociationSocket, raw: socket.socket, limits: Limits) -> None:
    """End a message, of several PDUs, that grows without end."""
    message = wrapped.assoc.dimse.message
    if message is None:
        return
    data_set = message.data_set
    if data_set is not None and data_set.tell() > limits.instance_bytes:
        log.error("a data set is longer than %d bytes: its association is ended", limits.instance_bytes)
    elif message.encoded_command_set.tell() > _LONGEST_COMMAND:
        log.error("a command is longer than %d bytes: its association is ended", _LONGEST_COMMAND)
    else:
        return
    tell_abort(raw, Reason.INVALID_PARAMETER)
    raise OSError("a message is too long")
