from __future__ import annotations

import numpy as np
import pytest

from node.domain.errors import NodeError
from node.domain.findings import Findings
from node.domain.policy import Policy
from node.domain.reading_json import loads
from node.domain.work import Stage, WorkState
from node.stages.labels_file import unpack_labels
from node.stages.qualify import Qualifier
from node.stages.read import ReadStage
from tests.dicom_series import ct_series
from tests.heart_scan import AGATSTON_OF_A_BEAD, heart_scan

SHA = "5e" * 32


@pytest.fixture
def qualified(rig):
    """Store a series, qualify it, and claim its READ work."""

    def run(images):
        rig.close(images)
        work = rig.claim(Stage.QUALIFY)
        rig.finish(work, Qualifier(rig.ledger, Policy())(work))
        return rig.claim(Stage.READ)

    return run


def test_a_reading_is_kept_whole(rig, qualified, lad_reader):
    work = qualified(ct_series(heart_scan()))
    outcome = ReadStage(rig.storage, lad_reader, Policy())(work, SHA)
    assert outcome.state is WorkState.DONE
    rig.finish(work, outcome)
    reading = rig.ledger.reading(work.series_uid, 1)
    assert (reading.model_sha256, reading.settings_sha256) == ("0" * 64, SHA)
    findings = loads(rig.outbox.read(reading.findings))
    assert isinstance(findings, Findings)
    assert findings.scores["CAC"].agatston == pytest.approx(AGATSTON_OF_A_BEAD)
    labels = unpack_labels(rig.outbox.read(reading.mask))
    assert labels.shape == (30, 128, 128)
    assert np.count_nonzero(labels) == 32
    assert rig.files("outbox") == {reading.findings.path, reading.mask.path}
    publish = rig.claim(Stage.PUBLISH)
    assert (publish.series_uid, publish.generation) == (work.series_uid, 1)
    assert rig.ledger.verdict(work.series_uid, 1).eligible


def test_without_calcium_there_is_no_mask(rig, qualified, lad_reader):
    work = qualified(ct_series(heart_scan(beads=())))
    rig.finish(work, ReadStage(rig.storage, lad_reader, Policy())(work, SHA))
    reading = rig.ledger.reading(work.series_uid, 1)
    assert reading.mask is None
    assert loads(rig.outbox.read(reading.findings)).scores["CAC"].agatston == 0
    rig.claim(Stage.PUBLISH)


def nothing_follows(rig, work, outcome):
    assert outcome.state is WorkState.DECLINED
    assert (outcome.reading, outcome.followers) == (None, ())
    rig.finish(work, outcome)
    verdict = rig.ledger.verdict(work.series_uid, 1)
    assert (verdict.eligible, verdict.reasons) == (False, outcome.reasons)
    assert rig.ledger.status()["work"]["read"] == {"declined": 1}
    assert rig.files("outbox") == set()
    return verdict.reasons


def test_without_a_heart_the_verdict_is_taken_back(rig, qualified, blind_reader):
    work = qualified(ct_series(heart_scan()))
    assert rig.ledger.verdict(work.series_uid, 1).eligible
    outcome = ReadStage(rig.storage, blind_reader, Policy())(work, SHA)
    assert "no heart in the field of view" in nothing_follows(rig, work, outcome)


def test_what_no_volume_can_be_made_of_is_declined_with_every_reason(rig, qualified, lad_reader):
    images = ct_series(heart_scan())
    images[9].RescaleSlope = 0
    images[12].FrameOfReferenceUID = "1.2.3"
    work = qualified(images)
    text = "\n".join(nothing_follows(rig, work, ReadStage(rig.storage, lad_reader, Policy())(work, SHA)))
    assert "no usable rescale slope and intercept (1 of 30 slices)" in text
    assert "different frames of reference" in text


def test_a_file_that_is_gone_from_the_spool_is_no_verdict(rig, qualified, lad_reader):
    work = qualified(ct_series(heart_scan()))
    lost = rig.ledger.members(work.series_uid, 1)[4]
    rig.spool.path(lost.path).unlink()
    with pytest.raises((OSError, NodeError)):
        ReadStage(rig.storage, lad_reader, Policy())(work, SHA)
    assert rig.ledger.verdict(work.series_uid, 1).eligible


def test_reading_twice_gives_the_same_and_one_follower(rig, qualified, lad_reader):
    work = qualified(ct_series(heart_scan()))
    stage = ReadStage(rig.storage, lad_reader, Policy())
    stage(work, SHA)  # its outcome was never recorded
    rig.clock.advance(61)
    again = rig.claim(Stage.READ)
    rig.finish(again, stage(again, SHA))
    assert len([row for row in rig.ledger.series_work(work.series_uid, 1) if row.work.stage is Stage.PUBLISH]) == 1
    swept = rig.outbox.sweep(rig.ledger.known_paths())
    assert swept.missing == ()
    assert rig.files("outbox") == {path for path in rig.ledger.known_paths() if path.startswith("outbox/")}
