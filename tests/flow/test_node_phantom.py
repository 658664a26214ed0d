"""A phantom series as ``second-reader-train phantom`` writes it, sent over the wire, is answered."""

import dataclasses
import json

from pydicom import dcmread

from tests.flow.site import SEG, SR, SUMMARY, Study
from train.anatomy.ranges import Cohort
from train.series.making import make_series
from train.series.order import Order


def test_a_phantom_series_is_answered(site, tmp_path):
    order = Order.of(Cohort.HIGH, 3.0)
    recipe = dataclasses.replace(
        order.recipe, matrix=96, pixel_mm=2.2, slices=(34, 34), shortest_mm=1.0, per_slice=1, lattice_mm=4.0
    )
    folder = make_series(tmp_path, 3, dataclasses.replace(order, recipe=recipe), "cpu")
    study = Study(images=[dcmread(path) for path in sorted((folder / "ct").iterdir())])
    site.send(study)
    answers = site.answers(study)
    assert set(answers) == {SEG, SR, SUMMARY}
    truth = json.loads((folder / "truth.json").read_text())
    assert study.study_uid == truth["study_uid"]
    assert answers[SEG].FrameOfReferenceUID == dcmread(folder / "truth-seg.dcm").FrameOfReferenceUID
    assert answers[SR].PatientID == truth["patient_id"] == "PHANTOM-0000003"
