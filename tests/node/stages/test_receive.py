from __future__ import annotations

import pytest

from node.domain.errors import LedgerBusy, Malformed, StorageFull
from tests.dicom_series import Style, ct_series, thorax, wire_bytes
from tests.node.rig import Rig, a_peer, request_of


@pytest.fixture
def images():
    return ct_series(thorax(3))


def test_an_instance_is_in_a_file_and_in_a_row(rig, images):
    rig.store(images[0])
    stored = rig.ledger.find_instance(images[0].SOPInstanceUID)
    assert stored is not None
    assert stored.instance.series_uid == images[0].SeriesInstanceUID
    assert stored.peer == a_peer()
    assert stored.received_at == rig.clock.now
    data = rig.spool.path(stored.path).read_bytes()
    assert data[128:132] == b"DICM"
    assert data.endswith(wire_bytes(images[0]))
    assert rig.files("spool") == {stored.path}


def test_the_same_again_is_a_success_without_effect(rig, images):
    rig.store(images[0])
    before = rig.files("spool")
    rig.store(images[0], a_peer("a2"))
    assert rig.files("spool") == before
    assert len(rig.ledger.instances(images[0].SeriesInstanceUID)) == 1
    assert rig.files("quarantine") == set()


def test_the_same_again_brings_a_lost_file_back(rig, images):
    rig.store(images[0])
    stored = rig.ledger.find_instance(images[0].SOPInstanceUID)
    rig.spool.path(stored.path).unlink()
    rig.store(images[0])
    again = rig.ledger.find_instance(images[0].SOPInstanceUID)
    assert rig.spool.path(again.path).read_bytes().endswith(wire_bytes(images[0]))
    assert len(rig.ledger.instances(images[0].SeriesInstanceUID)) == 1


def changed(image):
    other = ct_series(thorax(3), Style(tags={"KVP": 100}))[0]
    assert other.SOPInstanceUID == image.SOPInstanceUID
    return other


def test_other_content_under_a_known_uid_goes_into_quarantine(rig, images):
    rig.store(images[0])
    first = rig.ledger.find_instance(images[0].SOPInstanceUID)
    rig.store(changed(images[0]))
    stored = rig.ledger.find_instance(images[0].SOPInstanceUID)
    assert (stored.path, stored.sha256) == (first.path, first.sha256)
    assert (first.conflicted, stored.conflicted) == (False, True)
    (kept,) = rig.ledger.quarantined(images[0].SOPInstanceUID)
    assert rig.files("quarantine") == {kept.path}
    assert rig.spool.path(kept.path).read_bytes().endswith(wire_bytes(changed(images[0])))
    assert rig.files("spool") == {first.path}
    (overview,) = rig.ledger.recent_series(1)
    assert overview.conflicts == 1


def test_a_peer_that_repeats_its_contradiction_fills_no_disk(rig, images):
    rig.store(images[0])
    for _ in range(3):
        rig.store(changed(images[0]))
    assert len(rig.files("quarantine")) == 1
    assert rig.files("quarantine") | rig.files("spool") == rig.ledger.known_paths()


def test_a_known_instance_in_another_series_contradicts(rig, images):
    rig.store(images[0])
    moved = ct_series(thorax(3), Style(tags={"SeriesInstanceUID": "1.2.3.4"}))[0]
    assert moved.SOPInstanceUID == images[0].SOPInstanceUID
    rig.store(moved)
    assert rig.ledger.find_instance(images[0].SOPInstanceUID).conflicted
    assert rig.ledger.find_series("1.2.3.4") is None


def test_what_is_no_dicom_is_refused_and_not_kept(rig, images):
    with pytest.raises(Malformed):
        rig.receiver.store(wire_bytes(images[0])[:-100], request_of(images[0]))
    assert rig.files("spool") == set()
    assert rig.ledger.status()["instances"] == 0


def test_a_busy_ledger_is_said_and_no_row_names_a_file(rig, images, monkeypatch):
    def busy(*_: object):
        raise LedgerBusy("locked")

    with monkeypatch.context() as away:
        away.setattr(rig.ledger, "add_instance", busy)
        with pytest.raises(LedgerBusy):
            rig.store(images[0])
    assert rig.ledger.known_paths() == frozenset()
    rig.store(images[0])  # the scanner sends it again
    assert len(rig.ledger.instances(images[0].SeriesInstanceUID)) == 1
    swept = rig.spool.sweep(rig.ledger.known_paths())
    assert swept.missing == ()
    assert rig.files("spool") == rig.ledger.known_paths()


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, empty_ledger, images):
    full = Rig(tmp_path / "full", empty_ledger, reserve_bytes=1 << 60)
    with pytest.raises(StorageFull):
        full.store(images[0])
    assert full.files("") - {"ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"} == set()
    assert full.ledger.status()["instances"] == 0
    full.ledger.close()


def test_associations_are_counted_while_they_last(rig, images):
    peer = a_peer()
    rig.receiver.opened(peer)
    rig.store(images[0], peer)
    assert rig.ledger.open_series()[0].open_associations == 1
    assert rig.ended == 0
    rig.send(images[1:], "a2")
    assert rig.ledger.open_series()[0].open_associations == 1
    assert rig.ended == 1


def test_a_file_that_gets_no_row_is_taken_back(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StorageFull("no room left for the ledger")

    with monkeypatch.context() as patched:
        patched.setattr(rig.ledger, "add_instance", full)
        for _ in range(2):
            with pytest.raises(StorageFull):
                rig.store(ct_series(thorax(3))[0])
    assert rig.files("spool") == set()
