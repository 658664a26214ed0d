import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import train.localise_check
from model.bundle import DEFAULT_NAME, SHIPPED
from model.labels import Organ
from model.network import folded
from model.volume import CtVolume, VolumeGrid
from tests.tiny_bundle import tiny_bundle
from train.localise_check import HEAD, Scan, find, localiser, open_scans, picture, read_nifti

SPACING = (3.0, 2.0, 2.0)


def ball(middle=(60, 80, 90), radius=38.0, *, drawn=True):
    """A ball of tissue in lung, which the tiny localiser takes for a heart."""
    shape = (40, 80, 80)
    z, y, x = np.meshgrid(*(np.arange(n) * mm for n, mm in zip(shape, SPACING, strict=True)), indexing="ij")
    heart = (z - middle[0]) ** 2 + (y - middle[1]) ** 2 + (x - middle[2]) ** 2 < radius**2
    hu = np.where(heart, 50, -850).astype(np.float32)
    grid = VolumeGrid(shape=shape, spacing_mm=SPACING, origin_lps_mm=(5.0, 6.0, 7.0))
    return Scan(name="ball", volume=CtVolume(hu=hu, grid=grid), heart=heart & drawn)


def test_a_heart_where_it_was_drawn_passes(tmp_path):
    found = find(folded(tiny_bundle().coarse), ball())
    assert found.right
    assert np.linalg.norm(found.off_mm) < 1.0
    assert found.dice > 0.95
    assert found.line().endswith("| ok |")
    assert found.line().count("|") == HEAD.splitlines()[0].count("|")
    picture(found, tmp_path / "seen" / "ball.png")
    assert (tmp_path / "seen" / "ball.png").stat().st_size > 10_000


def test_a_heart_elsewhere_or_where_there_is_none_fails():
    network = folded(tiny_bundle().coarse)
    scan = ball()
    moved = Scan(name="moved", volume=scan.volume, heart=np.roll(scan.heart, 7, axis=2))
    found = find(network, moved)
    assert found.off_mm == pytest.approx([-14, 0, 0], abs=1)
    assert not found.right
    assert not find(network, ball(drawn=False)).right
    small = find(network, ball(radius=12.0))
    assert small.located is None
    assert not small.right
    assert small.line().endswith("| WRONG |")
    assert find(network, ball(radius=12.0, drawn=False)).right


def nifti(path: Path, steps: tuple[float, float, float] = (-1.5, -2.0, 3.0)) -> Path:
    values = np.arange(24, dtype="<i2").reshape(4, 3, 2)
    header = bytearray(352)
    struct.pack_into("<8h", header, 40, 3, 2, 3, 4, 1, 1, 1, 1)
    struct.pack_into("<h", header, 70, 4)
    struct.pack_into("<3f", header, 108, 352.0, 2.0, -10.0)
    for row, (step, start) in enumerate(zip(steps, (70.0, 250.0, 540.0), strict=True)):
        line = [0.0, 0.0, 0.0, start]
        line[row] = step
        struct.pack_into("<4f", header, 280 + 16 * row, *line)
    path.write_bytes(gzip.compress(bytes(header) + values.tobytes()))
    return path


def test_a_nifti_is_read_towards_head_back_and_left(tmp_path):
    values, origin, spacing = read_nifti(nifti(tmp_path / "a.nii.gz"))
    assert values.shape == (4, 3, 2)
    assert values[1, 0, 1] == 2 * 7 - 10
    assert origin == (540.0, -250.0, -70.0)
    assert spacing == (3.0, 2.0, 1.5)
    with pytest.raises(ValueError, match="does not run"):
        read_nifti(nifti(tmp_path / "b.nii.gz", (1.5, -2.0, 3.0)))


def test_the_command_fails_if_a_scan_does(monkeypatch, tmp_path):
    monkeypatch.setattr(train.localise_check, "localiser", lambda _: folded(tiny_bundle().coarse))
    monkeypatch.setattr(train.localise_check, "open_scans", lambda _: [ball(), ball(drawn=False)])
    monkeypatch.setattr(train.localise_check, "phantoms", lambda _: [])
    app = train.localise_check.typer.Typer()
    app.command()(train.localise_check.main)
    result = CliRunner().invoke(app, [str(tmp_path), "--pictures", str(tmp_path)])
    assert result.exit_code == 1
    assert "WRONG" in result.output
    assert (tmp_path / "ball.png").is_file()


REFERENCE = Path(os.environ.get("SECOND_READER_REFERENCE_DATA", Path(__file__).parents[3] / "shared" / "data"))


@pytest.mark.reference
@pytest.mark.skipif(not (REFERENCE / "totalsegmentator-aorta").is_dir(), reason="the open reference data are not here")
def test_the_shipped_localiser_on_real_scans():
    """LIDC masks hold the great vessels' roots: the centre of the chambers lies 5 to 12 mm below theirs."""
    network = localiser(SHIPPED / DEFAULT_NAME)
    for scan in open_scans(REFERENCE):
        found = find(network, scan)
        assert (found.located is None) == (scan.name == "QRM"), scan.name
        if found.off_mm is not None:
            assert np.linalg.norm(found.off_mm) <= 12, scan.name
            assert found.dice > 0.75, scan.name
            assert (found.organs == Organ.LUNG).any()
