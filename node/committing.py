"""Storage commitment as the settings ask for it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import structlog

from node import parts, trust
from node.commitment_settings import CommitmentPeer
from node.dicom.calling import PeerAddress, Timeouts
from node.dicom.commitment import CommitmentTeller
from node.dicom.commitment_door import CommitmentDoor
from node.domain.commitment import CommitmentResult
from node.domain.errors import PeerDown
from node.domain.work import Backoff
from node.settings import Settings
from node.stages.commit import Commitments
from node.storage.storage import Storage

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Committing:
    """Where requests come in, and what becomes of them."""

    stage: Commitments
    door: CommitmentDoor


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """How one peer is told: over the association it asked on, where it likes that, or over one of ours."""

    peer: str
    door: CommitmentDoor | None
    own: CommitmentTeller | None
    seconds: float

    def tell(self, result: CommitmentResult) -> None:
        """Send a result. Raises NodeError if it was not taken."""
        if self.door is not None:
            try:
                self.door.tell(self.peer, result, self.seconds)
            except PeerDown:
                if self.own is None:
                    raise
            else:
                return
        if self.own is not None:
            self.own.tell(result)


def committing(settings: Settings, storage: Storage, clock: parts.Clock) -> Committing | None:
    """What answers those who ask; None where nobody may. Raises SettingsError if a certificate cannot be used."""
    asked = settings.commitment
    if not asked.peers:
        return None
    if settings.retention.images_days is not None or settings.retention.free_gib:
        _log.warning("storage is committed to peers although retention lets images go: this node is no archive")
    backoff = Backoff(
        first=timedelta(seconds=asked.first_retry_seconds),
        most=timedelta(seconds=asked.most_retry_seconds),
        attempts=asked.attempts,
    )
    ways: dict[str, _Way] = {}
    stage = Commitments(storage, ways, backoff, clock)
    door = CommitmentDoor(stage.take)
    for one in asked.peers:
        ways[one.ae_title] = _Way(
            peer=one.ae_title,
            door=door if one.same_association else None,
            own=_teller(settings, one),
            seconds=asked.timeout_seconds,
        )
    return Committing(stage=stage, door=door)


def _teller(settings: Settings, peer: CommitmentPeer) -> CommitmentTeller | None:
    if peer.host is None or peer.port is None:
        return None
    seconds = settings.commitment.timeout_seconds
    address = PeerAddress(ae_title=peer.ae_title, host=peer.host, port=peer.port, tls=trust.peer_tls(peer))
    return CommitmentTeller(
        settings.scp.ae_title, address, Timeouts(connect=min(seconds, 5.0), association=seconds, response=seconds)
    )
