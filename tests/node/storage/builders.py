"""What storage tests are made of: instances, peers, times, and the way a receiver keeps one instance."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from node.domain.records import Arrival, Kept, StoredAnswer
from node.domain.series import Acquisition, Instance, Peer, SliceGeometry
from node.storage.ledger import Ledger
from node.storage.spool import Spool, content_sha256

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
LEASE = timedelta(minutes=1)
META = b"\0" * 128 + b"DICM" + b"meta of the sender"


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def an_instance(sop: str = "1.2.1", series: str = "1.2", study: str = "1", number: int = 1) -> Instance:
    geometry = SliceGeometry(
        position_lps_mm=(-100.0, -100.0, 3.0 * number),
        orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
        rows=512,
        columns=512,
        pixel_spacing_mm=(0.5, 0.5),
    )
    return Instance(
        sop_uid=sop,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        series_uid=series,
        study_uid=study,
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        instance_number=number,
        acquisition=Acquisition(modality="CT", image_type=("ORIGINAL", "PRIMARY"), kvp=120.0),
        slices=(geometry,),
    )


def a_peer(association: str = "a1", title: str = "CT01") -> Peer:
    return Peer(ae_title=title, host="10.1.0.5", association=association)


def a_file(name: str = "x", sha256: str = "0" * 64) -> Kept:
    return Kept(path=f"spool/{name}", sha256=sha256, size=10)


def an_answer(sop: str, role: str = "seg", series: str = "1.2", generation: int = 1) -> StoredAnswer:
    return StoredAnswer(
        sop_uid=sop,
        series_uid=series,
        generation=generation,
        role=role,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.66.4",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        made_series_uid=f"{series}.9",
        kept=Kept(path=f"outbox/{sop}", sha256="1" * 64, size=3),
    )


def dataset_of(sop: str) -> bytes:
    return f"data set of {sop}".encode() * 500


def receive(spool: Spool, ledger: Ledger, instance: Instance, dataset: bytes, peer: Peer) -> Arrival:
    """The receive stage in short: what storage promises holds for this order of calls."""
    sha256 = content_sha256(instance.transfer_syntax_uid, dataset)
    known = ledger.find_instance(instance.sop_uid)
    if known is not None and known.sha256 == sha256 and spool.holds(known.path):
        again = ledger.redelivered(instance, sha256, peer, NOW)
        if again is not None:
            return again
    kept = spool.keep((META, dataset), series_uid=instance.series_uid, sop_uid=instance.sop_uid, sha256=sha256)
    arrival = ledger.add_instance(instance, kept, peer, NOW)
    if arrival is Arrival.CONFLICT:
        moved = spool.quarantine(kept)
        if not ledger.add_quarantined(instance, moved, peer, NOW):
            spool.remove(moved.path)
    return arrival
