"""Marks that people drew come back from the originals, on the scan they were drawn on."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest

from model.lesions import Vessel
from node.domain.errors import Malformed, Permanent
from node.domain.policy import Policy
from node.domain.work import Stage
from node.stages.human_marks import StoredMarks, apart, together
from node.stages.read import ReadStage
from node.stages.scans import HUMAN, NODE, ScanKey
from node.stages.stored_scans import StoredScans
from tests.heart_scan import BEAD
from tests.human_reports import a_report
from tests.node.stages.test_human_objects import IMAGES, STUDY, YELLOW, pictures, qualifier, run


@pytest.fixture
def key(rig, lad_reader) -> ScanKey:
    """A scan that was read, and a person's coloured pictures of it."""
    rig.close(IMAGES)
    run(rig, qualifier(rig))
    work = rig.claim(Stage.READ)
    rig.finish(work, ReadStage(rig.storage, lad_reader, Policy())(work, "5e" * 32))
    rig.close(pictures(), "a2")
    run(rig, qualifier(rig))
    (read,) = rig.ledger.reads_of(STUDY)
    return ScanKey(series_uid=work.series_uid, generation=1, read_id=read.id)


def scans(rig) -> StoredScans:
    return StoredScans(rig.storage, Policy(), human_marks=StoredMarks(rig.storage, YELLOW))


def test_coloured_pictures_are_a_layer_of_their_own(rig, key):
    scan = scans(rig).get(key)
    marked = np.argwhere(scan.marks[HUMAN])
    assert marked.min(axis=0).tolist() == list(BEAD)
    assert set(np.unique(scan.marks[HUMAN])) == {0, Vessel.LAD.label}
    assert scan.remarks == ()
    assert scan.version != scans(rig).get(replace(key, read_id=None)).version


def test_what_is_gone_takes_only_its_own_layer_with_it(rig, key):
    for name in rig.files("reads"):
        (rig.root / name).unlink()
    scan = scans(rig).get(key)
    assert set(scan.marks) == {NODE}
    assert "marks of the human cannot be shown" in scan.remarks[0]


def test_marks_that_lie_on_another_scan_are_not_shown(rig, key):
    class Elsewhere(StoredMarks):
        def __call__(self, read_id, ct) -> object:
            return super().__call__(read_id, replace(ct, planes=tuple((f"{uid}.9", 1) for uid, _ in ct.planes)))

    scan = StoredScans(rig.storage, Policy(), human_marks=Elsewhere(rig.storage, YELLOW)).get(key)
    assert HUMAN not in scan.marks
    assert "not a slice of the scan" in scan.remarks[0]


def test_a_report_has_no_voxels(rig, key):
    rig.close([a_report(IMAGES[0], 12.0)], "a3")
    run(rig, qualifier(rig))
    report = next(one for one in rig.ledger.reads_of(STUDY) if one.id != key.read_id)
    scan = scans(rig).get(replace(key, read_id=report.id))
    assert (set(scan.marks), scan.remarks) == ({NODE}, ())
    assert scans(rig).get(replace(key, read_id=999)).remarks == ()


@pytest.mark.parametrize("files", [[b"one"], [b"one", b"two"], [b"a"] * 12])
def test_files_come_apart_as_they_were(files):
    assert apart(together(files)) == files


def test_an_archive_that_was_not_made_here_is_refused():
    bomb = BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0000.dcm", b"\0" * 10_000_000)
    for data in (bomb.getvalue(), together([b"one", b"two"])[:30]):
        with pytest.raises(Malformed, match="taken apart"):
            apart(data)
    assert issubclass(Malformed, Permanent)
