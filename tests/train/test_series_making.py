"""A folder of series is gone on with, and says in words why it cannot be."""

import ast
import dataclasses
import errno
import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import train.commands.phantom
import train.series.making
from tests.plain_case import plain_case
from train.anatomy.ranges import Cohort
from train.cases import Case
from train.cli import app
from train.series.order import Order


def plain(seed, recipe, device):
    case = plain_case(seed, shape=(24, 48, 48), spacing_mm=(recipe.slice_mm[0], 4.0, 4.0))
    return Case(seed=seed, heart_centre_mm=(57.5, 95.0, 95.0), **vars(case))


@pytest.fixture
def made(monkeypatch):
    """Which seeds were made."""
    seeds = []

    def make(seed, recipe, device):
        seeds.append(seed)
        return plain(seed, recipe, device)

    monkeypatch.setattr(train.series.making, "make_case", make)
    return seeds


def phantom(*arguments, code=0):
    result = CliRunner().invoke(app, ["phantom", *(str(a) for a in arguments)], env={"COLUMNS": "300"})
    assert result.exit_code == code, result.output
    return result.output


def test_each_seed_gets_its_folder(made, tmp_path):
    said = phantom("--seeds", "4:6", "--out", tmp_path, "--cohort", "low")
    assert "2 series in" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["4", "5", "index.csv"]
    assert sorted(path.name for path in (tmp_path / "4").iterdir()) == ["ct", "truth-seg.dcm", "truth.json"]
    assert len(list((tmp_path / "5" / "ct").iterdir())) == 24
    assert len((tmp_path / "index.csv").read_text().splitlines()) == 3
    truth = json.loads((tmp_path / "4" / "truth.json").read_text())
    assert truth["scores"]["CAC"]["agatston"] > 0
    assert truth["generator"]["cohort"] == "low"


def test_finished_seeds_are_kept_and_torn_ones_made_again(made, tmp_path):
    phantom("--seeds", "1:3", "--out", tmp_path)
    (tmp_path / "2" / "truth.json").write_text("{")
    (tmp_path / ".3.part" / "ct").mkdir(parents=True)
    first = (tmp_path / "1" / "ct" / "0001.dcm").read_bytes()
    said = phantom("--seeds", "1:4", "--out", tmp_path)
    assert made == [1, 2, 2, 3]
    assert "1 of them from before" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "2", "3", "index.csv"]
    assert (tmp_path / "1" / "ct" / "0001.dcm").read_bytes() == first


def test_the_same_command_writes_the_same_bytes(made, tmp_path):
    for folder in ("a", "b"):
        phantom("--seeds", "8", "--out", tmp_path / folder)
    files = [sorted((tmp_path / folder).rglob("*.*")) for folder in ("a", "b")]
    for one, other in zip(*files, strict=True):
        assert one.name == other.name
        assert one.is_dir() or one.read_bytes() == other.read_bytes()


def test_another_recipe_needs_another_folder(made, tmp_path):
    phantom("--seeds", "1", "--out", tmp_path)
    for other in (("--spacing", 2.5), ("--cohort", "none"), ("--format", "npz")):
        assert "use another folder" in phantom("--seeds", "1:3", "--out", tmp_path, *other, code=1)
    assert made == [1]


def test_arrays_instead_of_files(made, tmp_path):
    phantom("--seeds", "1", "--out", tmp_path, "--format", "npz")
    with np.load(tmp_path / "1" / "case.npz") as stored:
        assert set(stored) == {"hu", "calcium", "territory", "anatomy", "spacing_mm"}
        assert np.array_equal(stored["hu"], plain(1, Order.of(Cohort.MIXED, 3.0).recipe, "cpu").hu)
    assert not (tmp_path / "1" / "ct").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--seeds", "5:1", "--out", "x"), "without, B"),
        (("--seeds", "1:2"), "--seeds A:B and --out DIR"),
        (("--out", "x"), "--seeds A:B and --out DIR"),
        ((), "--seeds A:B and --out DIR"),
        (("y", "--seeds", "1:2", "--out", "x"), "leave the other folder out"),
        (("--seeds", "1:2", "--out", "x", "--spacing", "9"), "slice spacing"),
        (("--seeds", "1:2", "--out", "x", "--device", "tpu"), "auto, cpu or cuda"),
        (("--seeds", "1:2", "--out", "x", "--cohort", "many"), "cohort"),
    ],
)
def test_what_makes_no_sense_is_said(options, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert said in " ".join(phantom(*options, code=2).split())
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_folder_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    assert "cannot write to" in phantom("--seeds", "1:2", "--out", tmp_path / "file" / "x", code=1)


def test_too_little_room_is_said_before_anything_is_made(made, tmp_path, monkeypatch):
    monkeypatch.setattr(train.commands.phantom.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))
    assert "1000 cases need about 25.2 GB" in phantom("--seeds", "0:1000", "--out", tmp_path, code=1)
    assert made == []


def test_a_full_disk_leaves_what_is_finished_and_no_debris(made, tmp_path, monkeypatch):
    def full(path, *_):
        if path.parent.name == ".2.part":
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(path, *_)

    import train.series.dicom  # noqa: PLC0415

    whole = train.series.dicom.write_segmentation
    monkeypatch.setattr(train.series.dicom, "write_segmentation", full)
    assert "the disk is full. What is finished is kept" in phantom("--seeds", "1:4", "--out", tmp_path, code=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "index.csv"]
    assert len((tmp_path / "index.csv").read_text().splitlines()) == 2


def test_training_needs_no_dicom_library():
    """Where training runs nothing may be installed but what the core needs: DICOM is imported when it is asked for."""
    root = Path(train.series.making.__file__).parent.parent
    for path in root.rglob("*.py"):
        top = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
        names = [getattr(node, "module", None) or node.names[0].name for node in top]
        speaks = any(name.split(".")[0] in {"pydicom", "highdicom"} or name == "train.series.dicom" for name in names)
        assert speaks == (path.name == "dicom.py"), path


def test_every_recipe_fits_its_estimate():
    order = Order.of(Cohort.HIGH, 1.5)
    assert order.bytes_per_case() == 96 * 512 * 512 * 2
    assert dataclasses.replace(order, written_as="npz").bytes_per_case() == 96 * 512 * 512 * 5
