"""The report, its tables and plots, and the run that fills it."""

import csv
import io
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from matplotlib.image import imread

from model.lesions import CalciumMask
from model.network import UNet
from tests.evaluation_records import lesion, record
from tests.plain_case import plain_case
from train.baseline import baseline_network, save
from train.cohort import volume_of
from train.evaluation.compare import LabelledScan, true_mask
from train.evaluation.comparison import ablation, ablation_csv, comparison
from train.evaluation.lines import case_lines, lesion_lines
from train.evaluation.readers import Kind, ReaderSpec
from train.evaluation.report import About, write_report
from train.evaluation.run import evaluate
from train.evaluation.store import Store
from train.evaluation.summary import summarise
from train.evaluation.tables import markdown, number, percent, share, spread

LESIONS = (
    lesion("LAD", called="LAD"),
    lesion("RCA", called="none", overlap=0.0, same_vessel=0.0),
    lesion("LAD", side="read", called="LAD", probability=0.9),
    lesion("LCX", side="read", called="other", overlap=0.0, same_vessel=0.0, probability=0.4),
)
RECORDS = [
    record(str(k), true=true, read=read, lesions=LESIONS, groups={"noise": "< 15 HU" if k % 2 else "15-25 HU"})
    for k, (true, read) in enumerate([(0.0, 0.0), (0.0, 7.0), (40.0, 50.0), (250.0, 260.0), (900.0, 870.0)])
]
BARE = [
    replace(one, reader="bare", interval=None, doubts=None, heart_found=None, centre_error_mm=None, lesions=LESIONS[:2])
    for one in RECORDS
]
ABOUT = About(cases="five cases", readers={"mine": "a bundle", "bare": "a mask"}, command="evaluate X", synthetic=True)
PLOTS = {"scatter", "bland_altman", "bland_altman_root", "categories", "dice", "confusion", "calibration"}


def table_of(text, heading):
    """Cells of the first table under a heading, by the row's first cell."""
    lines = text.split(f"{heading}\n", 1)[1].splitlines()
    start = next(k for k, line in enumerate(lines) if line.startswith("|"))
    rows = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        first, *rest = [cell.strip() for cell in line.strip("|").split("|")]
        rows[first] = rest
    return rows


def test_the_report_holds_every_section_and_every_plot(tmp_path):
    summaries = write_report(tmp_path, [*RECORDS, *BARE], ABOUT)
    assert [one.reader for one in summaries] == ["mine", "bare"]
    text = (tmp_path / "EVALUATION.md").read_text()
    assert "Research use only" in text
    assert "Five cases. Synthetic" in text
    glance = table_of(text, "## At a glance")
    assert glance["category right"] == ["80 % (38-96)", "80 % (38-96)"]
    assert glance["truth inside the interval"] == ["60 % (23-88)", "–"]
    assert glance["cases of score 0 that are given one"] == ["1 of 2", "1 of 2"]
    assert table_of(text, "## Overlap")["LAD"] == ["4", "0.93 (0.67-0.98)", "0.98", "0.98", "0", "1", "50 % (9-91)"]
    assert table_of(text, "### By what they are called")["**RCA**"][-1] == "5"
    assert table_of(text, "## False and missed calcium")["- their scores"] == ["7.0"]
    assert table_of(text, "## Subgroups")["noise: < 15 HU"][0] == "2"
    # √870 - √900 = -0.50, √50 - √40 = 0.75, √7 - 0 = 2.65
    assert list(table_of(text, "## Cases read worst")) == ["1", "2", "4", "3"]
    assert {path.stem for path in tmp_path.glob("*.png")} == PLOTS
    for path in tmp_path.glob("*.png"):
        assert f"({path.name})" in text
        assert imread(path).std() > 0.02


def test_a_bare_reader_is_reported_alone(tmp_path):
    write_report(tmp_path, BARE, replace(ABOUT, synthetic=False))
    text = (tmp_path / "EVALUATION.md").read_text()
    assert "supplied by a site" in text
    assert "says nothing of itself" in text
    assert {path.stem for path in tmp_path.glob("*.png")} == PLOTS - {"calibration"}


def test_one_case_is_enough_and_none_is_not(tmp_path):
    write_report(tmp_path, [record(true=0.0)], ABOUT)
    assert "All cases are of one kind." in (tmp_path / "EVALUATION.md").read_text()
    with pytest.raises(ValueError, match="nothing to report"):
        write_report(tmp_path, [], ABOUT)


def test_an_ablation_is_a_row_a_reader():
    summaries = [summarise(name, records) for name, records in (("whole", RECORDS), ("less", BARE))]
    rows = table_of(f"x\n{ablation(summaries)}", "x")
    assert rows["whole"][0] == rows["less"][0] == "5"
    assert rows["less"][-1] == "–"
    lines = list(csv.DictReader(io.StringIO(ablation_csv(summaries))))
    assert [line["reader"] for line in lines] == ["whole", "less"]
    assert float(lines[0]["category right"]) == 0.8
    assert lines[1]["ECE"] == ""
    assert "| whole | less |" in comparison(summaries)


def test_many_readers_get_a_table_of_their_own(tmp_path):
    records = [replace(one, reader=name) for name in ("a", "b", "c", "d") for one in RECORDS]
    write_report(tmp_path, records, replace(ABOUT, readers={}))
    assert set(table_of((tmp_path / "EVALUATION.md").read_text(), "## Readers compared")) == set("abcd")


def test_the_lines_of_cases_and_lesions():
    cases = list(csv.DictReader(io.StringIO(case_lines([*RECORDS, *BARE]))))
    assert len(cases) == 10
    assert (cases[2]["true_agatston_CAC"], cases[2]["read_agatston_CAC"], cases[2]["noise"]) == ("40", "50", "15-25 HU")
    assert (cases[2]["low"], cases[7]["low"], cases[7]["heart_found"]) == ("0", "", "")
    assert float(cases[2]["dice_CAC"]) == pytest.approx(80 / 90, abs=1e-5)
    assert cases[0]["dice_CAC"] == ""
    lesions = list(csv.DictReader(io.StringIO(lesion_lines(RECORDS[:1]))))
    assert [(line["side"], line["vessel"], line["called"]) for line in lesions][3] == ("read", "LCX", "other")
    assert lesions[0]["probability"] == ""


def test_how_figures_are_written():
    assert [number(value) for value in (None, float("nan"), -0.001, 1.005, float("inf"))] == [
        "–",
        "–",
        "0.00",
        "1.00",
        "–",
    ]
    assert (percent(0.954), percent(None), share(None)) == ("95 %", "–", "–")
    assert spread(1.0, (0.5, 2.0), 1) == "1.0 (0.5-2.0)"
    with pytest.raises(ValueError, match="do not fill"):
        markdown(["a", "b"], [["1"]])
    assert markdown(["a", "b"], [["x|y", "1"]]).splitlines()[-1] == "| x/y | 1 |"


@dataclass(frozen=True)
class Cases:
    """Plain cases, counted as they are made."""

    title = "plain cases"
    made: list
    wrong: str = ""

    def names(self):
        return ("1", "2")

    def fingerprint(self, name):
        return f"{name}{self.wrong}"

    def load(self, name):
        self.made.append(name)
        case = plain_case(int(name))
        return LabelledScan(name=name, volume=volume_of(case), labels=case.calcium)


@dataclass(frozen=True)
class Spec:
    name: str
    fails_at: str = ""

    def fingerprint(self):
        return "same"

    def open(self):
        return self

    def read(self, volume):
        if self.fails_at and not (volume.hu - plain_case(int(self.fails_at)).hu).any():
            raise KeyboardInterrupt
        labels = np.where(volume.hu >= 300, 2, 0).astype(np.uint8)
        return Answered(mask=CalciumMask(labels=labels, grid=volume.grid))


@dataclass(frozen=True)
class Answered:
    mask: CalciumMask


def test_an_evaluation_that_was_stopped_goes_on(tmp_path):
    made, done = [], []
    with pytest.raises(KeyboardInterrupt):
        evaluate(Cases(made=made), [Spec("mine", fails_at="2")], Store(tmp_path), done.append)
    assert (made, done) == (["1", "2"], ["1"])
    found = evaluate(Cases(made=made), [Spec("mine")], Store(tmp_path), done.append)
    assert made == ["1", "2", "2"]
    assert [one.case for one in found] == ["1", "2"]
    again = evaluate(Cases(made=made), [Spec("renamed")], Store(tmp_path), done.append)
    assert made == ["1", "2", "2"]
    assert [one.reader for one in again] == ["renamed"] * 2
    evaluate(Cases(made=made, wrong="changed"), [Spec("mine")], Store(tmp_path), done.append)
    assert made == ["1", "2", "2", "1", "2"]


def test_several_readers_share_a_case(tmp_path):
    @dataclass(frozen=True)
    class Other(Spec):
        def fingerprint(self):
            return "other"

        def read(self, volume):
            scan = LabelledScan(name="", volume=volume, labels=plain_case(1).calcium)
            return Answered(mask=true_mask(scan))

    made = []
    found = evaluate(Cases(made=made), [Spec("bones"), Other("knows")], Store(tmp_path), lambda _: None)
    assert made == ["1", "2"]
    assert [(one.case, one.reader) for one in found] == [("1", "bones"), ("1", "knows"), ("2", "bones"), ("2", "knows")]
    assert found[0].false_score > 1000
    assert found[1].false_score == 0


def test_the_paper_s_network_stands_in_the_same_table(tmp_path):
    weights = tmp_path / "paper.safetensors"
    torch.manual_seed(0)
    save(weights, UNet(baseline_network()), 32, {})
    spec = ReaderSpec(name="paper", kind=Kind.BASELINE, path=weights, device="cpu")
    before = spec.fingerprint()
    found = evaluate(Cases(made=[]), [Spec("mine"), spec], Store(tmp_path), lambda _: None)
    assert [one.reader for one in found] == ["mine", "paper"] * 2
    assert all(one.interval is None and one.doubts is None for one in found)
    weights.with_suffix(".json").write_text("{}")
    assert spec.fingerprint() != before
