"""Storage commitment as the settings ask for it."""

from __future__ import annotations

from datetime import timedelta

import structlog

from node import parts, trust
from node.commitment_settings import CommitmentPeer
from node.dicom.calling import PeerAddress, Timeouts
from node.dicom.commitment import CommitmentTeller
from node.domain.work import Backoff
from node.settings import Settings
from node.stages.commit import Commitments
from node.storage.storage import Storage

_log = structlog.get_logger(__name__)


def commitments(settings: Settings, storage: Storage, clock: parts.Clock) -> Commitments | None:
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
    return Commitments(storage, {one.ae_title: _teller(settings, one) for one in asked.peers}, backoff, clock)


def _teller(settings: Settings, peer: CommitmentPeer) -> CommitmentTeller:
    seconds = settings.commitment.timeout_seconds
    address = PeerAddress(ae_title=peer.ae_title, host=peer.host, port=peer.port, tls=trust.peer_tls(peer))
    return CommitmentTeller(
        settings.scp.ae_title, address, Timeouts(connect=min(seconds, 5.0), association=seconds, response=seconds)
    )
