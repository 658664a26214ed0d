"""Who may associate: judged once, when an association is asked for (PS3.8 9.3.4)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

from pynetdicom.association import Association
from pynetdicom.pdu_primitives import A_ASSOCIATE

from node.dicom.contexts import asks_to_store
from node.dicom.limits import AllowedPeer
from node.dicom.tls import presented_by

log = logging.getLogger(__name__)

Refusal = tuple[int, int, int]
"""(result, source, reason) of a rejection."""
_NOT_US: Final = (1, 1, 7)
_STRANGER: Final = (1, 1, 3)
_NO_ROOM: Final = (2, 3, 1)
_TOO_MANY: Final = (2, 3, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRules:
    """Whom to let in: as whom we are called, by whom. An empty ``allow`` is everyone."""

    ae_title: str
    allow: tuple[AllowedPeer, ...] = ()
    accept_any_called: bool = False


class Gate:
    """Judges by the rules of the moment; whoever is in stays in when they change.

    Parameters
    ----------
    has_room
        Whether there is room to store; without, whoever asks to store is put off, and C-ECHO is answered.
    takes
        Takes a place for an association; False where there is none left.

    """

    def __init__(self, rules: GateRules, has_room: Callable[[], bool], takes: Callable[[Association], bool]) -> None:
        self._rules = rules
        self._has_room = has_room
        self._takes = takes

    def change(self, rules: GateRules) -> None:
        """Judge by other rules from now on."""
        self._rules = rules
        if not rules.allow:
            log.warning("any peer may send: the list of allowed peers is empty")

    def refusal(self, association: Association) -> Refusal | None:
        """Why an association is rejected; None to accept. The reason is logged."""
        rules = self._rules
        request = cast("A_ASSOCIATE", association.requestor.primitive)
        calling, called = request.calling_ae_title.strip(), request.called_ae_title.strip()
        address = association.requestor.address
        presented = presented_by(getattr(association.dul.socket, "socket", None))
        if not rules.accept_any_called and called != rules.ae_title:
            refusal, why = _NOT_US, "called AE title not recognised"
        elif rules.allow and not any(peer.admits(calling, address, presented) for peer in rules.allow):
            refusal, why = _STRANGER, "no allowed peer has this AE title, address and certificate"
        elif asks_to_store(request) and not self._has_room():
            refusal, why = _NO_ROOM, "there is no room to store"
        elif not self._takes(association):
            refusal, why = _TOO_MANY, "local limit exceeded"
        else:
            return None
        log.warning("association of %r at %s for %r rejected: %s", calling, address, called, why)
        return refusal
