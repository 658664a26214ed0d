"""The demo's human reads: what they deserve follows from the phantoms, and a running node compares them."""

from __future__ import annotations

import pytest

from node.demo import patients
from node.demo.humans import SLIPS, read_by_human
from node.domain.tiers import Tier
from tests.flow.site import Archive, Site, a_node, a_study
from tests.heart_scan import AGATSTON_OF_A_BEAD

NOTHING = dict.fromkeys(("LM", "LAD", "LCX", "RCA", "CAC", "AV", "TA", "AC"), 0.0)


@pytest.fixture(scope="module")
def site(tmp_path_factory, finds_lad):
    folder = tmp_path_factory.mktemp("humans")
    hl7 = {"enabled": True, "host": "127.0.0.1", "port": 0}
    with (
        Archive(folder / "archive") as archive,
        a_node(folder, finds_lad, [archive.destination()], hl7=hl7) as node,
    ):
        yield Site(node=node, archive=archive)


def test_there_is_a_read_of_every_patient():
    assert set(SLIPS) == set(patients.NAMES)


@pytest.mark.parametrize(
    ("name", "vessel", "deserved", "tier"),
    [
        ("zero", "LAD", Tier.CONCORDANT, Tier.CONCORDANT),
        ("moderate", "RCA", Tier.REVIEW, Tier.REVIEW),
        ("heavy", "LCX", Tier.PRIORITY, Tier.PRIORITY),
    ],
)
def test_a_read_is_taken_and_compared_with_ours(site, name, vessel, deserved, tier):
    study = a_study(f"demo {name}", PatientID=f"DEMO-{name.upper()}")
    site.send(study)
    site.answers(study)
    known = {**NOTHING, vessel: AGATSTON_OF_A_BEAD, "CAC": AGATSTON_OF_A_BEAD}
    result = read_by_human(site.node, name, study.study_uid, known)
    assert result.fault == ""
    assert result.ours == pytest.approx(AGATSTON_OF_A_BEAD)
    assert result.deserved is deserved
    assert (result.tier is not None and result.tier.flagged) == tier.flagged
    assert result.as_deserved
    assert bool(result.reasons) == tier.flagged


def test_a_node_without_hl7_is_said(tmp_path, finds_lad):
    with a_node(tmp_path, finds_lad) as node:
        result = read_by_human(node, "zero", "1.2.3", NOTHING)
    assert "does not listen for HL7" in result.fault
    assert not result.as_deserved
