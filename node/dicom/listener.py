"""The Storage and Verification SCP: associations in, bytes to one handler, its errors back as statuses.

Success (0x0000) is answered only after the handler returned, and the handler keeps the bytes before it does. Whatever
it raises becomes a status that says what it means (PS3.7 annex C, PS3.4 B.2.3).
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.events import Event
from pynetdicom.pdu_primitives import A_ABORT

from node.dicom.acceptor import AllowedPeer, Connections, Limits, abort_all
from node.dicom.association import Closed, NoTally, StoreRequest, Tally
from node.dicom.commitment_door import CommitmentDoor
from node.dicom.discretion import keep_libraries_discreet
from node.dicom.doors import Doors
from node.dicom.gate import Gate, GateRules
from node.dicom.headers import identity_of
from node.dicom.lane import by_event
from node.dicom.places import Places
from node.dicom.statuses import Answer, Status, mismatch, status_of
from node.dicom.store_wire import StoreCommand
from node.domain.identity import short
from node.domain.series import Peer

__all__ = ["AllowedPeer", "Closed", "Limits", "Listener", "ListenerConfig", "StoreRequest"]

log = logging.getLogger(__name__)

_WATCH_SECONDS = 0.5
_LAST_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerConfig:
    """Where to listen, as whom, to whom. An empty ``allow`` is everyone; port 0 takes a free one.

    ``port`` None does not listen without TLS; ``tls`` is the port and the context of TLS, None: none.
    """

    ae_title: str
    host: str = "0.0.0.0"  # noqa: S104 - a DICOM node listens to the hospital network; the settings say where
    port: int | None = 11112
    tls: tuple[int, ssl.SSLContext] | None = None
    allow: tuple[AllowedPeer, ...] = ()
    accept_any_called: bool = False
    limits: Limits = field(default_factory=Limits)
    has_room: Callable[[], bool] = lambda: True  # without, whoever asks to store is put off; C-ECHO is answered
    commitment: CommitmentDoor | None = None  # takes requests for storage commitment; None: not offered

    def rules(self) -> GateRules:
        """Whom to let in."""
        return GateRules(ae_title=self.ae_title, allow=self.allow, accept_any_called=self.accept_any_called)


def _nothing(*_: object) -> None:
    return


class Listener:
    """Storage SCP on its own threads, one per association.

    Parameters
    ----------
    config
        Where, as whom, to whom.
    on_store
        Called with the data set's bytes as they came over the wire, and the request. Returning means: kept. Called
        from many threads at once.
    on_opened, on_closed
        Called once each for every association that was accepted; ``on_closed`` never before its last ``on_store``
        has returned.
    tally
        Counts associations and answers.

    """

    def __init__(
        self,
        config: ListenerConfig,
        on_store: Callable[[bytes, StoreRequest], None],
        *,
        on_opened: Callable[[Peer], None] = _nothing,
        on_closed: Callable[[Peer, Closed], None] = _nothing,
        tally: Tally | None = None,
    ) -> None:
        self._config = config
        self._on_store = on_store
        self._on_opened = on_opened
        self._on_closed = on_closed
        self._tally = tally or NoTally()
        self._lock = threading.Lock()
        self._peers: dict[Association, Peer] = {}
        self._ends: dict[Association, Closed] = {}
        self._storing: set[Association] = set()
        self._stopping = threading.Event()
        self._doors: Doors | None = None
        self._threads: list[threading.Thread] = []
        self._connections = Connections()
        self._places = Places(config.limits)
        self._gate = Gate(config.rules(), config.has_room, self._takes)

    @property
    def port(self) -> int:
        """The port that is bound, the one without TLS if there is one; the configured one while not started."""
        plain = self._config.port if self._doors is None else self._doors.port(tls=False)
        return (self.tls_port or 0) if plain is None else plain

    @property
    def tls_port(self) -> int | None:
        """The port of TLS; None without."""
        if self._doors is not None:
            return self._doors.port(tls=True)
        return None if self._config.tls is None else self._config.tls[0]

    @property
    def listening(self) -> bool:
        """Whether the address is bound and served."""
        return self._doors is not None and all(thread.is_alive() for thread in self._threads)

    @property
    def open_associations(self) -> int:
        """How many associations are established."""
        with self._lock:
            return len(self._peers)

    def start(self) -> None:
        """Bind and listen; returns at once.

        Raises
        ------
        OSError
            If the address cannot be bound.

        """
        keep_libraries_discreet()
        self._stopping.clear()
        self._doors = self._bound()
        self._gate.change(self._config.rules())
        for target in (*self._doors.serving(), self._watch):
            thread = threading.Thread(target=target, name="dicom-listener", daemon=True)
            thread.start()
            self._threads.append(thread)
        ports = self._doors.port(tls=False), self.tls_port
        log.info("listening as %s on %s, port %s, TLS port %s", self._config.ae_title, self._config.host, *ports)

    def change(self, config: ListenerConfig) -> None:
        """Take whom to let in, and the certificate to show, from another configuration; the rest stays as it is.

        Associations that are open go on.
        """
        self._gate.change(config.rules())
        if self._doors is not None and config.tls is not None:
            self._doors.renew(config.tls[1])

    def stop(self, grace_seconds: float = 10.0) -> None:
        """Take no more associations, let running ones end for ``grace_seconds``, abort what is left."""
        doors, self._doors = self._doors, None
        if doors is None:
            return
        doors.stop_accepting()
        until = time.monotonic() + grace_seconds
        while self.open_associations and time.monotonic() < until:
            time.sleep(0.02)
        self._stopping.set()
        while self._storing and time.monotonic() < until + grace_seconds:
            time.sleep(0.02)
        abort_all(doors.associations())
        for thread in self._threads:
            thread.join(timeout=5)
        self._threads.clear()
        self._close_dead()
        self._connections.end(_LAST_SECONDS)
        log.info("no longer listening")

    def _bound(self) -> Doors:
        config, limits = self._config, self._config.limits
        handlers: list[evt.EventHandlerType] = [
            (evt.EVT_CONN_OPEN, lambda event: self._connections.take(event.assoc, limits, self._store)),
            (evt.EVT_REQUESTED, self._admit),
            (evt.EVT_ACCEPTED, self._opened),
            (evt.EVT_ACSE_RECV, self._told),
            (evt.EVT_RELEASED, lambda event: self._closed(event.assoc, Closed.RELEASED)),
            (evt.EVT_ABORTED, lambda event: self._closed(event.assoc, self._ends.get(event.assoc, Closed.LOST))),
            (evt.EVT_C_STORE, lambda event: by_event(event, self._store)),
        ]
        if config.commitment is not None:
            handlers.append((evt.EVT_N_ACTION, config.commitment.asked))
        doors = Doors(config.host, config.port, config.tls)
        doors.open(config.ae_title, limits, self._connections, handlers)
        return doors

    def _admit(self, event: Event) -> None:
        """Reject an association that is not for us, from a stranger, or one too many (PS3.8 9.3.4)."""
        try:
            refusal = self._gate.refusal(event.assoc)
        except Exception as error:  # noqa: BLE001 - the library would log it and let the peer in
            log.error("an association could not be judged and is rejected: %s", type(error).__name__)  # noqa: TRY400 - text
            refusal = (2, 1, 1)
        self._tally.association(refusal)
        if refusal is not None:
            event.assoc.acse.send_reject(*refusal)
            event.assoc.is_rejected = True
            event.assoc.kill()

    def _takes(self, association: Association) -> bool:
        return not self._stopping.is_set() and self._places.take(association)

    def _opened(self, event: Event) -> None:
        association = event.assoc
        peer = Peer(
            ae_title=association.requestor.ae_title.strip(),
            host=association.requestor.address,
            association=uuid.uuid4().hex,
        )
        with self._lock:
            self._peers[association] = peer
        self._on_opened(peer)

    def _told(self, event: Event) -> None:
        if isinstance(getattr(event, "primitive", None), A_ABORT):
            self._ends[event.assoc] = Closed.ABORTED

    def _closed(self, association: Association, how: Closed) -> None:
        with self._lock:
            if association in self._storing:  # an end that overtook its last store waits for the watch
                self._ends[association] = how
                return
            peer = self._peers.pop(association, None)
            self._ends.pop(association, None)
        self._places.leave(association)
        if peer is None:
            return
        if how is not Closed.RELEASED:
            log.warning("association of %r at %s was %s", peer.ae_title, peer.host, how.value)
        try:
            self._on_closed(peer, how)
        except Exception:
            log.exception("the end of an association could not be handed on")

    def _store(self, association: Association, command: StoreCommand, syntax: str, data: bytes) -> Answer:
        with self._lock:
            peer = self._peers.get(association)
            self._storing.add(association)
        try:
            answer = self._answer(command, syntax, data, peer)
            self._tally.answered(int(answer.status))
            return answer
        finally:
            with self._lock:
                self._storing.discard(association)

    def _answer(self, command: StoreCommand, syntax: str, data: bytes, peer: Peer | None) -> Answer:
        """One call of the handler, then exception to status."""
        if peer is None or self._stopping.is_set():
            return Answer(Status.OUT_OF_RESOURCES, "shutting down")
        request = StoreRequest(
            sop_class_uid=command.sop_class_uid, sop_uid=command.sop_uid, transfer_syntax_uid=syntax, peer=peer
        )
        try:
            named = identity_of(data, syntax)
            wrong = mismatch(named, (command.sop_class_uid, command.sop_uid))
            if wrong is not None:
                return wrong
            self._on_store(data, request)
        except Exception as error:  # noqa: BLE001 - whatever it is, the peer gets a status that means something
            return status_of(error, subject=short(command.sop_uid))
        return Answer(Status.SUCCESS)

    def _watch(self) -> None:
        """Close what ended without a word: a thread that died with its connection raises no event."""
        while not self._stopping.wait(_WATCH_SECONDS):
            self._close_dead()
            self._connections.close_dead()

    def _close_dead(self) -> None:
        with self._lock:
            dead = {each: self._ends.get(each, Closed.LOST) for each in self._peers if not each.is_alive()}
        for association, how in dead.items():
            self._closed(association, how)
