import numpy as np

import train.judge_fit
from model.judgement import FEATURES, INPUTS
from tests.train.test_calibrate import drawn
from train.judge_ablation import WITHOUT, judge_ablation, to_markdown


def test_what_the_law_rests_on_is_missed_and_nothing_else(monkeypatch):
    monkeypatch.setattr(train.judge_fit, "_STARTS", 1)
    monkeypatch.setattr(train.judge_fit, "_STEPS", 150)
    rows = judge_ablation(drawn(cases=30, each=60))
    assert list(rows) == ["no judge", "no company", *WITHOUT]
    # real components follow over_background, a word of the networks, and contrast, which is measured
    assert rows["everything"]["log loss"] < rows["the networks' word alone"]["log loss"]
    assert rows["everything"]["log loss"] < rows["no brightness, size or noise"]["log loss"]
    assert abs(rows["no surroundings"]["auc"] - rows["everything"]["auc"]) < 0.03
    assert rows["everything"]["brier"] < rows["no judge"]["brier"]
    assert to_markdown(rows).count("\n") == 2 + len(rows)


def test_variants_name_inputs_that_there_are():
    assert set().union(*WITHOUT.values()) <= set(INPUTS)
    assert WITHOUT["no neighbours"].isdisjoint(FEATURES)
    assert not np.any([missing == frozenset(INPUTS) for missing in WITHOUT.values()])
