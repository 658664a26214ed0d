import csv
import io
import math

import numpy as np
import pytest

from model.labels import Territory
from model.reader import Reader
from tests.plain_case import plain_case
from tests.tiny_bundle import tiny_bundle
from train.cohort import volume_of
from train.evaluate import CaseResult, compare, summarise, to_csv, to_markdown, true_mask

SHAPE, SPACING = (24, 120, 120), (3.0, 1.0, 1.0)


@pytest.fixture(scope="module")
def case():
    return plain_case(3, shape=SHAPE, spacing_mm=SPACING)


def test_the_true_mask_is_calcium_at_the_threshold_and_no_confuser(case):
    mask = true_mask(case, volume_of(case))
    assert set(np.unique(mask.labels)) == {0, 1, 2, 3, 4, 5, 6}
    assert (case.hu[mask.labels > 0] >= 130).all()


def test_a_reader_that_calls_everything_lad_is_right_about_the_lad_alone(case):
    reader = Reader(tiny_bundle(finds=Territory.LAD), device="cpu")
    result = compare(3, case, reader)
    assert (result.lesions, result.lesions_found, result.lesions_right) == (4, 4, 1)
    assert result.false_lesions >= 2
    truth, found, both = result.voxels[1]
    assert truth == both < found
    assert result.voxels[0][1:] == (0, 0)
    assert result.found[1] > result.truth[1] > 0
    assert result.centre_error_mm == pytest.approx(0, abs=3)


def test_a_reader_that_sees_no_heart_finds_nothing(case):
    result = compare(3, case, Reader(tiny_bundle(sees_heart=False), device="cpu"))
    assert (result.lesions, result.lesions_found, result.false_lesions) == (4, 0, 0)
    assert result.centre_error_mm is None
    assert set(result.found) == {0.0}


def result(**changes: object):
    plain = {
        "seed": 1,
        "truth": (0.0, 50.0, 0.0, 0.0, 50.0, 0.0, 0.0),
        "found": (0.0, 60.0, 0.0, 0.0, 60.0, 0.0, 0.0),
        "voxels": ((0, 0, 0), (10, 12, 9), (0, 0, 0), (0, 0, 0), (0, 0, 0), (0, 0, 0)),
        "lesions": 2,
        "lesions_found": 1,
        "lesions_right": 1,
        "false_lesions": 1,
        "centre_error_mm": 4.0,
        "interval": (40.0, 70.0),
    }
    return CaseResult(**{**plain, **changes})


def test_the_summary_by_hand():
    other = result(
        seed=2,
        truth=(0.0, 500.0, 0.0, 0.0, 500.0, 0.0, 0.0),
        found=(0.0, 380.0, 0.0, 0.0, 380.0, 0.0, 0.0),
        interval=(300.0, 400.0),
        lesions_found=2,
        false_lesions=0,
        centre_error_mm=None,
    )
    summary = summarise([result(), other])
    assert summary.dice[1] == pytest.approx(2 * 18 / (20 + 24))
    assert math.isnan(summary.dice[0])
    assert summary.correlation == pytest.approx(1.0)
    assert summary.mean_error == pytest.approx(65)
    assert summary.categories_right == pytest.approx(0.5)
    assert summary.inside_interval == pytest.approx(0.5)
    assert (summary.lesions, summary.found, summary.right) == (4, 0.75, pytest.approx(2 / 3))
    assert (summary.false_per_case, summary.centre_mm, summary.no_heart) == (0.5, 4.0, 1)


def test_the_table_and_the_lines():
    table = to_markdown([result()])
    assert "| Dice LAD | 0.82 |" in table
    assert "| coronary lesions | 2 |" in table
    lines = list(csv.DictReader(io.StringIO(to_csv([result(), result(seed=9)]))))
    assert [line["seed"] for line in lines] == ["1", "9"]
    assert (lines[0]["true_CAC"], lines[0]["read_CAC"], lines[0]["high"]) == ("50.0", "60.0", "70.0")
