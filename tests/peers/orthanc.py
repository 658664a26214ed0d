"""A real PACS for the length of a test: Debian's Orthanc on free ports, its files in a temporary folder."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.peers.programs import program

AE_TITLE = "ORTHANC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Orthanc:
    """A running Orthanc."""

    http_port: int
    dicom_port: int

    def get(self, path: str) -> bytes:
        """What a path answers."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: bytes) -> bytes:
        """What a path answers when something is posted to it."""
        return self._ask("POST", path, body)

    def file_of(self, sop_uid: str) -> bytes:
        """The stored file of an instance."""
        found = json.loads(self.post("/tools/lookup", sop_uid.encode("ascii")))
        return self.get(f"/instances/{next(item['ID'] for item in found if item['Type'] == 'Instance')}/file")

    def _ask(self, method: str, path: str, body: bytes | None) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=20)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise RuntimeError(f"Orthanc answered {answer.status} to {method} {path}")
        return content


@contextlib.contextmanager
def running(folder: Path, plugins: Sequence[str] = ()) -> Iterator[Orthanc]:
    """Start Orthanc and stop it again."""
    orthanc = Orthanc(http_port=_free_port(), dicom_port=_free_port())
    settings = {
        "Name": "test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "Plugins": list(plugins),
        "HttpPort": orthanc.http_port,
        "DicomPort": orthanc.dicom_port,
        "DicomAet": AE_TITLE,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowStore": True,
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "StudiesMetadata": "Full", "SeriesMetadata": "Full"},
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen([program("Orthanc"), str(folder / "orthanc.json")], stdout=log, stderr=log)
        try:
            _wait(orthanc, process, folder)
            yield orthanc
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait(orthanc: Orthanc, process: subprocess.Popen[bytes], folder: Path) -> None:
    for _ in range(200):
        if process.poll() is not None:
            raise RuntimeError(f"Orthanc ended: {(folder / 'orthanc.log').read_text()[-2000:]}")
        with contextlib.suppress(ConnectionError, TimeoutError):
            orthanc.get("/system")
            return
        time.sleep(0.1)
    raise RuntimeError("Orthanc did not start")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
