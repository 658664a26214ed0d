"""Where requests for storage commitment come in; over the same associations, results may go back."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from pynetdicom.association import Association
from pynetdicom.dimse_primitives import N_ACTION, N_EVENT_REPORT
from pynetdicom.events import Event

from node.dicom.commitment import SUCCESS, asked, event_of
from node.dicom.encoding import IMPLICIT
from node.domain.commitment import CommitmentRequest, CommitmentResult
from node.domain.errors import PeerDown, Refused

_POLL_SECONDS: Final = 0.05
_RESPONSE_SECONDS: Final = 5.0  # that our own answer to the request may take to go out


@dataclass(eq=False, slots=True)
class _Asker:
    """An association that has asked. ``sent`` is set once the request is answered: only then a result may follow."""

    association: Association
    context_id: int
    implicit: bool
    sent: threading.Event = field(default_factory=threading.Event)
    answers: queue.SimpleQueue[N_EVENT_REPORT] = field(default_factory=queue.SimpleQueue)
    turn: threading.Lock = field(default_factory=threading.Lock)  # a message in several PDUs goes out in one piece


class CommitmentDoor:
    """Hands requests to ``take``, and remembers the last open association of everybody who has asked."""

    def __init__(self, take: Callable[[CommitmentRequest], None]) -> None:
        self._take = take
        self._lock = threading.Lock()
        self._askers: dict[str, _Asker] = {}

    def asked(self, event: Event) -> tuple[int, None]:
        """Answer an N-ACTION."""
        self._remember(event)
        return asked(event, self._take)

    def tell(self, ae_title: str, result: CommitmentResult, seconds: float) -> None:
        """Send a result over the association that asked for it, and see it taken.

        Raises
        ------
        PeerDown
            The association is over, or the peer does not answer in time.
        Refused
            The peer answers with anything but success.

        """
        with self._lock:
            asker = self._askers.get(ae_title)
        if asker is None or not asker.association.is_established or not asker.sent.wait(_RESPONSE_SECONDS):
            raise PeerDown(f"{ae_title} has ended the association it asked on")
        request = event_of(result, implicit=asker.implicit)
        asker.association.dimse.send_msg(request, asker.context_id)
        status = _answer(asker, seconds)
        if status != SUCCESS:
            raise Refused(f"the peer answered the result of storage commitment with {status:04X}")

    def _remember(self, event: Event) -> None:
        association, name = event.assoc, event.assoc.requestor.ae_title.strip()
        implicit = str(event.context.transfer_syntax) == IMPLICIT
        with self._lock:
            known = self._askers.get(name)
            self._askers = {each: one for each, one in self._askers.items() if one.association.is_established}
            if known is not None and known.association is association:
                known.sent.clear()
                return
            asker = _Asker(association, int(event.context.context_id), implicit)
            self._askers[name] = asker
        dimse = association.dimse
        send = dimse.send_msg

        def in_one_piece(message: Any, context_id: int) -> None:  # noqa: ANN401 - the library's
            with asker.turn:
                send(message, context_id)
            if isinstance(message, N_ACTION):
                asker.sent.set()

        # Methods of the library's own object replaced, and a value added, on purpose.
        setattr(dimse, "send_msg", in_one_piece)  # noqa: B010
        setattr(association, "commitment_answers", asker.answers)  # noqa: B010 - node.dicom.guards puts them there


def _answer(asker: _Asker, seconds: float) -> int:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            response = asker.answers.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            if not asker.association.is_established:
                break
            continue
        return int(response.Status) if isinstance(response.Status, int) else -1
    raise PeerDown("the association ended, or the peer did not answer in time")
