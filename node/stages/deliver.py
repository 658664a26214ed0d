"""Deliver: stored objects to one destination, the bytes as they were made, every status checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import structlog

from node.dicom.outgoing import Outcome as Sent
from node.dicom.outgoing import SendItem
from node.domain.errors import NodeError, Unreadable
from node.domain.faults import fault
from node.domain.records import Outcome
from node.domain.work import Work
from node.stages.tracing import tracing_work
from node.storage.storage import Storage

_log = structlog.get_logger(__name__)


class Transport(Protocol):
    """A way to a destination: C-STORE or STOW-RS."""

    def send(self, items: Sequence[SendItem]) -> list[Sent]:
        """Send objects; an outcome for each, in order. Raises nothing foreseen."""
        ...


class Deliverer:
    """Carries objects to one destination."""

    def __init__(self, *, destination: str, storage: Storage, transport: Transport) -> None:
        self._destination = destination
        self._storage = storage
        self._transport = transport

    def __call__(self, works: Sequence[Work]) -> list[Outcome | Exception]:
        """The end of each delivery: done, or the error that says whether to try again."""
        fault("deliver.before-effect")
        results: list[Outcome | Exception] = []
        items: list[SendItem] = []
        for work in works:
            try:
                items.append(self._item(work))
                results.append(Outcome())
            except NodeError as error:
                results.append(error)
        sent = iter(self._transport.send(items))
        fault("deliver.after-effect")
        return [
            self._end(work, next(sent)) if isinstance(result, Outcome) else result
            for work, result in zip(works, results, strict=True)
        ]

    def _item(self, work: Work) -> SendItem:
        made = self._storage.ledger.object(work.object_uid)
        if made is None:
            raise Unreadable("there is no such object to deliver")
        return SendItem(
            sop_class_uid=made.sop_class_uid,
            sop_uid=made.sop_uid,
            transfer_syntax_uid=made.transfer_syntax_uid,
            content=self._storage.outbox.read(made.kept),
        )

    def _end(self, work: Work, sent: Sent) -> Outcome | Exception:
        if sent.error is not None:
            return sent.error
        with tracing_work(self._storage.ledger, work):
            _log.info(
                "delivered",
                object=work.object_uid,
                series=work.series_uid,
                destination=self._destination,
                note=sent.note or None,
            )
        return Outcome(reasons=(sent.note,) if sent.note else ())
