"""dcmqi reads back the voxels of the Segmentation and the numbers of TID 1500; dsrdump reads both reports."""

import gzip
import json
import subprocess
from datetime import UTC, datetime

import numpy as np
import pytest

from model.lesions import Vessel
from node.dicom.answers import Role, build_answers
from node.dicom.outcome_report import build_outcome
from node.dicom.request import PredecessorRef
from node.dicom.segmentation import segments_of
from node.domain.review import ReviewOutcome
from node.domain.settlement import ScoresFrom, Settlement
from tests.answer_cases import Case
from tests.peers.programs import program
from tests.peers.reference import phantom_request

pytestmark = pytest.mark.peer


def run(name, *arguments: object):
    done = subprocess.run([program(name), *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def nrrd(path):
    """(array as (slice, row, column), header) of a NRRD file."""
    head, _, body = path.read_bytes().partition(b"\n\n")
    fields = dict(line.split(": ", 1) for line in head.decode("ascii").splitlines() if ": " in line)
    raw = gzip.decompress(body) if fields["encoding"] in ("gzip", "gz") else body
    kinds = {"unsigned char": np.uint8, "uchar": np.uint8, "short": "<i2", "unsigned short": "<u2"}
    sizes = [int(size) for size in fields["sizes"].split()]
    return np.frombuffer(raw, kinds[fields["type"]]).reshape(sizes[::-1]), fields


def compare_segments(request, folder):
    made = build_answers(request, [Role.SEG])[0]
    (folder / "seg.dcm").write_bytes(made.data)
    run("segimage2itkimage", "--inputDICOM", folder / "seg.dcm", "--outputDirectory", folder, "-t", "nrrd", "-p", "x")
    source = request.source
    for segment in segments_of(request):
        voxels, fields = nrrd(folder / f"x-{segment.number}.nrrd")
        origin = [float(value) for value in fields["space origin"].strip("()").split(",")]
        bottom = float(source.planes[0].position[2])
        first = round((origin[2] - bottom) / source.slice_spacing_mm)
        expected = request.labels[first : first + voxels.shape[0]] == segment.vessel.label
        np.testing.assert_array_equal(voxels > 0, expected)
        assert expected.sum() == (request.labels == segment.vessel.label).sum()
        assert origin[:2] == pytest.approx([float(value) for value in source.planes[0].position[:2]], abs=1e-3)
        steps = [[float(part) for part in axis.strip("()").split(",")] for axis in fields["space directions"].split()]
        row, column = (float(value) for value in source.pixel_spacing)
        expected_steps = np.diag([column, row, source.slice_spacing_mm])
        np.testing.assert_allclose(steps, expected_steps, atol=1e-4)


def test_voxels_come_back_where_they_were(tmp_path):
    case = Case()
    compare_segments(case.request(case.write(tmp_path / "source")), tmp_path)


def test_voxels_of_an_enhanced_source_come_back(tmp_path):
    case = Case()
    compare_segments(case.request(case.write_enhanced(tmp_path / "source")), tmp_path)


@pytest.mark.reference
def test_voxels_of_a_real_scan_come_back(tmp_path):
    compare_segments(phantom_request(), tmp_path)


@pytest.mark.parametrize("case", [Case(), Case(lesions=())], ids=["calcium", "zero"])
def test_numbers_come_back_as_they_were(case, tmp_path):
    request = case.request(case.write(tmp_path / "source"))
    made = {answer.role: answer for answer in build_answers(request, [Role.SEG, Role.SR])}
    (tmp_path / "sr.dcm").write_bytes(made[Role.SR].data)
    run("tid1500reader", "--inputDICOM", tmp_path / "sr.dcm", "--outputMetadata", tmp_path / "sr.json")
    read_back = json.loads((tmp_path / "sr.json").read_text())["Measurements"]
    groups = {group["TrackingIdentifier"]: group for group in read_back}
    assert len(groups) == 8
    for key, score in request.findings.scores.items():
        group = groups[f"Calcium {key}"]
        read = {item["quantity"]["CodeValue"]: float(item["value"]) for item in group["measurementItems"]}
        concept = "112058" if key in ("AV", "TA", "AC") else "450360000"
        assert read[concept] == pytest.approx(score.agatston, abs=0.005)
        assert read["122660"] == pytest.approx(score.volume_mm3, abs=0.005)
        assert read["122661"] == pytest.approx(score.mass_mg, abs=0.005)
        assert read["246206008"] == score.lesions
        segments = {segment.vessel: segment for segment in segments_of(request)}
        if key in list(Vessel) and Vessel(key) in segments:
            assert group["ReferencedSegment"] == segments[Vessel(key)].number
            assert group["segmentationSOPInstanceUID"] == made[Role.SEG].sop_uid


def test_settled_scores_come_back_beside_ours(tmp_path):
    case = Case()
    report = build_answers(case.request(case.write(tmp_path / "source")), [Role.SEG, Role.SR])[-1]
    settlement = Settlement(
        version=1,
        outcome=ReviewOutcome.HUMAN_RIGHT,
        settled_at=datetime(2026, 3, 5, tzinfo=UTC),
        scores={"LAD": 12.5, "CAC": 12.5},
        scores_from=ScoresFrom.HUMAN,
    )
    before = PredecessorRef(series_uid=report.series_uid, sop_class_uid=report.sop_class_uid, sop_uid=report.sop_uid)
    made = build_outcome(report.data, settlement, before, model_sha256="ab", software_version="1")
    (tmp_path / "sr.dcm").write_bytes(made.data)
    run("tid1500reader", "--inputDICOM", tmp_path / "sr.dcm", "--outputMetadata", tmp_path / "sr.json")
    read_back = json.loads((tmp_path / "sr.json").read_text())["Measurements"]
    groups = {group["TrackingIdentifier"]: group for group in read_back}
    assert len(groups) == 10
    for key in ("LAD", "CAC"):
        (settled,) = groups[f"Settled calcium {key}"]["measurementItems"]
        assert float(settled["value"]) == 12.5
        assert settled["quantity"]["CodeValue"] == "450360000"


@pytest.mark.parametrize(("role", "title"), [(Role.SR, "Imaging Measurement Report"), (Role.REPORT, "Impression")])
def test_dsrdump_reads_the_reports(role, title, tmp_path):
    case = Case()
    made = build_answers(case.request(case.write(tmp_path / "source")), [role])[0]
    (tmp_path / "sr.dcm").write_bytes(made.data)
    assert title in run("dsrdump", "+Pl", tmp_path / "sr.dcm")
