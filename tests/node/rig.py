"""A node without sockets and threads: real stores, a clock that stands still, and the stages called by hand."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydicom.dataset import Dataset

from node.dicom.listener import Closed, StoreRequest
from node.domain.records import Outcome
from node.domain.series import Peer
from node.domain.work import Stage, Work
from node.stages.receive import Receiver
from node.storage.ledger import Ledger
from node.storage.originals import Originals
from node.storage.spool import Outbox, Spool
from node.storage.storage import Storage
from tests.dicom_series import wire_bytes

LEASE = timedelta(minutes=1)


class Clock:
    """Time that passes only when told to."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
        self.passed = 0.0

    def __call__(self) -> datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.passed += seconds

    def steady(self) -> float:
        """Seconds that have passed, whatever ``now`` was set to."""
        return self.passed


def a_peer(association: str = "a1") -> Peer:
    return Peer(ae_title="CT01", host="10.1.0.5", association=association)


def request_of(image: Dataset, peer: Peer | None = None) -> StoreRequest:
    return StoreRequest(
        sop_class_uid=str(image.SOPClassUID),
        sop_uid=str(image.SOPInstanceUID),
        transfer_syntax_uid=str(image.file_meta.TransferSyntaxUID),
        peer=peer or a_peer(),
    )


class Rig:
    """The stores of a node under one root, and the ways tests put things into them."""

    def __init__(self, root: Path, ledger: Path | None, reserve_bytes: int = 0) -> None:
        """Over a copy of a ``ledger`` file, or over what lies under ``root`` already."""
        root.mkdir(parents=True, exist_ok=True)
        if ledger is not None:
            shutil.copy(ledger, root / "ledger.sqlite")
        self.root = root
        self.url = f"sqlite:///{root}/ledger.sqlite"
        self.clock = Clock()
        self.ledger = Ledger(self.url)
        self.spool = Spool(root, reserve_bytes)
        self.outbox = Outbox(root)
        self.storage = Storage(ledger=self.ledger, spool=self.spool, outbox=self.outbox, originals=Originals(root))
        self.ended = 0
        self.receiver = Receiver(self.spool, self.ledger, self.clock, self._on_ended)

    def _on_ended(self) -> None:
        self.ended += 1

    def store(self, image: Dataset, peer: Peer | None = None) -> None:
        self.receiver.store(wire_bytes(image), request_of(image, peer))

    def send(self, images: Sequence[Dataset], association: str = "a1") -> str:
        """One association; returns the series."""
        peer = a_peer(association)
        self.receiver.opened(peer)
        for image in images:
            self.clock.advance(0.001)
            self.store(image, peer)
        self.receiver.closed(peer, Closed.RELEASED)
        return str(images[0].SeriesInstanceUID)

    def close(self, images: Sequence[Dataset], association: str = "a1") -> str:
        """Send and close the series, whatever it lacks."""
        series = self.send(images, association)
        self.ledger.close_series(series, self.clock.now, "test")
        return series

    def claim(self, stage: Stage, destination: str | None = None) -> Work:
        work = self.ledger.claim(self.clock.now, LEASE, (stage,), destination)
        assert work is not None, f"no {stage} work is due"
        return work

    def finish(self, work: Work, outcome: Outcome) -> None:
        self.ledger.finish(work, outcome, self.clock.now)

    def files(self, folder: str) -> set[str]:
        return {path.relative_to(self.root).as_posix() for path in (self.root / folder).rglob("*") if path.is_file()}
