"""Receive: the bytes of an instance into the spool and the ledger. When this returns, the instance is kept."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from datetime import datetime

import structlog

from node.dicom.files import file_head
from node.dicom.headers import read_instance
from node.dicom.listener import Closed, StoreRequest
from node.domain.errors import Retryable
from node.domain.records import Arrival, Kept
from node.domain.series import Instance, Peer
from node.stages.tracing import tracing
from node.storage.ledger import Ledger
from node.storage.spool import Spool, content_sha256

Clock = Callable[[], datetime]

_log = structlog.get_logger(__name__)


class Receiver:
    """Called by the listener from any number of threads at once."""

    def __init__(self, spool: Spool, ledger: Ledger, clock: Clock, on_ended: Callable[[], None]) -> None:
        self._on_ended = on_ended
        self._spool = spool
        self._ledger = ledger
        self._clock = clock

    def store(self, dataset: bytes | memoryview, request: StoreRequest) -> None:
        """Keep one instance durably, file first, row second; only then may success be answered (PS3.4 B.2.3).

        The same content again is a success without effect. Other content under a known UID is kept in quarantine and
        flagged: the first stays.

        Raises
        ------
        Malformed
            The bytes cannot be kept as what they claim to be.
        StorageFull, StorageAway, LedgerBusy
            No resources now; nothing was kept.

        """
        instance = read_instance(dataset, request.transfer_syntax_uid)
        with tracing(instance.study_uid):
            self._receive(dataset, instance, request)

    def _receive(self, dataset: bytes | memoryview, instance: Instance, request: StoreRequest) -> None:
        sha256 = content_sha256(request.transfer_syntax_uid, dataset)
        now = self._clock()
        known = self._ledger.kept_as(instance.sop_uid)
        if (
            known is not None
            and known.sha256 == sha256
            and self._spool.holds(known.path)
            and self._ledger.redelivered(instance, sha256, request.peer, now) is Arrival.SAME
        ):
            _log.debug("instance received again", instance=instance.sop_uid, peer=request.peer.ae_title)
        else:
            self._keep(dataset, instance, sha256, request)

    def _keep(self, dataset: bytes | memoryview, instance: Instance, sha256: str, request: StoreRequest) -> None:
        head = file_head(
            sop_class_uid=request.sop_class_uid,
            sop_uid=request.sop_uid,
            transfer_syntax_uid=request.transfer_syntax_uid,
        )
        kept = self._spool.keep(
            (head, dataset), series_uid=instance.series_uid, sop_uid=instance.sop_uid, sha256=sha256
        )
        now = self._clock()
        try:
            arrival = self._ledger.add_instance(instance, kept, request.peer, now)
        except Retryable:
            self._take_back(instance, kept)
            raise
        if arrival is Arrival.CONFLICT:
            moved = self._spool.quarantine(kept)
            if not self._ledger.add_quarantined(instance, moved, request.peer, now):
                self._spool.remove(moved.path)  # the same contradiction is in quarantine already
            _log.warning(
                "another content under a known UID: the first is kept, this one is in quarantine",
                instance=instance.sop_uid,
                series=instance.series_uid,
                peer=request.peer.ae_title,
            )

    def _take_back(self, instance: Instance, kept: Kept) -> None:
        """Remove a file that got no row, or a peer that repeats itself would fill the disk with what nobody names.

        Where the ledger cannot even say whether it has the row, the file stays; the next start sweeps it.
        """
        with contextlib.suppress(Retryable):
            known = self._ledger.kept_as(instance.sop_uid)
            if known is None or known.path != kept.path:
                self._spool.remove(kept.path)

    def opened(self, peer: Peer) -> None:
        """An association that may deliver has begun."""
        self._ledger.association_opened(peer, self._clock())

    def closed(self, peer: Peer, how: Closed) -> None:
        """An association has ended, in whatever way."""
        self._ledger.association_closed(peer, released=how is Closed.RELEASED)
        self._on_ended()
