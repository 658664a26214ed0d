"""``score`` on folders of files: what it writes, says and refuses."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from pydicom import dcmread

from node.domain.reading_json import Declined, from_document, loads
from tests.dicom_series import Style, ct_series, thorax, write_series
from tests.heart_scan import AGATSTON_OF_A_BEAD, BEAD, ORIGIN_LPS_MM, heart_scan
from tests.node.command_line import run

CALCIUM, FEW = Style().series_uid(), Style(name="few").series_uid()


@pytest.fixture(scope="module")
def scored(tmp_path_factory, config_of, scan_folder):
    out = tmp_path_factory.mktemp("out")
    result = run("score", scan_folder, "--out", out, "--json", "--config", config_of(out / "never-made"))
    return result, out


def test_score_writes_the_files_of_the_contract(scored, scan_folder):
    result, out = scored
    assert result.exit_code == 0
    written = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    names = ("reading.json", "seg.dcm", "sr.dcm", "summary.png")
    assert written == {f"{FEW}/reading.json", *(f"{CALCIUM}/{name}" for name in names)}
    findings = loads((out / CALCIUM / "reading.json").read_bytes())
    assert findings.scores["LAD"].agatston == pytest.approx(AGATSTON_OF_A_BEAD)
    assert {"decode", "read", "answers", "write", "total"} <= set(findings.timings_ms)
    assert isinstance(loads((out / FEW / "reading.json").read_bytes()), Declined)
    assert dcmread(out / CALCIUM / "seg.dcm").Modality == "SEG"
    assert dcmread(out / CALCIUM / "sr.dcm").Modality == "SR"
    assert (out / CALCIUM / "summary.png").read_bytes().startswith(b"\x89PNG")


def test_score_prints_the_readings_as_json(scored):
    result, out = scored
    readings = {one["series_uid"]: one for one in json.loads(result.stdout)["readings"]}
    assert set(readings) == {CALCIUM, FEW}
    assert readings[CALCIUM] == json.loads((out / CALCIUM / "reading.json").read_bytes())
    assert from_document(readings[CALCIUM]).category == "100-399"
    assert readings[FEW]["eligible"] is False
    assert any("number of slices 3" in reason for reason in readings[FEW]["reasons"])


def test_score_says_what_it_left_out(scored):
    result, _ = scored
    assert "skipped notes.txt" in result.stderr
    assert ".hidden" not in result.stderr


def test_scoring_again_leaves_nothing_of_the_reading_before(scored, config_of, tmp_path):
    """A segmentation beside a reading without calcium would be somebody else's."""
    _, before = scored
    out = tmp_path / "out"
    shutil.copytree(before, out)
    (out / CALCIUM / "mine.txt").write_text("kept", encoding="utf-8")
    write_series(ct_series(heart_scan(beads=())), tmp_path / "scan")
    result = run("score", tmp_path / "scan", "--out", out, "--config", config_of(tmp_path / "node"))
    assert result.exit_code == 0
    assert "Agatston" in result.stdout
    assert "Research use only" in result.stdout
    left = {path.name for path in (out / CALCIUM).iterdir()}
    assert left == {"reading.json", "sr.dcm", "summary.png", "mine.txt"}
    assert loads((out / CALCIUM / "reading.json").read_bytes()).scores["CAC"].agatston == 0


def test_nothing_eligible_is_3_with_the_reasons_and_needs_no_network(tmp_path, config_of, scan_folder):
    config = config_of(tmp_path / "node").rename(tmp_path / "node.toml")
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace('bundle = "', 'bundle = "/nowhere'), encoding="utf-8")
    for arguments in ([], ["--json"]):
        result = run("score", scan_folder / "few", "--config", config, *arguments)
        assert result.exit_code == 3
        assert "number of slices 3" in result.stderr.replace("\n", " ")
    assert json.loads(result.stdout)["readings"][0]["eligible"] is False
    whole = run("score", scan_folder, "--config", config)
    assert whole.exit_code == 1
    assert "no bundle" in whole.stderr


def test_an_empty_folder_is_3(tmp_path, config):
    result = run("score", tmp_path, "--config", config)
    # the configuration lies elsewhere: there is nothing here
    assert result.exit_code == 3
    assert "no DICOM series found" in result.stderr


def test_a_folder_that_cannot_be_written_is_1(scan_folder, tmp_path, config):
    (tmp_path / "file").write_text("", encoding="utf-8")
    result = run("score", scan_folder / "few", "--out", tmp_path / "file" / "below", "--config", config)
    assert result.exit_code == 1
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_candidates_are_the_components_of_the_phantom(scan_folder, config):
    result = run("score", scan_folder / "calcium", "--candidates", "--json", "--config", config)
    assert result.exit_code == 0
    found = json.loads(result.stdout)["candidates"]
    assert len(found) == 2
    middle = np.array([BEAD[2] + 1.5, BEAD[1] + 1.5]) + ORIGIN_LPS_MM[:2]
    for number, one in enumerate(found):
        assert set(one) == {
            "series_uid",
            "slice",
            "position_mm",
            "centroid_lps_mm",
            "area_mm2",
            "peak_hu",
            "agatston",
        }
        height = ORIGIN_LPS_MM[2] + 3.0 * (BEAD[0] + number)
        assert (one["series_uid"], one["slice"]) == (CALCIUM, BEAD[0] + number)
        assert one["position_mm"] == pytest.approx(height)
        assert one["centroid_lps_mm"] == pytest.approx([*middle, height])
        assert (one["area_mm2"], one["peak_hu"]) == (pytest.approx(16), 450)
        assert one["agatston"] == pytest.approx(AGATSTON_OF_A_BEAD / 2)
    table = run("score", scan_folder / "calcium", "--candidates", "--config", config)
    assert "2 components" in table.stdout


def test_candidates_of_what_is_no_volume_are_3(tmp_path, config):
    images = ct_series(thorax(3))
    for image in images:
        image.RescaleSlope = 0
    write_series(images, tmp_path / "scan")
    result = run("score", tmp_path / "scan", "--candidates", "--json", "--config", config)
    assert result.exit_code == 3
    assert json.loads(result.stdout) == {"candidates": []}
    assert "rescale" in result.stderr
