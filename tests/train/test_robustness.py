"""Comparisons, their tables, and the command that makes them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import train.robustness.running
from model.bundle import write_bundle
from model.labels import Territory
from model.lesions import CalciumMask, Vessel
from model.reader import Reader
from tests.heart_scan import AGATSTON_OF_A_BEAD, BEAD, heart_scan
from tests.tiny_bundle import tiny_bundle
from train.anatomy.ranges import ConfuserRanges
from train.cases import Case
from train.cli import app
from train.robustness.comparison import Comparison, Sighting, compare
from train.robustness.report import summarise, to_csv, to_markdown
from train.robustness.sample import Sample
from train.robustness.variants import VARIANTS, Kind


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def reader():
    return Reader(tiny_bundle(finds=Territory.LAD), device="cpu")


def seen(reader, beads):
    volume = heart_scan(beads=beads)
    calcium = np.where(volume.hu == 450, Vessel.LAD.label, 0).astype(np.uint8)
    return Sample(volume=volume, calcium=calcium, anatomy=np.zeros_like(calcium)), reader.read(volume)


def relabelled(reading, label):
    labels = np.where(reading.mask.labels > 0, label, 0).astype(np.uint8)
    lesions = tuple(replace(one, vessel=list(Vessel)[label - 1]) for one in reading.lesions)
    return replace(reading, mask=CalciumMask(labels=labels, grid=reading.mask.grid), lesions=lesions)


FAR = (20, 70, 50)


def test_what_is_the_same_has_no_differences(reader):
    one = seen(reader, (BEAD, FAR))
    same = compare("x", one, one)
    assert same.original == same.other == Sighting(true=2 * AGATSTON_OF_A_BEAD, read=2 * AGATSTON_OF_A_BEAD, found=True)
    assert same.dice == {"LAD": 1.0}
    assert same.same_mask
    assert (same.lost, same.gained, same.renamed) == (0, 0, 0)
    assert not same.changed
    assert not same.truly_changed


def test_lesions_are_lost_gained_and_renamed(reader):
    two, one = seen(reader, (BEAD, FAR)), seen(reader, (BEAD,))
    lost, gained = compare("x", two, one), compare("x", one, two)
    assert (lost.lost, lost.gained, lost.dice) == (1, 0, {"LAD": pytest.approx(2 / 3)})
    assert (gained.lost, gained.gained) == (0, 1)
    renamed = compare("x", two, (two[0], relabelled(two[1], Vessel.RCA.label)))
    assert (renamed.lost, renamed.gained, renamed.renamed) == (0, 0, 2)
    assert renamed.dice == {"LAD": 0.0, "RCA": 0.0}
    near = compare("x", one, seen(reader, ((BEAD[0], BEAD[1] + 3, BEAD[2]),)))
    assert (near.lost, near.gained) == (0, 0)


def test_a_change_of_physics_is_told_from_one_of_the_reader(reader):
    one, none = seen(reader, (BEAD,)), seen(reader, ())
    physics = compare("x", one, none)
    assert physics.changed
    assert physics.truly_changed
    blind = compare("x", one, (one[0], none[1]))
    assert blind.changed
    assert not blind.truly_changed


def made_up(variant, read, other_read, true=150.0, other_true=150.0, **more: object):
    values = {"dice": {}, "same_mask": None, "lost": 0, "gained": 0, "renamed": 0, **more}
    return Comparison(
        variant=variant,
        original=Sighting(true=true, read=read, found=True),
        other=Sighting(true=other_true, read=other_read, found=other_read > 0),
        **values,
    )


def test_shares_are_of_cases():
    cases = {
        1: [made_up("noise", 150.0, 90.0, lost=2)],
        2: [made_up("noise", 150.0, 90.0, other_true=80.0)],
        3: [made_up("noise", 100.0, 144.0, dice={"LAD": 0.5})],
        4: [made_up("noise", 90.0, 0.0)],
    }
    (one,) = summarise(cases)
    assert (one.cases, one.changed, one.truly_changed, one.by_reader) == (4, 0.75, 0.25, 0.5)
    assert one.made_wrong == 0.25
    assert one.no_heart == 1
    assert one.lost == 0.5
    assert one.dice["LAD"] == 0.5
    assert np.isnan(one.dice["RCA"])
    changes = sorted([150**0.5 - 90**0.5] * 2 + [2.0, 90**0.5])
    assert one.root_change == pytest.approx((changes[1] + changes[2]) / 2)
    assert "| noise | 75.0% | 50.0% | 25.0% | 25.0% |" in to_markdown(cases, "x")
    assert len(to_csv(cases).splitlines()) == 5


def test_what_is_only_stored_otherwise_must_be_read_the_same():
    cases = {seed: [made_up("prone", 150.0, 150.0, same_mask=seed > 0, dice={})] for seed in range(2)}
    assert to_markdown(cases, "x").count("missed") == 1
    assert to_markdown({1: cases[1]}, "x").count("| met |") == 1


def test_a_comparison_survives_its_line():
    one = made_up("noise", 1.0, 2.0, dice={"LM": 0.25}, same_mask=False)
    assert Comparison.from_dict(json.loads(json.dumps(one.as_dict()))) == one


def fine(seed, recipe, device):
    """The heart scan in half-millimetre slices, shorter than it would be."""
    scan = heart_scan(beads=(BEAD,)).hu[11:19].repeat(6, axis=0)
    calcium = np.where(scan == 450, Vessel.LAD.label, 0).astype(np.uint8)
    return Case(
        seed=seed,
        hu=scan,
        spacing_mm=(0.5, 1.0, 1.0),
        calcium=calcium,
        territory=calcium,
        anatomy=(scan == 40).astype(np.uint8),
        heart_centre_mm=(12.0, 64.0, 64.0),
    )


def test_the_command_reads_every_variant_and_goes_on(tmp_path, monkeypatch):
    write_bundle(tmp_path / "bundle", tiny_bundle(finds=Territory.LAD), "a card")
    made, recipes = [], []

    def make(seed, recipe, device):
        made.append(seed)
        recipes.append(recipe)
        return fine(seed, recipe, device)

    monkeypatch.setattr(train.robustness.running, "make_case", make)

    def robustness(*more, code=0):
        arguments = ["robustness", tmp_path / "bundle", "--out", tmp_path / "out", "--device", "cpu", *more]
        result = CliRunner().invoke(app, [str(one) for one in arguments], env={"COLUMNS": "250"})
        assert result.exit_code == code, result.output
        return result.output

    robustness("--cases", 1, "--first-seed", 5)
    lines = tmp_path / "out" / "robustness.jsonl"
    with lines.open("a") as file:
        file.write('{"key": "cut sho')
    said = robustness("--cases", 2, "--first-seed", 5)
    assert made == [5, 6]
    assert "2 held-out phantoms" in said
    assert robustness("--cases", 2, "--first-seed", 5).split("#")[-1] == said.split("#")[-1]
    assert made == [5, 6]
    table = (tmp_path / "out" / "robustness.csv").read_text().splitlines()
    assert len(table) == 1 + 2 * len(VARIANTS)
    stored = [variant.name for variant in VARIANTS if variant.kind is Kind.STORED]
    exact = [line for line in table if line.split(",")[1] in stored]
    assert len(exact) == 2 * len(stored)
    assert all(",True,0,0,0" in line for line in exact)
    assert "recipe patient-like" in robustness("--cases", 1, "--first-seed", 5, "--recipe", "patient-like")
    assert made == [5, 6, 5]
    assert [drawn.anatomy.confusers == ConfuserRanges.of_patients() for drawn in recipes] == [False, False, True]
    assert "cannot write" in robustness("--out", lines / "x", code=2)
