"""From a scan and a reading to a record, on the plain case; and where scans come from."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

import train.cases
from model import scoring
from model.definition import definition_for
from model.labels import Territory
from model.lesions import CalciumMask
from model.quality import Quality
from model.reader import Reader
from model.volume import CtVolume
from tests.evaluation_records import record
from tests.plain_case import plain_case
from tests.tiny_bundle import tiny_bundle
from train.cohort import volume_of
from train.evaluation.compare import LabelledScan, compare, noise_band, true_mask
from train.evaluation.facts import groups_of, heart_centre
from train.evaluation.sources import DataError, Phantoms, RecipeName, Stored, recipe_of
from train.evaluation.store import Key, Store

SHAPE, SPACING = (24, 120, 120), (3.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def case():
    return plain_case(3, shape=SHAPE, spacing_mm=SPACING)


@pytest.fixture(scope="module")
def scan(case):
    volume = volume_of(case)
    return LabelledScan(
        name="3", volume=volume, labels=case.calcium, heart_centre_lps_mm=heart_centre(case.anatomy, volume.grid)
    )


@dataclass(frozen=True)
class Bare:
    """A reading that holds a mask and nothing else."""

    mask: CalciumMask


def answer(scan, change=lambda labels: labels):
    return Bare(mask=CalciumMask(labels=change(true_mask(scan).labels.copy()), grid=scan.volume.grid))


def test_the_true_mask_is_calcium_at_the_threshold_and_no_confuser(scan):
    labels = true_mask(scan).labels
    assert set(np.unique(labels)) == {0, 1, 2, 3, 4, 5, 6}
    assert (scan.volume.hu[labels > 0] >= 130).all()


def test_a_perfect_reader_is_right_in_everything(scan):
    found = compare(scan, "perfect", answer(scan))
    assert found.truth == found.read
    assert all(one.true == one.read == one.both > 0 for one in found.overlaps.values())
    assert (found.false_score, found.missed_score) == (0, 0)
    assert len(found.lesions) == 12
    assert all(one.right and one.same_vessel == 1 for one in found.lesions)
    assert (found.interval, found.heart_found, found.centre_error_mm, found.doubts) == (None,) * 4


def test_scores_are_those_of_the_scorer(scan):
    found = compare(scan, "perfect", answer(scan))
    scores = scoring.score(scan.volume, true_mask(scan), definition_for())
    assert found.read["CAC"].agatston == scores.regions["CAC"].agatston
    coronary = sum(one.agatston for one in found.lesions if one.side == "read" and one.coronary)
    assert coronary == pytest.approx(scores.regions["CAC"].agatston)


def test_a_missed_vessel_and_an_invented_one(scan):
    def worse(labels):
        labels[labels == 4] = 0  # RCA missed
        labels[scan.labels == Territory.CONFUSER] = 3  # the confuser called LCX
        labels[labels == 1] = 2  # LM called LAD
        return labels

    found = compare(scan, "worse", answer(scan, worse))
    assert found.missed_score == pytest.approx(found.truth["RCA"].agatston)
    assert found.false_score == pytest.approx(found.read["LCX"].agatston - found.truth["LCX"].agatston)
    true = {one.vessel: one for one in found.lesions if one.side == "true"}
    assert (true["RCA"].called, true["RCA"].matched) == ("none", False)
    assert (true["LM"].called, true["LM"].matched, true["LM"].right) == ("LAD", True, False)
    invented = [one for one in found.lesions if one.side == "read" and not one.matched]
    assert [(one.vessel, one.called) for one in invented] == [("LCX", "other")]
    both = found.overlaps["LM+LAD"]
    assert both.true == both.read == both.both


def test_what_a_reader_calls_below_the_threshold_or_too_small_is_left_out(scan):
    def more(labels):
        labels[:, 5, 5] = 2  # lung
        return labels

    assert compare(scan, "more", answer(scan, more)).read == compare(scan, "perfect", answer(scan)).read


def test_our_own_reader_fills_every_part(scan):
    reader = Reader(tiny_bundle(finds=Territory.LAD), device="cpu")
    found = compare(scan, "tiny", reader.read(scan.volume))
    assert found.heart_found
    assert found.centre_error_mm == pytest.approx(0, abs=3)
    assert found.interval[0] <= found.read["CAC"].agatston <= found.interval[1]
    assert found.doubts is not None
    true = [one for one in found.lesions if one.side == "true" and one.coronary]
    assert [one.called for one in true] == ["LAD"] * 4
    assert [one.right for one in true] == [False, True, False, False]
    assert all(0 <= one.probability <= 1 for one in found.lesions if one.side == "read")


def test_noise_is_the_readers_where_nobody_else_measured_it(scan):
    @dataclass(frozen=True)
    class Judged:
        mask: CalciumMask
        quality: Quality

    quality = Quality(heart_found=True, noise_sd_hu=31.0, blood_pool_hu=40.0, truncated=("feet",), metal_mm3=0.0)
    reading = Judged(mask=true_mask(scan), quality=quality)
    found = compare(scan, "judged", reading)
    assert found.groups == {"noise": ">= 25 HU"}
    assert "heart cut off" in found.doubts
    known = replace(scan, groups={"noise": "< 15 HU"})
    assert compare(known, "judged", reading).groups == known.groups


def test_a_reader_that_sees_no_heart_finds_nothing(scan):
    found = compare(scan, "blind", Reader(tiny_bundle(sees_heart=False), device="cpu").read(scan.volume))
    assert found.heart_found is False
    assert found.centre_error_mm is None
    assert found.missed_score == found.truth["CAC"].agatston > 0


def test_groups_are_measured(case, scan):
    groups = groups_of(scan, true_mask(scan), case.anatomy, None)
    assert groups["calcium"] == ">=400"
    assert (groups["slice spacing"], groups["metal in the scan"]) == ("3 mm", "no")
    assert groups["confusers near the heart"] == "yes"

    @dataclass(frozen=True)
    class Facts:
        sex: str
        motion: None = None

    assert groups_of(scan, true_mask(scan), None, Facts(sex="F"))["sex"] == "F"
    hot = scan.volume.hu.copy()
    hot[:3, :5, :5] = 3000
    metal = replace(scan, volume=replace(scan.volume, hu=hot), labels=np.where(scan.labels == 7, 0, scan.labels))
    groups = groups_of(metal, true_mask(metal), case.anatomy, None)
    assert (groups["metal in the scan"], groups["confusers near the heart"]) == ("yes", "no")


def test_noise_is_measured_in_the_aorta_without_its_calcium(scan):
    rng = np.random.default_rng(0)
    hu = (40 + rng.normal(0, 20, SHAPE)).astype(np.int16)
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[:, 58:62, 58:62] = 6
    hu[labels > 0] = 900
    noisy = replace(scan, volume=CtVolume(hu=hu, grid=scan.volume.grid), labels=labels)
    anatomy = np.full(SHAPE, 5, dtype=np.uint8)
    assert groups_of(noisy, true_mask(noisy), anatomy, None)["noise"] == "15-25 HU"
    assert [noise_band(sd) for sd in (14.9, 15, 25)] == ["< 15 HU", "15-25 HU", ">= 25 HU"]


def test_the_hold_out_is_harder_than_training():
    plain, hard = recipe_of(RecipeName.TRAINING_LIKE), recipe_of(RecipeName.HOLD_OUT)
    assert hard.imaging.noise_sd_hu[1] > plain.imaging.noise_sd_hu[1]
    assert hard.anatomy != plain.anatomy
    assert {plain.matrix, hard.matrix} == {512}


def test_patient_like_phantoms_have_fewer_look_alikes_and_are_else_as_in_training():
    plain, patients = recipe_of(RecipeName.TRAINING_LIKE), recipe_of(RecipeName.PATIENT_LIKE)
    assert patients.anatomy.confusers.mitral_annulus < plain.anatomy.confusers.mitral_annulus / 2
    assert replace(patients.anatomy, confusers=plain.anatomy.confusers) == plain.anatomy
    assert replace(patients, anatomy=plain.anatomy) == plain


def test_phantoms_are_loaded_with_their_groups(monkeypatch):
    monkeypatch.setattr(train.cases, "make_case", lambda seed, *_: plain_case(seed, shape=SHAPE, spacing_mm=SPACING))
    source = Phantoms(recipe=RecipeName.HOLD_OUT, seeds=(4, 5))
    assert source.names() == ("4", "5")
    assert "seeds 4 to 5" in source.title
    assert source.fingerprint("4") != source.fingerprint("5")
    scan = source.load("4")
    assert scan.groups["calcium"] == ">=400"
    assert scan.groups["heart moves within a slice"] in ("yes", "no")
    assert scan.volume.mass_factor is not None
    np.testing.assert_allclose(scan.heart_centre_lps_mm, [59.5, 59.5, 34.5], atol=0.01)


@pytest.fixture
def stored(case, tmp_path):
    def write(name="a", **changes: object):
        values = {"hu": case.hu, "spacing_mm": np.array(case.spacing_mm), "labels": case.calcium, **changes}
        np.savez(tmp_path / f"{name}.npz", **{key: value for key, value in values.items() if value is not None})
        return Stored(folder=tmp_path)

    return write


def test_a_sites_own_cases(stored, case):
    source = stored(group_sex="F", kvp=100.0, heart_centre_lps_mm=np.array([1.0, 2.0, 3.0]))
    scan = source.load("a")
    assert source.names() == ("a",)
    assert (scan.groups["sex"], scan.groups["calcium"]) == ("F", ">=400")
    assert (scan.volume.kvp, scan.volume.mass_factor) == (100.0, None)
    assert scan.heart_centre_lps_mm == (1, 2, 3)
    np.testing.assert_array_equal(scan.volume.hu, case.hu)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": None}, "a: labels missing"),
        ({"labels": np.zeros((3, 4, 5), np.uint8)}, "two arrays"),
        ({"labels": np.full(SHAPE, 8, np.uint8)}, "from 0 to 7"),
        ({"labels": np.zeros(SHAPE)}, "whole numbers"),
        ({"spacing_mm": np.array([3.0, 0.4])}, "three values"),
        ({"spacing_mm": np.array([3.0, 0.4, -0.4])}, "positive"),
        ({"hu": np.full(SHAPE, -1000, np.int16)}, "no Hounsfield units"),
        ({"hu": np.full(SHAPE, 40_000, np.uint16)}, "no Hounsfield units"),
        ({"hu": np.full(SHAPE, np.nan, np.float32)}, "no Hounsfield units"),
    ],
)
def test_unusable_cases_are_named(stored, changes, message):
    with pytest.raises(DataError, match=message):
        stored(**changes).load("a")


def test_a_file_that_is_none_and_an_empty_folder(tmp_path):
    with pytest.raises(DataError, match=r"no \.npz"):
        Stored(folder=tmp_path).names()
    (tmp_path / "b.npz").write_bytes(b"PK nonsense")
    with pytest.raises(DataError, match="b: not a readable npz"):
        Stored(folder=tmp_path).load("b")


def test_the_store_survives_a_line_cut_short(tmp_path):
    key, other = Key(case="x", reader="y"), Key(case="x", reader="z")
    Store(tmp_path).add(key, record("1"))
    path = tmp_path / "readings.jsonl"
    path.write_text(path.read_text() + path.read_text()[:40])
    store = Store(tmp_path)
    assert store.get(key) == record("1")
    assert store.get(other) is None
    store.add(other, record("2"))
    assert Store(tmp_path).get(other) == record("2")
