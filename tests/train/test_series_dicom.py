"""Phantom series as others see them: read back by pydicom, highdicom and the node, judged by dciodvfy."""

import dataclasses
import json
import subprocess
from types import SimpleNamespace

import highdicom
import numpy as np
import pytest
import torch
from pydicom import dcmread

import train.series.making
from model import scoring
from model.definition import definition_for
from model.lesions import CalciumMask, Vessel
from node import offline
from node.domain.policy import Policy
from node.stages.reading import volume_of
from tests.peers.programs import program
from train.anatomy.ranges import Cohort
from train.cases import make_case
from train.series.dicom import write_segmentation
from train.series.identity import SeriesIdentity
from train.series.making import make_series, write_index
from train.series.order import Order
from train.series.scan import TrueScan

SEED = 3


def small(order: Order) -> Order:
    """Few and large pixels, and no more slices than the node asks for."""
    recipe = dataclasses.replace(
        order.recipe, matrix=96, pixel_mm=2.2, slices=(34, 34), shortest_mm=1.0, per_slice=1, lattice_mm=4.0
    )
    return dataclasses.replace(order, recipe=recipe)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of one series, and the case it was made from."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    order = small(Order.of(Cohort.HIGH, 3.0))
    kept = []

    def make(seed, recipe, device):
        kept.append(make_case(seed, recipe, device))
        return kept[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train.series.making, "make_case", make)
        folder = make_series(tmp_path_factory.mktemp("series"), SEED, order, "cpu")
    write_index(folder.parent)
    torch.set_num_threads(before)
    return SimpleNamespace(folder=folder, case=kept[0], truth=json.loads((folder / "truth.json").read_text()))


def test_the_node_takes_it_and_sees_the_same_voxels(made):
    (found,), skipped = offline.search(sorted((made.folder / "ct").iterdir()), Policy())
    assert skipped == ()
    assert found.verdict.eligible, found.verdict.reason_texts
    assert found.series_uid == made.truth["series_uid"]
    volume = volume_of(found.verdict.chosen, found.paths, Policy()).volume
    filled = made.case.hu < -1500
    assert filled.any(), "this seed's scanner fills what lies outside its circle; take another that does"
    assert np.array_equal(volume.hu, np.where(filled, -1024, made.case.hu))
    scan = TrueScan.of(made.case)
    assert np.allclose(volume.grid.spacing_mm, made.case.spacing_mm)
    assert np.allclose(volume.grid.origin_lps_mm, scan.volume.grid.origin_lps_mm)
    assert np.allclose(volume.grid.axes(), scan.volume.grid.axes())
    assert volume.kvp == 120


def test_the_truth_holds_when_scored_from_the_files_alone(made):
    read = highdicom.seg.segread(made.folder / "truth-seg.dcm")
    (found,), _ = offline.search(sorted((made.folder / "ct").iterdir()), Policy())
    volume = volume_of(found.verdict.chosen, found.paths, Policy()).volume
    bottom_up = [dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in sorted((made.folder / "ct").iterdir())][::-1]  # fmt: skip  # noqa: E501
    labels = read.get_pixels_by_source_instance(
        bottom_up, combine_segments=True, ignore_spatial_locations=True, assert_missing_frames_are_empty=True
    ).astype(np.uint8)
    assert set(np.unique(labels)) - {0} == {v.label for v in Vessel if made.truth["scores"][v]["lesions"]}
    inside = (labels > 0) & (labels != made.case.calcium)
    assert not inside.any()
    scores = scoring.score(volume, CalciumMask(labels=labels, grid=volume.grid), definition_for())
    for name, region in made.truth["scores"].items():
        assert scores.regions[name].agatston == pytest.approx(region["agatston"], abs=1e-3)
        assert region["mass_mg"] is None


def test_the_segmentation_names_its_segments_and_lies_on_the_images(made):
    read = highdicom.seg.segread(made.folder / "truth-seg.dcm")
    assert read.number_of_segments == 6
    sites = {number: read.get_segment_description(number).anatomic_regions[0].value for number in range(1, 7)}
    assert sites == {1: "3227004", 2: "59438005", 3: "57396003", 4: "13647002", 5: "34202007", 6: "113262008"}
    first = dcmread(made.folder / "ct" / "0001.dcm")
    assert read.FrameOfReferenceUID == first.FrameOfReferenceUID
    assert (read.StudyInstanceUID, read.PatientID) == (first.StudyInstanceUID, first.PatientID)
    assert read.SeriesInstanceUID != first.SeriesInstanceUID
    geometry = read.get_volume_geometry()
    assert np.allclose(geometry.spacing, made.case.spacing_mm)


def test_the_images_say_that_they_are_of_nobody(made):
    images = [dcmread(path) for path in sorted((made.folder / "ct").iterdir())]
    assert [int(image.InstanceNumber) for image in images] == list(range(1, 35))
    heights = [float(image.ImagePositionPatient[2]) for image in images]
    assert heights == sorted(heights, reverse=True)
    for image in images:
        assert str(image.PatientName).startswith("PHANTOM^")
        assert image.QualityControlImage == "YES"
        assert "SpacingBetweenSlices" not in image
        assert list(image.ImageType) == ["ORIGINAL", "PRIMARY", "AXIAL"]


def test_dciodvfy_finds_nothing(made):
    for path in (made.folder / "ct" / "0007.dcm", made.folder / "truth-seg.dcm"):
        said = subprocess.run([program("dciodvfy"), "-new", str(path)], capture_output=True, text=True, check=False)
        lines = (said.stdout + said.stderr).split()
        assert lines in (["CTImage"], ["Segmentation"])


def test_the_index_lists_the_case(made):
    head, line = (made.folder.parent / "index.csv").read_text().splitlines()
    assert head.startswith("seed,cohort,series_uid")
    assert line.startswith(f"{SEED},high,{made.truth['series_uid']},34,3.0,2.2,{made.truth['category']},")


def test_the_heart_of_the_truth_is_where_the_chambers_are(made):
    index = np.argwhere(np.isin(made.case.anatomy, (1, 2, 3, 4))).mean(axis=0)
    place = TrueScan.of(made.case).volume.grid.to_lps(index)
    assert np.linalg.norm(place - made.truth["heart_centre_lps_mm"]) < 10


def test_without_calcium_there_is_no_segmentation(made, tmp_path):
    empty = TrueScan.of(dataclasses.replace(made.case, calcium=np.zeros_like(made.case.calcium)))
    assert not write_segmentation(tmp_path / "seg.dcm", empty, SeriesIdentity(seed=1, content=""))
    assert not (tmp_path / "seg.dcm").exists()
