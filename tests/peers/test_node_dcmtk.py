"""dcmtk's storescu sends real scans to a node with the shipped weights; each ends in an answer or a stated verdict."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from model.bundle import BundleError, default_bundle
from model.reader import Reader
from model.volume import CtVolume
from node.dicom.ct_image import ScanIdentity, ct_images
from node.domain.work import Stage, WorkState
from tests.flow.site import AE_TITLE, SEG, SR, SUMMARY, Archive, Site, a_node, reasons_of, wait_until, work_of
from tests.nrrd import read_nrrd, reference_data
from tests.peers.programs import program

STORESCU = Path("/usr/bin/storescu")  # pynetdicom installs a script of the same name

pytestmark = [
    pytest.mark.peer,
    pytest.mark.reference,
    pytest.mark.skipif(not STORESCU.exists(), reason="dcmtk is not in /usr/bin"),
]


@pytest.fixture(scope="module")
def shipped() -> Reader:
    try:
        return Reader(default_bundle(), device="cpu")
    except BundleError as error:
        pytest.skip(f"no weights are shipped: {error}")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, shipped: Reader) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    roles = ["seg", "sr", "report", "summary"]
    with (
        Archive(folder / "archive") as archive,
        a_node(folder, shipped, [archive.destination(send=roles)]) as node,
    ):
        yield Site(node=node, archive=archive)


def storescu(site: Site, folder: Path) -> tuple[str, int]:
    """Send a folder; the series, and how many instances the node has kept of it."""
    files = sorted(folder.glob("*.dcm"))
    command = [STORESCU, "-v", "+sd", "-aec", AE_TITLE, "127.0.0.1", str(site.node.port), str(folder)]
    done = subprocess.run(
        command, env={**os.environ, "TCP_NODELAY": "1"}, capture_output=True, text=True, timeout=120, check=False
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert said.count("Received Store Response (Success)") == len(files)
    series_uid = str(dcmread(files[0], stop_before_pixels=True).SeriesInstanceUID)
    wait_until(lambda: work_of(site.node, series_uid, Stage.QUALIFY))
    site.settle()
    return series_uid, len(site.node.storage.ledger.instances(series_uid))


def errors_of(file: Path) -> list[str]:
    """What dciodvfy has against an object."""
    said = subprocess.run([program("dciodvfy"), "-new", str(file)], capture_output=True, text=True, check=False)
    lines = (said.stdout + said.stderr).splitlines()
    assert lines
    return [line for line in lines if line.startswith("Error")]


def test_the_phantom_is_kept_whole_and_gets_no_silent_score(site):
    """The QRM thorax phantom has no heart: a score of it would be a score of nothing."""
    series_uid, kept = storescu(site, reference_data("qrm-phantom-canon") / "dicom")
    assert kept == 47
    assert reasons_of(site.node, series_uid) == ("no heart in the field of view",)
    assert site.node.storage.ledger.objects(series_uid, 1) == ()


def test_a_contrast_scan_is_declined_with_contrast_among_the_reasons(site):
    series_uid, kept = storescu(site, reference_data("cptac-chest") / "dicom")
    assert kept == len(list((reference_data("cptac-chest") / "dicom").glob("*.dcm")))
    assert any("contrast" in reason for reason in reasons_of(site.node, series_uid))
    assert site.node.storage.ledger.objects(series_uid, 1) == ()


@pytest.mark.parametrize("name", ["0506", "0909"])
def test_a_real_chest_is_read_and_answered_with_valid_objects(name, site, tmp_path):
    hu, grid = read_nrrd(reference_data("lidc-chest") / f"{name}_img.nrrd")
    volume = CtVolume(hu=hu.astype(np.int16), grid=grid, kvp=120.0, slice_thickness_mm=3.0)
    identity = ScanIdentity(
        seed=f"lidc {name}",
        patient_id="LIDC",
        patient_name="Real^Chest",
        patient_sex="O",
        accession_number="1",
        made_at=datetime(2026, 1, 5, 8, tzinfo=UTC),
    )
    for number, (_, data) in enumerate(ct_images(volume, identity)):
        (tmp_path / f"{number:04d}.dcm").write_bytes(data)
    series_uid, kept = storescu(site, tmp_path)
    assert kept == grid.shape[0]
    assert [row.state for row in work_of(site.node, series_uid, Stage.READ)] == [WorkState.DONE]
    assert {row.state for row in work_of(site.node, series_uid, Stage.DELIVER)} == {WorkState.DONE}
    found = [one for one in site.archive.stored if one.study_uid == identity.uid("study")]
    assert {SR, SUMMARY} <= {one.sop_class_uid for one in found}
    assert len(found) == 4 if SEG in {one.sop_class_uid for one in found} else 3
    for one in found:
        assert errors_of(one.file) == []
