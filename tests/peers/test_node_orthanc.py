"""A node answers to Orthanc by DIMSE and by STOW-RS; what Orthanc gives back is what the node has made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from model.labels import Territory
from model.reader import Reader
from node.dicom.files import content_of
from node.domain.work import Stage, WorkState
from node.service import Node
from tests.flow.site import a_node, a_study, deliver, scanner, settle, wait_until, work_of
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
    destinations = [{**dimse, "send": ["seg", "sr", "summary"]}, {**web, "send": ["report"]}]
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
