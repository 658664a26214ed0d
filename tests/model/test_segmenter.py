from dataclasses import replace

import numpy as np
import pytest
import torch

import model.segmenter
from model.bundle import BundleError, default_bundle, load_bundle, write_bundle
from model.definition import definition_for
from model.judgement import FEATURES, INPUTS, Judge
from model.labels import Territory
from model.reader import Reader
from model.segmenter import Segmenter
from tests.heart_scan import BEAD, heart_scan
from tests.tiny_bundle import tiny_bundle
from train.cases import Cohort, make_case, training_resolution
from train.cohort import volume_of

CPU = torch.device("cpu")


def reading(bundle, volume=None):
    return Reader(bundle, device="cpu").read(heart_scan() if volume is None else volume)


def plain_judge(bias=0.0):
    count = len(INPUTS)
    return Judge(
        centre=np.zeros(count),
        scale=np.ones(count),
        inner=np.zeros((count, 1)),
        inner_bias=np.zeros(1),
        outer=np.ones(1),
        bias=bias,
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_members_that_are_all_the_same_read_as_one(seed):
    one = tiny_bundle(seed)
    alone, together = reading(one), reading(replace(one, more=(one.fine, one.fine)))
    np.testing.assert_array_equal(alone.mask.labels, together.mask.labels)
    np.testing.assert_allclose(alone.mask.probability, together.mask.probability, atol=1e-6)
    assert together.interval["CAC"] == pytest.approx(alone.interval["CAC"])


def test_the_members_words_are_averaged():
    one, other = tiny_bundle(finds=Territory.LAD), tiny_bundle(finds=Territory.CONFUSER)
    (lad,) = reading(one).lesions
    both = Segmenter(replace(one, more=(other.fine,)), CPU).examine(heart_scan(), definition_for())
    # in doubt between them
    assert both.said.territory()[0, Territory.LAD] == pytest.approx(lad.probability / 2, abs=0.01)
    assert reading(replace(one, more=(tiny_bundle(1, finds=Territory.LAD).fine,))).lesions[0].vessel == "LAD"


def test_members_that_differ_show_as_disagreement():
    one, other = tiny_bundle(finds=Territory.LAD), tiny_bundle(finds=Territory.CONFUSER)
    which = list(FEATURES).index("disagreement")
    alone, apart = (
        Segmenter(bundle, CPU).examine(heart_scan(), definition_for()).features()[:, which]
        for bundle in (one, replace(one, more=(other.fine,)))
    )
    assert (alone == 0).all()
    assert (apart > 1).all()


def test_a_scan_without_candidates_pays_for_one_member(monkeypatch):
    asked = []
    one = tiny_bundle(finds=Territory.LAD)
    both = Segmenter(replace(one, more=(one.fine,)), CPU)
    logits = model.segmenter.Labeller.logits
    monkeypatch.setattr(
        model.segmenter.Labeller, "logits", lambda self, *rest: asked.append(list(rest[2])) or logits(self, *rest)
    )
    both(heart_scan(beads=()), definition_for())
    assert asked == []
    both(heart_scan(), definition_for())
    assert asked == [[BEAD[0], BEAD[0] + 1]]


def test_the_judge_decides_and_is_believed():
    bundle = tiny_bundle(finds=Territory.LAD)
    refused = reading(replace(bundle, judge=plain_judge(bias=-2.0)))
    assert refused.lesions == ()
    # 12 % that it is there: more than the five the interval leaves out
    assert refused.interval["CAC"] == (0.0, pytest.approx(4 * 4 * 4 * 2))
    (taken,) = reading(replace(bundle, judge=plain_judge(bias=3.0))).lesions
    assert taken.vessel == "LAD"
    # logistic(3), of which the network gives 0.955 / (0.955 + 5 x 0.0064) to this vessel
    assert taken.probability == pytest.approx(0.9526 * 0.9676, abs=0.002)


def test_what_is_measured_of_a_bead_is_right_by_hand():
    examined = Segmenter(tiny_bundle(finds=Territory.LAD), CPU).examine(heart_scan(), definition_for())
    values = dict(zip(FEATURES, examined.features()[0], strict=True))
    assert values["log_area"] == pytest.approx(np.log(16))
    # no noise could be measured: 20 HU is taken
    assert values["rise"] == pytest.approx(np.log1p((450 - 130) / 20))
    assert values["contrast"] == pytest.approx(np.log1p((450 - 40) / 20))
    assert values["support_high"] == pytest.approx(np.arcsinh((450 - 40) / 20))
    assert values["support_low"] == pytest.approx(0.0)
    assert (values["fat"], values["lung"], values["bright"], values["in_heart"]) == (0, 0, 0, 1)


def test_members_and_judge_survive_being_written(tmp_path):
    members = tuple(tiny_bundle(seed).fine for seed in (4, 5))
    ours = replace(tiny_bundle(3), more=members, judge=plain_judge(bias=0.25))
    write_bundle(tmp_path, ours, "# card\n")
    theirs = load_bundle(tmp_path)
    assert len(theirs.members) == 3
    for mine, other in zip(ours.members, theirs.members, strict=True):
        torch.testing.assert_close(mine.out.weight, other.out.weight, atol=1e-3, rtol=1e-3)
    assert theirs.judge.bias == 0.25
    np.testing.assert_array_equal(theirs.judge.inner, ours.judge.inner)


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ('"members": 2', '"members": 3', "lacks"),
        ('"members": 2', '"members": 1', "more"),
        ('"members": 2', '"members": 0', "members must be"),
        ('"members": 2', '"members": "two"', "members must be"),
        ('"over_background"', '"under_background"', "other features"),
        ('"format": 3', '"format": 2', "formats 1 and 3"),
        ('"accept_from": 0.4', '"accept_from": 5', "accept_"),
        ('"bias": 0.0', '"bias": "x"', "the judge cannot be used"),
    ],
)
def test_bad_members_and_judges_are_refused(tmp_path, was, becomes, says):
    write_bundle(tmp_path, replace(tiny_bundle(), more=(tiny_bundle(1).fine,), judge=plain_judge()), "# card\n")
    text = (tmp_path / "bundle.json").read_text()
    assert was in text
    (tmp_path / "bundle.json").write_text(text.replace(was, becomes))
    with pytest.raises(BundleError, match=says):
        load_bundle(tmp_path)


def test_members_of_different_kinds_are_no_ensemble():
    with pytest.raises(ValueError, match="one configuration"):
        replace(tiny_bundle(), more=(default_bundle().fine,))


@pytest.mark.parametrize(
    ("peak", "lesions", "notes"),
    [
        (1900, 1, ()),
        (2100, 0, ("1 bright spot peaks above 2000 HU at the heart: taken for metal, not scored",)),
    ],
)
def test_what_is_brighter_than_any_calcium_is_metal_and_that_is_said(peak, lesions, notes):
    volume = heart_scan()
    k, row, column = BEAD
    volume.hu[k : k + 2, row + 1, column + 1] = peak
    found = reading(tiny_bundle(finds=Territory.LAD), volume)
    assert (len(found.lesions), found.notes) == (lesions, notes)


def test_metal_away_from_the_heart_is_not_spoken_of():
    volume = heart_scan()
    volume.hu[3:5, 2:5, 2:5] = 3000
    assert not any("taken for metal" in note for note in reading(tiny_bundle(finds=Territory.LAD), volume).notes)


@pytest.mark.parametrize("seed", [5, 9])
def test_leaving_slices_out_changes_no_coronary_calcium(monkeypatch, seed):
    case = make_case(seed, training_resolution(Cohort.HIGH))
    volume = volume_of(case)
    segmenter = Segmenter(default_bundle(), CPU)
    quick = segmenter(volume, definition_for())
    monkeypatch.setattr(model.segmenter, "landmarks", lambda slices, _: list(slices))
    whole = segmenter(volume, definition_for())
    # what is no calcium of a vessel may fall on either side of the limit: its surroundings are known less finely
    coronary = (case.calcium > 0) & (case.calcium < 5)
    assert (whole.mask.labels[coronary] > 0).sum() > 20
    np.testing.assert_array_equal(quick.mask.labels[coronary], whole.mask.labels[coronary])


@pytest.mark.parametrize(("rows", "columns", "lesions"), [(6, 6, 1), (30, 40, 0)])
def test_what_is_larger_than_any_calcium_is_bone_whatever_the_networks_say(rows, columns, lesions):
    volume = heart_scan(beads=())
    k, row, column = BEAD
    volume.hu[k : k + 2, row : row + rows, column : column + columns] = 600
    assert len(reading(tiny_bundle(finds=Territory.LAD), volume).lesions) == lesions
