"""The Storage SCU: stored objects to one peer, each with its own outcome, the bytes as they are stored.

What an answer means:

==================================================  =====================================================
C-STORE 0000; B000, B006, B007; 0111                delivered; with a note; already there
C-STORE A7xx, no answer in time, connection lost    PeerDown
any other C-STORE status                            Refused
association not to be had                           as `node.dicom.calling` says
presentation context not accepted                   Refused, naming the SOP class
==================================================  =====================================================
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from io import BytesIO
from typing import cast

from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.presentation import PresentationContext

from node.dicom.calling import Caller, PeerAddress, Timeouts, exchange
from node.dicom.contexts import VERIFICATION, name_of_class
from node.dicom.outgoing import Outcome, SendItem, all_failed, unreadable
from node.dicom.tls_client import PeerTls
from node.domain.errors import NodeError, PeerDown, Permanent, Refused

__all__ = ["Outcome", "PeerAddress", "PeerTls", "SendItem", "Sender", "Timeouts"]

_WARNINGS = {0xB000: "coerced data elements", 0xB006: "elements were discarded", 0xB007: "does not match its SOP class"}
_ALREADY_THERE = 0x0111
_MOST_CONTEXTS = 128


class Sender:
    """Storage SCU towards one peer. Holds no connection between calls; calls may come from several threads."""

    def __init__(self, ae_title: str, peer: PeerAddress, timeouts: Timeouts | None = None) -> None:
        self._caller = Caller(ae_title, peer, timeouts)
        self._timeouts = timeouts or Timeouts()

    def echo(self) -> datetime | None:
        """C-ECHO; until when the peer's certificate is good, None without TLS.

        Raises
        ------
        PeerDown, Refused
            As the module says.

        """
        with self._caller.association([build_context(VERIFICATION)]) as association:
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
            with self._caller.association(contexts) as association:
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
        return _meaning(exchange(association, request, cast("int", context.context_id), self._timeouts.response))


def _context_for(association: Association, item: SendItem) -> PresentationContext:
    for context in association.accepted_contexts:
        if context.abstract_syntax == item.sop_class_uid and item.transfer_syntax_uid in context.transfer_syntax:
            return context
    name = name_of_class(item.sop_class_uid)
    raise Refused(f"the peer does not accept {name} as {name_of_class(item.transfer_syntax_uid)}")


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
