import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import train.commands.calibrate
from model.bundle import CARD, MANIFEST, load_bundle, write_bundle
from model.judgement import FEATURES
from model.labels import Territory
from tests.plain_case import plain_case
from tests.tiny_bundle import tiny_bundle
from train.calibrate import Table, collect, examined, known, weights_sha256
from train.cli import app
from train.judge_fit import fit, quality

CPU = torch.device("cpu")
NAMES = list(FEATURES)


def drawn(cases=12, each=40, seed=0):
    """Components that are real as often as a known law of three features says."""
    rng = np.random.default_rng(seed)
    count = cases * each
    features = rng.normal(size=(count, len(FEATURES)))
    true = 1.5 * features[:, NAMES.index("over_background")] + 1.0 * features[:, NAMES.index("contrast")] - 0.5
    real = rng.random(count) < 1 / (1 + np.exp(-true))
    shares = np.full((count, len(Territory)), 0.05)
    vessel = np.where(real, rng.integers(1, 7, count), 0).astype(np.uint8)
    # the network is right in 6 of 10, and says 0.65
    said = np.where(rng.random(count) < 0.6, np.maximum(vessel, 1), rng.integers(1, 7, count))
    shares[np.arange(count), said] = 0.65
    case = np.repeat(np.arange(cases), each)
    return Table(
        seeds=np.arange(cases),
        case=case,
        features=features,
        shares=shares,
        vessel=vessel,
        touching=np.zeros((2, 0), np.int64),
    )


def test_the_law_that_made_the_components_is_found():
    table = drawn(cases=60)
    fitted = fit(table)
    apart = drawn(cases=10, seed=7)
    named = {name: apart.features[:, NAMES.index(name)] for name in ("over_background", "contrast")}
    law = 1 / (1 + np.exp(0.5 - 1.5 * named["over_background"] - named["contrast"]))
    assert np.abs(fitted.judge.probability(apart.features, apart.touching) - law).mean() < 0.08
    assert fitted.after.brier < fitted.before.brier
    assert fitted.after.auc > 0.8
    assert all(abs(said - true) < 0.15 for said, true, count in fitted.after.reliability if count > 50)


def test_a_word_of_the_networks_that_misleads_is_left_out_and_not_turned_round():
    table = drawn()
    features = table.features.copy()
    features[:, NAMES.index("calcium_mean")] = -2.0 * table.real
    judge = fit(replace(table, features=features)).judge
    more = features.copy()
    more[:, NAMES.index("calcium_mean")] += 4
    before, after = (judge.probability(values, table.touching) for values in (features, more))
    assert (after >= before).all()
    assert (after - before).mean() < 0.12


def test_a_neighbour_in_the_next_slice_counts():
    rng = np.random.default_rng(3)
    pairs = 400
    real = np.repeat(rng.random(pairs) < 0.5, 2)
    features = rng.normal(size=(2 * pairs, len(FEATURES))) + 0.7 * real[:, None] * (np.arange(len(FEATURES)) == 0)
    base = drawn(cases=20, each=40)
    table = replace(
        base,
        features=features,
        vessel=real.astype(np.uint8),
        touching=np.stack([np.arange(0, 2 * pairs, 2), np.arange(1, 2 * pairs, 2)]),
    )
    assert fit(table).after.auc > fit(replace(table, touching=np.zeros((2, 0), np.int64))).after.auc


def test_a_network_that_is_too_sure_is_made_cooler():
    assert fit(drawn(cases=30)).temperature > 1.0


@pytest.mark.parametrize("vessel", [0, 2])
def test_a_table_of_one_kind_cannot_be_fitted(vessel):
    with pytest.raises(ValueError, match="real"):
        fit(replace(drawn(), vessel=np.full(480, vessel, np.uint8)))


def test_quality_by_hand():
    found = quality(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    assert found.brier == pytest.approx((0.01 + 0.16 + 0.65**2 + 0.04) / 4)
    assert found.auc == 0.75
    assert sum(count for *_, count in found.reliability) == 4


def tables(bundle, seeds):
    return [examined(bundle, seed, plain_case(seed), CPU) for seed in seeds]


def test_a_table_is_kept_extended_and_refused_for_other_weights(tmp_path):
    file, bundle = tmp_path / "deep" / "t.npz", tiny_bundle(finds=Territory.LAD)
    assert known(bundle, file).seeds.size == 0
    first = collect(bundle, file, tables(bundle, [1, 2]))
    both = collect(bundle, file, tables(bundle, [3]))
    assert both.seeds.tolist() == known(bundle, file).seeds.tolist() == [1, 2, 3]
    np.testing.assert_array_equal(both.features[: first.case.size], first.features)
    assert both.touching.max() < both.case.size
    assert (both.case[both.touching[0]] == both.case[both.touching[1]]).all()
    with pytest.raises(ValueError, match="other weights"):
        known(tiny_bundle(5, finds=Territory.LAD), file)


def test_components_are_known_for_what_they_are():
    (table,) = tables(tiny_bundle(finds=Territory.LAD), [1])
    assert set(np.unique(table.vessel)) >= {1, 2, 3, 4}
    # the case's confuser (label 7) and its spine are bright, and not real
    assert (~table.real).any()
    assert np.isfinite(table.features).all()


@pytest.mark.parametrize(
    ("options", "says"), [(["--recipe", "hold-out"], "would have none left"), (["--cases", "0"], "--cases")]
)
def test_what_cannot_be_fitted_on_is_refused(tmp_path, options, says):
    write_bundle(tmp_path / "tiny", tiny_bundle(), "# card\n")
    result = CliRunner().invoke(app, ["calibrate", str(tmp_path / "tiny"), "--first-seed", "5", *options])
    assert result.exit_code == 2
    assert says in result.output


def test_a_table_of_other_weights_is_refused_in_one_line(tmp_path):
    write_bundle(tmp_path / "tiny", tiny_bundle(), "# card\n")
    other = tiny_bundle(5, finds=Territory.LAD)
    collect(other, tmp_path / "t.npz", tables(other, [1]))
    options = ["--first-seed", "5", "--table", str(tmp_path / "t.npz")]
    result = CliRunner().invoke(app, ["calibrate", str(tmp_path / "tiny"), *options])
    assert result.exit_code == 2
    assert "other weights" in result.output


def test_a_calibrated_bundle_reads_by_its_judge(tmp_path, monkeypatch):
    monkeypatch.setattr(train.commands.calibrate, "make_case", lambda seed, *_: plain_case(seed))
    source, out = tmp_path / "tiny", tmp_path / "judged"
    write_bundle(source, tiny_bundle(finds=Territory.LAD), "# card by hand\n")
    options = ["--first-seed", "5", "--cases", "2", "--table", str(tmp_path / "t.npz"), "--device", "cpu"]
    result = CliRunner().invoke(app, ["calibrate", str(source), *options, "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "Brier" in result.output
    bundle = load_bundle(out)
    assert bundle.judge is not None
    assert load_bundle(source).judge is None
    assert (out / CARD).read_text() == "# card by hand\n"
    assert json.loads((out / MANIFEST).read_text())["experiment"]["calibrated_on"] == [5, 6]
    assert weights_sha256(bundle) == weights_sha256(load_bundle(source))
    # so it can be calibrated again from the same table
    again = CliRunner().invoke(app, ["calibrate", str(out), *options])
    assert again.exit_code == 0, again.output
    np.testing.assert_array_equal(load_bundle(out).judge.inner, bundle.judge.inner)
