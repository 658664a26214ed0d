"""Dice, lesions, calibration, categories, gates and subgroups: all by hand."""

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.evaluation_records import amount, lesion, record
from train.evaluation.calibration import answers, reliability
from train.evaluation.lesions import COLUMNS, ROWS, confusion, detection, false_coronary, size_class
from train.evaluation.overlap import dice, summarise_dice
from train.evaluation.records import CaseRecord, Overlap
from train.evaluation.subgroups import subgroups
from train.evaluation.summary import summarise


def over(true, read, both):
    return Overlap(true=true, read=read, both=both)


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
def test_dice_is_symmetric_and_between_0_and_1(alone, other, both):
    value = dice(over(alone + both, other + both, both))
    assert value == dice(over(other + both, alone + both, both))
    assert value is None if not alone + other + both else 0 <= value <= 1
    if both and not alone + other:
        assert value == 1


def test_empty_cases_are_specificity_and_one_sided_ones_count():
    found = summarise_dice([over(0, 0, 0), over(0, 0, 0), over(0, 5, 0), over(4, 0, 0), over(10, 10, 8), over(6, 6, 6)])
    assert found.values == (0, 0, 0.8, 1)
    assert found.median == pytest.approx(0.4)
    assert found.quartiles == (0, pytest.approx(0.85))
    assert found.present == pytest.approx(0.8)
    assert found.pooled == pytest.approx(2 * 14 / 41)
    assert (found.false_alarms, found.missed, found.specificity.value) == (1, 1, pytest.approx(2 / 3))


def test_dice_of_nothing():
    found = summarise_dice([over(0, 0, 0)])
    assert found.values == ()
    assert math.isnan(found.median)
    assert math.isnan(found.present)
    assert found.specificity.value == 1


LESIONS = (
    lesion("LAD", called="LAD"),
    lesion("LM", called="LAD", same_vessel=0.0),
    lesion("LCX", called="LAD", same_vessel=0.2),
    lesion("RCA", called="none", overlap=0.2, same_vessel=0.2, agatston=60.0),
    lesion("TA", called="TA", agatston=200.0),
    lesion("LAD", side="read", called="LAD", probability=0.95),
    lesion("LAD", side="read", called="LM", same_vessel=0.0, probability=0.65),
    lesion("LCX", side="read", called="other", overlap=0.0, same_vessel=0.0, probability=0.55),
    lesion("RCA", side="read", called="none", overlap=0.0, same_vessel=0.0, probability=0.55),
    lesion("TA", side="read", called="TA", probability=1.0),
)


def test_lesions_found_real_and_in_the_right_vessel():
    found = detection([record(lesions=LESIONS)], lambda one: one.coronary)
    assert (found.true, found.read) == (4, 4)
    assert found.sensitivity.value == 3 / 4
    assert found.precision.value == 2 / 4
    assert found.vessel_right.value == 1 / 3
    assert found.vessel_right_lm_lad.value == 2 / 3
    assert false_coronary(record(lesions=LESIONS)) == 2


def test_size_classes_by_agatston():
    sizes = [size_class(lesion("LAD", agatston=score)) for score in (0.5, 9.9, 10, 49.9, 50, 199, 200, 4000)]
    assert sizes == ["< 10", "< 10", "10-49", "10-49", "50-199", "50-199", ">= 200", ">= 200"]


def test_the_confusion_matrix_holds_every_true_lesion_once_and_every_false_one():
    table = confusion([record(lesions=LESIONS)])
    expected = {("LAD", "LAD"), ("LM", "LAD"), ("LCX", "LAD"), ("RCA", "none"), ("TA", "TA"), ("other", "LCX")}
    expected |= {("none", "RCA")}
    assert {(ROWS[row], COLUMNS[column]) for row, column in np.argwhere(table == 1)} == expected
    assert table.sum() == len(expected)


def test_reliability_by_hand():
    found = reliability(np.array([0.9, 0.9, 0.6, 0.6]), np.array([True, True, True, False]))
    assert [(one.count, one.right.value) for one in found.bins] == [(2, 0.5), (2, 1.0)]
    assert found.brier == pytest.approx((0.01 + 0.01 + 0.16 + 0.36) / 4)
    assert found.ece == pytest.approx((2 * 0.1 + 2 * 0.1) / 4)
    assert reliability(np.array([]), np.array([], dtype=bool)) is None
    with pytest.raises(ValueError, match="from 0 to 1"):
        reliability(np.array([1.2]), np.array([True]))


def test_an_interval_holds_a_truth_at_its_end_however_the_two_were_added_up():
    ends = 0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1
    assert ends[0] != ends[1]
    cases = [
        record("a", true=max(ends), interval=(0.0, min(ends))),
        record("b", true=min(ends), interval=(max(ends), 9.0)),
    ]
    assert summarise("mine", cases).gates.covered.value == 1


def test_perfect_and_calibrated_probabilities():
    assert reliability(np.array([1.0, 0.0]), np.array([True, False])).brier == 0
    rng = np.random.default_rng(0)
    given_ = rng.uniform(0, 1, 20_000)
    assert reliability(given_, rng.uniform(0, 1, given_.size) < given_).ece < 0.02


def test_answers_are_the_lesions_read():
    probability, right = answers([record(lesions=LESIONS)])
    assert probability.tolist() == [0.95, 0.65, 0.55, 0.55, 1.0]
    assert right.tolist() == [True, False, False, False, True]


CASES = (
    record("a", true=0.0, read=4.0, false_score=4.0, interval=(0.0, 8.0), doubts=("noisy",), centre_error_mm=3.0),
    record("b", true=50.0, read=60.0, interval=(40.0, 55.0), centre_error_mm=5.0),
    record("c", true=300.0, read=500.0, interval=(400.0, 500.0), doubts=("noisy", "metal"), centre_error_mm=None,
           heart_found=False),
    record("d", true=900.0, read=880.0, interval=(870.0, 900.0), centre_error_mm=4.0),
)  # fmt: skip


def test_categories_false_calcium_and_gates_by_hand():
    found = summarise("mine", CASES)
    assert found.categories.table.tolist() == [[0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1]]
    assert found.categories.right.value == 0.5
    assert found.fine_categories.table.tolist()[0] == [0, 1, 0, 0, 0]
    assert (found.false.zero_cases, found.false.zero_called, found.false.zero_scores) == (1, 1, (4.0,))
    assert found.false.score == (0.0, 0.0, 1.0)
    gates = found.gates
    assert gates.covered.value == 0.75
    assert gates.width == pytest.approx((15 + 30) / 2)
    assert gates.reasons == (("noisy", 2), ("metal", 1))
    assert (gates.right_when_sure.value, gates.right_when_doubtful.value) == (1, 0)
    assert (gates.no_heart, gates.centre_mm) == (1, (4.0, 5.0))
    assert found.agatston["CAC"].raw.bias.value == pytest.approx((4 + 10 + 200 - 20) / 4)
    assert found.agatston["CAC"].spearman.value == pytest.approx(1)


SILENT = {"interval": None, "doubts": None, "heart_found": None, "centre_error_mm": None}


def test_a_reader_that_says_nothing_of_itself():
    plain = [record(name, true=9.0, read=9.0, **SILENT) for name in "abc"]
    found = summarise("plain", plain)
    assert found.reliability is None
    assert set(dataclasses.asdict(found.gates).values()) <= {None, ()}
    with pytest.raises(ValueError, match="nothing to sum up"):
        summarise("none", [])


def test_mass_only_where_it_is_known():
    assert summarise("mine", CASES).mass is None
    calibrated = [
        dataclasses.replace(
            one, truth={**one.truth, "CAC": amount(5.0, mass=2.0)}, read={**one.read, "CAC": amount(5.0, mass=1.0)}
        )
        for one in CASES
    ]
    assert summarise("mine", calibrated).mass.raw.bias.value == -1


def test_subgroups_in_order_and_only_where_they_differ():
    cases = [
        record("a", true=10.0, groups={"noise": ">= 25 HU", "slice spacing": "3 mm", "sex": "F"}),
        record("b", true=10.0, read=30.0, groups={"noise": "15-25 HU", "slice spacing": "3 mm", "sex": "M"}),
        record("c", true=20.0, groups={"noise": "< 15 HU", "slice spacing": "3 mm"}),
    ]
    found = subgroups(cases)
    assert [(one.kind, one.name, one.cases) for one in found] == [
        ("noise", "< 15 HU", 1), ("noise", "15-25 HU", 1), ("noise", ">= 25 HU", 1), ("sex", "F", 1), ("sex", "M", 1),
    ]  # fmt: skip
    assert found[1].bias == 20
    assert found[1].icc is None


def test_records_survive_json():
    for one in (record(lesions=LESIONS), record(interval=None, doubts=None, centre_error_mm=None)):
        assert CaseRecord.from_dict(json.loads(json.dumps(one.as_dict()))) == one
    with pytest.raises(KeyError):
        CaseRecord.from_dict({})
