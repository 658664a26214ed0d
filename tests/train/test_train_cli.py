import csv
import json
import shutil

import pytest
import torch
from typer.testing import CliRunner

import train.cases
import train.commands.prepare
from model.bundle import CARD, MANIFEST, load_bundle, write_bundle
from model.labels import Territory
from tests.plain_case import plain_case
from tests.tiny_bundle import tiny_bundle
from train.ablation import VARIANTS, WITHHELD
from train.baseline import BaselineReader
from train.cli import app
from train.config import ExperimentConfig
from train.loop import steps_behind

EXPERIMENT = """
name = "test"
seed = 2
[cohort]
cases = 2
held_out_cases = 2
watched_cases = 1
[coarse_network]
filters = 2
levels = 1
[fine_network]
filters = 2
levels = 2
[coarse]
steps = 2
batch = 1
[fine]
steps = 2
batch = 1
[baseline]
steps = 1
batch = 1
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr(train.commands.prepare, "make_case", lambda seed, *_: plain_case(seed))
    monkeypatch.setattr(train.cases, "make_case", lambda seed, *_: plain_case(seed))
    config = tmp_path / "experiment.toml"
    config.write_text(EXPERIMENT)

    def invoke(*arguments: object, code=0):
        result = CliRunner().invoke(app, [str(a) for a in arguments])
        assert result.exit_code == code, result.output
        return result.output

    invoke.config, invoke.folder = config, tmp_path / "run"
    return invoke


def test_from_phantoms_to_a_bundle_that_reads(run, tmp_path):
    options = ("--run", run.folder, "--config", run.config)
    run("prepare", *options)
    assert len(list((run.folder / "cases").iterdir())) == 2
    run("fit", *options, "--device", "cpu")
    out = tmp_path / "bundle"
    assert "test 1 sha256" in run("export", out, *options, "--background-prior", 0.5)
    bundle = load_bundle(out)
    assert bundle.calibration.background_prior == 0.5
    assert bundle.identity.trained_on == "2 synthetic phantoms (seeds 1 to 2); no patient data."
    manifest = json.loads((out / MANIFEST).read_text())
    assert manifest["experiment"]["steps_done"] == {"coarse": 2, "fine-1": 2}
    assert ExperimentConfig.from_dict(manifest["experiment"]["config"]) == ExperimentConfig.load(run.config)
    assert "esearch use only" in (out / CARD).read_text()
    (out / CARD).write_text("written by hand")
    run("export", out, *options)
    assert (out / CARD).read_text() == "written by hand"
    table = run("evaluate", out, "--config", run.config, "--out", tmp_path / "figures", "--device", "cpu")
    assert "| category right |" in table
    assert "test 1: sha256" in (tmp_path / "figures" / "EVALUATION.md").read_text()
    assert len((tmp_path / "figures" / "evaluation.csv").read_text().splitlines()) == 3
    seen = run("evaluate", out, "--out", tmp_path / "seen", "--first-seed", 2, "--cases", 1, code=1)
    assert "trained or calibrated on seed 2" in seen


def test_cases_that_exist_are_kept(run, monkeypatch):
    run("phantom", run.folder, "--cases", 2)

    def never(*_: object):
        raise AssertionError

    monkeypatch.setattr(train.commands.prepare, "make_case", never)
    run("phantom", run.folder, "--cases", 2)


def test_one_network_at_a_time(run):
    options = ("--run", run.folder, "--config", run.config)
    run("prepare", *options)
    run("fit", "fine", *options, "--device", "cpu", "--threads", 1)
    assert (run.folder / "fine-1").is_dir()
    assert not (run.folder / "coarse").exists()
    run("fit", "medium", *options, code=2)


def test_an_ensemble_starts_from_a_bundle_and_all_its_members_are_exported(run, tmp_path):
    options = ("--run", run.folder, "--config", run.config)
    run("prepare", *options)
    run("fit", *options, "--device", "cpu")
    parent = run("export", tmp_path / "parent", *options).split("sha256 ")[1][:12]
    text = EXPERIMENT.replace('name = "test"', 'name = "child"\nmembers = 2') + "[aims]\nposition = false\n"
    run.config.write_text(text.replace("filters = 2\nlevels = 1", "filters = 3\nlevels = 1"))
    child = ("--run", tmp_path / "child", "--config", run.config)
    run("prepare", *child)
    said = run("fit", *child, "--device", "cpu", "--from", tmp_path / "parent")
    assert "fine-2 starts from test 1" in said
    assert "anew: down.0.0.weight" in said  # the localiser has other filters
    run("export", tmp_path / "bundle", *child)
    bundle = load_bundle(tmp_path / "bundle")
    assert len(bundle.members) == 2
    assert bundle.experiment["parent"]["sha256"].startswith(parent)
    assert bundle.experiment["parent"]["name"] == "test"
    first, second = (dict(member.state_dict()) for member in bundle.members)
    assert any(not first[name].equal(second[name]) for name in first)


def test_time_runs_out_and_training_goes_on_later(run):
    run.config.write_text(EXPERIMENT.replace("steps = 2\nbatch", "steps = 500\nbatch"))
    options = ("--run", run.folder, "--config", run.config)
    run("prepare", *options)
    said = run("fit", "fine", *options, "--device", "cpu", "--minutes", 0.01)
    assert "stopped after 0.01 minutes" in said
    assert 0 < steps_behind(run.folder / "fine-1") < 500
    (run.folder / "cases" / "case-0000003.npz").write_bytes((run.folder / "cases" / "case-0000002.npz").read_bytes())
    assert "2 cases before step" in run("fit", "fine", *options, "--device", "cpu", "--minutes", 0.01)


def test_the_baseline_is_trained_beside_it(run):
    run.config.write_text("baseline_pixels = 32\n" + EXPERIMENT)
    options = ("--run", run.folder, "--config", run.config)
    run("prepare", *options)
    run("fit", "baseline", *options, "--device", "cpu")
    reader = BaselineReader.load(run.folder / "baseline" / "baseline.safetensors", torch.device("cpu"))
    assert reader.pixels == 32


def test_the_ablation_goes_on_where_it_stopped(run):
    options = ("--run", run.folder, "--config", run.config, "--steps", 1, "--device", "cpu")
    run("prepare", *options[:4])
    table = run("ablate", *options)
    assert "no position" in table
    rows = (run.folder / "ablation" / "ablation.csv").read_text().splitlines()
    assert len(rows) == 1 + len(VARIANTS)
    shutil.rmtree(run.folder / "cases")  # nothing is trained again
    assert "no position" in run("ablate", *options)


def test_inputs_are_kept_from_a_trained_labeller_without_training(run, tmp_path):
    options = ("--run", run.folder, "--config", run.config, "--device", "cpu")
    run("prepare", *options[:4])
    write_bundle(tmp_path / "tiny", tiny_bundle(finds=Territory.LAD), "# card\n")
    shutil.rmtree(run.folder / "cases")
    table = run("ablate", *options, "--bundle", tmp_path / "tiny")
    assert [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("|")][2:] == [*WITHHELD]
    with (run.folder / "ablation" / "withheld.csv").open() as file:
        assert [row["variant"] for row in csv.DictReader(file)] == [*WITHHELD]
