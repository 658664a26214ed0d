"""A node answers to Orthanc by DIMSE and by STOW-RS; what Orthanc gives back is what the node has made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from model.labels import Territory
from model.reader import Reader
from node.dicom.files import content_of
from node.dicom.human_sr import predecessors_of
from node.domain.review import Decision, ReviewOutcome
from node.domain.work import Stage, WorkState
from node.service import Node
from tests.flow.site import a_node, a_study, deliver, scanner, settle, wait_until, work_of
from tests.human_reports import a_report
from tests.peers.orthanc import AE_TITLE, Orthanc, running
from tests.tiny_bundle import tiny_bundle

PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(not PLUGIN.exists(), reason="Orthanc's DICOMweb plug-in is not installed"),
]


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    with running(tmp_path_factory.mktemp("orthanc"), [str(PLUGIN)]) as found:
        yield found


@pytest.fixture
def node(orthanc: Orthanc, tmp_path: Path) -> Iterator[Node]:
    dimse = {"name": "dimse", "ae_title": AE_TITLE, "host": "127.0.0.1", "port": orthanc.dicom_port}
    web = {"name": "web", "kind": "dicomweb", "url": f"http://127.0.0.1:{orthanc.http_port}/dicom-web"}
    destinations = [{**dimse, "send": ["seg", "sr", "summary"], "outcome": True}, {**web, "send": ["report"]}]
    with a_node(tmp_path, Reader(tiny_bundle(finds=Territory.LAD), device="cpu"), destinations) as running_node:
        yield running_node


def test_orthanc_holds_what_the_outbox_holds(node, orthanc):
    study = a_study("to Orthanc")
    deliver(node.port, study.images)
    wait_until(lambda: work_of(node, study.series_uid, Stage.DELIVER))
    settle(node)
    sent = work_of(node, study.series_uid, Stage.DELIVER)
    assert sorted(row.work.destination for row in sent) == ["dimse", "dimse", "dimse", "web"]
    assert {row.state for row in sent} == {WorkState.DONE}, [row.error for row in sent]
    made = node.storage.ledger.objects(study.series_uid, 1)
    assert sorted(one.role for one in made) == ["report", "seg", "sr", "summary"]
    for one in made:
        there = content_of(orthanc.file_of(one.sop_uid))
        here = content_of(node.storage.outbox.read(one.kept))
        assert there.dataset == here.dataset, one.role


def send_back(orthanc: Orthanc, port: int, sop_uids: list[str]) -> None:
    """Let Orthanc send what it has been sent, by C-STORE."""
    modality = {"AET": "CALCIUM2R", "Host": "127.0.0.1", "Port": port}
    orthanc._ask("PUT", "/modalities/node", json.dumps(modality).encode())
    found = [json.loads(orthanc.post("/tools/lookup", uid.encode("ascii"))) for uid in sop_uids]
    ids = [one["ID"] for each in found for one in each if one["Type"] == "Instance"]
    assert len(ids) == len(sop_uids)
    told = json.loads(orthanc.post("/modalities/node/store", json.dumps({"Resources": ids}).encode()))
    assert told["FailedInstancesCount"] == 0


def test_orthanc_routes_our_answers_back_and_nothing_comes_of_it(node, orthanc):
    study = a_study("back from Orthanc")
    deliver(node.port, study.images)
    wait_until(lambda: work_of(node, study.series_uid, Stage.DELIVER))
    settle(node)
    made = node.storage.ledger.objects(study.series_uid, 1)
    send_back(orthanc, node.port, [one.sop_uid for one in made])
    for one in made:
        wait_until(lambda one=one: node.storage.ledger.verdict(one.made_series_uid, 1))
        assert node.storage.ledger.find_instance(one.sop_uid) is not None
        reasons = node.storage.ledger.verdict(one.made_series_uid, 1).reasons
        assert "the series was made by this software and is not read again" in reasons
    settle(node)
    assert len(work_of(node, study.series_uid, Stage.DELIVER)) == 4
    scanner(node.port).echo()


def test_orthanc_holds_the_report_and_every_version_of_how_the_case_was_settled(node, orthanc):
    study = a_study("settled, to Orthanc")
    deliver(node.port, study.images)
    deliver(node.port, [a_report(study.images[0], 0.0)], "WORKSTATION")
    ledger = node.storage.ledger
    wait_until(lambda: ledger.case_of_study(study.study_uid))
    settle(node)
    case = ledger.case_of_study(study.study_uid).id
    for version, outcome in enumerate((ReviewOutcome.NODE_RIGHT, None), start=1):
        ledger.add_decision(
            case,
            Decision(
                version=version,
                outcome=outcome,
                radpeer=None,
                comment="",
                reviewer="anna",
                decided_at=datetime.now(UTC),
                blind=True,
                withdrawn=outcome is None,
            ),
        )
    settle(node)
    report = next(one for one in ledger.objects(study.series_uid, 1) if one.role == "sr")
    told = [ledger.object(one.sop_uid) for one in ledger.written_back(study.series_uid, 1)]
    assert len(told) == 2
    for before, one in pairwise([report, *told]):
        there = orthanc.file_of(one.sop_uid)
        assert content_of(there).dataset == content_of(node.storage.outbox.read(one.kept)).dataset
        assert predecessors_of(there) == (before.sop_uid,)
    found = json.loads(orthanc.post("/tools/lookup", study.study_uid.encode("ascii")))
    (number,) = [one["ID"] for one in found if one["Type"] == "Study"]
    series = json.loads(orthanc.get(f"/studies/{number}/series"))
    assert sorted(one["MainDicomTags"]["Modality"] for one in series).count("SR") == 4  # with the TID 3900 report
