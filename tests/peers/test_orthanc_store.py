"""A real archive takes what is sent, over DIMSE and over STOW-RS."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from node.dicom.outgoing import SendItem
from node.dicom.sender import PeerAddress, Sender
from node.dicom.web import WebSender
from node.domain.errors import PeerDown, Refused
from tests.dicom_series import Style, ct_series, file_bytes, thorax

ORTHANC = shutil.which("Orthanc")
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(ORTHANC is None or not PLUGIN.exists(), reason="Orthanc with its DICOMweb plug-in is not there"),
]


@dataclass(frozen=True)
class Archive:
    dimse: int
    http: int

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}{path}", timeout=10) as answer:
            return answer.read()

    def file_of(self, sop_uid: str) -> bytes:
        (found,) = [
            name for name in json.loads(self.get("/instances"))
            if json.loads(self.get(f"/instances/{name}"))["MainDicomTags"]["SOPInstanceUID"] == sop_uid
        ]  # fmt: skip
        return self.get(f"/instances/{found}/file")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Iterator[Archive]:
    folder = tmp_path_factory.mktemp("orthanc")
    found = Archive(dimse=free_port(), http=free_port())
    settings = {
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "DicomAet": "ORTHANC",
        "DicomPort": found.dimse,
        "DicomCheckCalledAet": True,
        "HttpPort": found.http,
        "AuthenticationEnabled": False,
        "Plugins": [str(PLUGIN)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    log = (folder / "log").open("wb")
    with log, subprocess.Popen([str(ORTHANC), str(folder / "orthanc.json")], stdout=log, stderr=log) as running:
        until = time.monotonic() + 30
        while True:
            try:
                found.get("/system")
                break
            except OSError:
                assert time.monotonic() < until, (folder / "log").read_text()
                time.sleep(0.1)
        yield found
        running.terminate()


def items(name: str) -> list[SendItem]:
    return [SendItem.of_file(file_bytes(image)) for image in ct_series(thorax(3, 8, 8), Style(name=name))]


def dimse(archive: Archive, called: str = "ORTHANC") -> Sender:
    return Sender("CALCIUM2R", PeerAddress(ae_title=called, host="127.0.0.1", port=archive.dimse))


def web(archive: Archive) -> WebSender:
    return WebSender(f"http://127.0.0.1:{archive.http}/dicom-web")


@pytest.mark.parametrize("way", [dimse, web])
def test_what_is_sent_is_there_byte_for_byte(way, archive):
    sent = items(way.__name__)
    sender = way(archive)
    sender.echo()
    assert [outcome.require() for outcome in sender.send(sent)] == ["", "", ""]
    for item in sent:
        assert archive.file_of(item.sop_uid).endswith(bytes(item.dataset_bytes()))


@pytest.mark.parametrize("way", [dimse, web])
def test_sending_again_is_no_error(way, archive):
    sent = items("again")
    for _ in range(2):
        assert all(outcome.delivered for outcome in way(archive).send(sent))


def test_wrong_ae_title(archive):
    assert type(dimse(archive, "SOMEONE").send(items("x"))[0].error) is Refused


def test_wrong_address(archive):
    (outcome, *_) = WebSender(f"http://127.0.0.1:{archive.http}/nowhere").send(items("x"))
    assert type(outcome.error) is Refused
    (outcome, *_) = WebSender(f"http://127.0.0.1:{free_port()}/dicom-web").send(items("x"))
    assert type(outcome.error) is PeerDown
