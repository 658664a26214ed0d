"""Headers of real scanners, judged: a calcium scan of a phantom, and a chest with contrast that never says so itself.

QRM phantom: MolloiLab/CAC-stanford-data (MIT). Chest: TCIA CPTAC-PDA (CC BY 3.0).
"""

import os
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from node.dicom.headers import read_file_instance
from node.domain.completeness import Decision, judge_completeness
from node.domain.eligibility import Reason, judge
from node.domain.grouping import group_slices
from node.domain.series import SeriesRecord, SeriesState

pytestmark = pytest.mark.reference

REFERENCE = Path(os.environ.get("SECOND_READER_REFERENCE_DATA", Path(__file__).parents[3] / "../shared/data"))
NOW = datetime(2026, 1, 2, tzinfo=UTC)
RECORD = SeriesRecord(
    series_uid="1",
    study_uid="1",
    state=SeriesState.OPEN,
    generation=0,
    first_received=NOW,
    last_received=NOW,
    open_associations=0,
)


def scan(name):
    paths = sorted((REFERENCE / name / "dicom").glob("*.dcm"))
    if not paths:
        pytest.skip(f"no {name} in the reference data: set SECOND_READER_REFERENCE_DATA")
    instances = [read_file_instance(path) for path in paths]
    return random.Random(1).sample(instances, len(instances))


def test_the_qrm_phantom_is_a_calcium_scan():
    verdict = judge(scan("qrm-phantom-canon"))
    assert verdict.eligible
    assert len(verdict.chosen.slices) == 47
    assert verdict.chosen.spacing_mm == pytest.approx(3.0)
    assert verdict.chosen.field_of_view_mm == pytest.approx(249.9, abs=0.1)
    assert Reason.CALCIUM_TEXT in {note.reason for note in verdict.notes}


def test_the_chest_with_contrast_is_declined_with_every_reason():
    verdict = judge(scan("cptac-chest"))
    assert not verdict.eligible
    said = {finding.reason for finding in verdict.reasons}
    assert said == {Reason.CONTRAST, Reason.GATING, Reason.FIELD_OF_VIEW, Reason.COVER}


@pytest.mark.parametrize("name", ["qrm-phantom-canon", "cptac-chest"])
def test_real_series_are_complete_by_evidence_and_not_with_a_slice_less(name):
    instances = scan(name)
    assert judge_completeness(instances, RECORD, NOW).decision is Decision.COMPLETE_BY_EVIDENCE
    (group,) = group_slices(instances)
    for lost in group.slices[1:-1]:
        rest = [one for one in instances if one is not lost.instance]
        assert judge_completeness(rest, RECORD, NOW).decision is Decision.WAIT
