import threading
from dataclasses import replace

import numpy as np
import pytest

from node.domain.errors import Permanent
from node.domain.policy import Policy
from node.domain.work import Stage
from node.stages.qualify import Qualifier
from node.stages.read import ReadStage
from node.stages.scans import HUMAN, NODE, ScanKey
from node.stages.stored_scans import StoredScans
from tests.dicom_series import Style, ct_series
from tests.heart_scan import BEAD, heart_scan


@pytest.fixture
def read(rig, lad_reader):
    """Receive and read a series; returns its key."""

    def run(name="one", beads=(BEAD,)):
        images = ct_series(heart_scan(beads=beads), Style(name=name))
        rig.close(images)
        work = rig.claim(Stage.QUALIFY)
        rig.finish(work, Qualifier(rig.ledger, Policy())(work))
        work = rig.claim(Stage.READ)
        rig.finish(work, ReadStage(rig.storage, lad_reader, Policy())(work, "5e" * 32))
        return ScanKey(series_uid=work.series_uid, generation=1)

    return run


def test_a_scan_is_what_was_read(rig, read):
    scan = StoredScans(rig.storage, Policy()).get(read())
    assert scan.hu.dtype == np.int16
    assert np.array_equal(scan.hu, heart_scan().hu)
    assert np.count_nonzero(scan.marks[NODE]) == 32
    assert np.all(scan.hu[scan.marks[NODE] > 0] == 450)
    assert HUMAN not in scan.marks
    with pytest.raises(ValueError, match="read-only"):
        scan.hu[0, 0, 0] = 1


def test_without_calcium_nothing_is_marked(rig, read):
    scan = StoredScans(rig.storage, Policy()).get(read(beads=()))
    assert not scan.marks[NODE].any()


def test_marks_of_the_human_change_the_version(rig, read):
    key = read()
    marked = StoredScans(rig.storage, Policy(), human_marks=lambda _read, ct: np.ones(ct.volume.grid.shape, np.uint8))
    with_human = marked.get(replace(key, read_id=7))
    assert with_human.marks[HUMAN].all()
    assert with_human.version != marked.get(key).version


def test_a_scan_is_decoded_once_however_many_ask(rig, read, monkeypatch):
    key, scans, calls = read(), StoredScans(rig.storage, Policy()), []
    decoded = StoredScans._decoded
    monkeypatch.setattr(StoredScans, "_decoded", lambda self, key: calls.append(key) or decoded(self, key))
    found = []
    threads = [threading.Thread(target=lambda: found.append(scans.get(key))) for _ in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(calls) == 1
    assert len(found) == 6
    assert not scans._turns


def test_memory_is_bounded_and_the_last_one_stays(rig, read):
    keys = [read("one"), read("two")]
    scans = StoredScans(rig.storage, Policy(), most_bytes=1)
    first, second = (scans.get(key) for key in keys)
    assert scans.get(keys[1]) is second
    assert scans.get(keys[0]) is not first


@pytest.mark.parametrize("what", ["spool", "outbox"])
def test_what_is_gone_is_said_in_words_and_tried_again_later(rig, read, what):
    key = read()
    paths = [rig.root / name for name in rig.files(what)]
    kept = {path: path.read_bytes() for path in paths}
    for path in paths:
        path.unlink()
    scans = StoredScans(rig.storage, Policy())
    with pytest.raises(Permanent, match=r"no longer kept here|missing or damaged"):
        scans.get(key)
    for path, data in kept.items():
        path.write_bytes(data)
    assert scans.get(key).hu.shape == (30, 128, 128)


def test_a_series_that_was_never_read(rig):
    with pytest.raises(Permanent, match="no longer kept here"):
        StoredScans(rig.storage, Policy()).get(ScanKey(series_uid="1.2.3", generation=1))
