"""Commit: what peers ask of storage commitment is kept, judged by what is durably here, and told."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

import structlog

from node.domain.commitment import CommitmentRequest, CommitmentResult, CommitmentState, StoredCommitment, judge
from node.domain.errors import NodeError, Refused
from node.domain.identity import short
from node.domain.work import Backoff
from node.storage.storage import Storage

_log = structlog.get_logger(__name__)


class Teller(Protocol):
    """A way to tell one peer."""

    def tell(self, result: CommitmentResult) -> None:
        """Send a result. Raises NodeError if it was not taken."""
        ...


class Commitments:
    """Takes requests from any thread, and tells results from one.

    Parameters
    ----------
    tellers
        By AE title, the way to those that may ask.

    """

    def __init__(
        self, storage: Storage, tellers: Mapping[str, Teller], backoff: Backoff, clock: Callable[[], datetime]
    ) -> None:
        self._storage = storage
        self._tellers = tellers
        self._backoff = backoff
        self._clock = clock
        self._rng = random.Random()
        self.on_taken: Callable[[], None] = lambda: None

    def take(self, request: CommitmentRequest) -> None:
        """Keep a request; when this returns, it will be answered, also after a restart.

        Raises
        ------
        Refused
            Nobody knows where to send the answer.
        Malformed, Retryable
            As the ledger says.

        """
        if request.ae_title not in self._tellers:
            raise Refused("no address is set for the answer: see commitment.peers")
        if self._storage.ledger.add_commitment(request, self._clock()):
            _log.info("storage commitment asked", peer=request.ae_title, instances=len(request.references))
        self.on_taken()

    def tell_due(self) -> int:
        """Tell what is due; how much that was. A peer that is not to be had is not tried twice in one go."""
        away: dict[str, str] = {}
        due = self._storage.ledger.due_commitments(self._clock())
        for one in due:
            name = one.request.ae_title
            if name in away:
                self._put_off(one, away[name])
                continue
            try:
                self._tell(one)
            except NodeError as error:
                away[name] = str(error)
                self._put_off(one, str(error))
            except Exception as error:  # noqa: BLE001 - else the same request would come first again and again
                _log.exception("a fault of this program: storage commitment could not be answered")
                self._put_off(one, f"a fault of this program: {type(error).__name__}")
        return len(due)

    def kept_as(self, sop_uid: str) -> str | None:
        """The SOP class of an instance whose file and row are both here; None for any other.

        What lies in quarantine, what retention has let go and what somebody has deleted by hand is not here.
        """
        found = self._storage.ledger.find_instance(sop_uid)
        if found is None or not self._storage.spool.holds(found.path):
            return None
        return found.instance.sop_class_uid

    def _tell(self, one: StoredCommitment) -> None:
        teller = self._tellers.get(one.request.ae_title)
        if teller is None:
            raise Refused("it is in commitment.peers no more")
        result = judge(one.request, self.kept_as)
        teller.tell(result)
        self._storage.ledger.settle_commitment(one.id, CommitmentState.TOLD, self._clock())
        _log.info(
            "storage commitment answered",
            peer=one.request.ae_title,
            transaction=short(one.request.transaction_uid),
            kept=len(result.kept),
            failed=len(result.failed),
        )

    def _put_off(self, one: StoredCommitment, why: str) -> None:
        now, attempts = self._clock(), one.attempts + 1
        context = {"peer": one.request.ae_title, "transaction": short(one.request.transaction_uid), "error": why}
        if self._backoff.exhausted(attempts):
            self._storage.ledger.settle_commitment(one.id, CommitmentState.GIVEN_UP, now, why)
            _log.error("storage commitment given up: whoever asked is not to be had", attempts=attempts, **context)
            return
        delay = self._backoff.delay(attempts, self._rng)
        self._storage.ledger.put_off_commitment(one.id, now + delay, now, why)
        _log.warning("storage commitment not answered yet", seconds=round(delay.total_seconds(), 1), **context)
