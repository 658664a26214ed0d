"""The OHIF viewer for the length of a test: its prebuilt pages and a PACS behind one origin, as it needs them."""

from __future__ import annotations

import contextlib
import http.client
import mimetypes
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.peers.orthanc import Orthanc
from tests.peers.programs import program

PACKAGE = "@ohif/app@3.13.2"
CONFIG = """
window.config = {
  routerBasename: '/', extensions: [], modes: [], showStudyList: true, maxNumberOfWebWorkers: 1,
  showWarningMessageForCrossOrigin: false, showCPUFallbackMessage: false, investigationalUseDialog: { option: 'never' },
  defaultDataSourceName: 'dicomweb',
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'dicomweb',
    configuration: {
      friendlyName: 'PACS', name: 'PACS', qidoRoot: '/dicom-web', wadoRoot: '/dicom-web', wadoUriRoot: '/wado',
      qidoSupportsIncludeField: false, imageRendering: 'wadors', thumbnailRendering: 'wadors',
      enableStudyLazyLoad: true, supportsFuzzyMatching: false, supportsWildcard: true,
      omitQuotationForMultipartRequest: true
    }
  }]
};
"""


def pages(folder: Path) -> Path:
    """The built pages: of the folder OHIF_DIST names, or else of the npm package."""
    named = os.environ.get("OHIF_DIST")
    if named:
        return Path(named)
    packed = subprocess.run(
        [program("npm"), "pack", PACKAGE, "--silent"], cwd=folder, capture_output=True, text=True, check=False
    )
    if packed.returncode != 0:
        pytest.skip(f"npm could not fetch {PACKAGE}")
    with tarfile.open(folder / packed.stdout.split()[-1]) as archive:
        archive.extractall(folder, filter="data")
    return folder / "package" / "dist"


@contextlib.contextmanager
def serving(dist: Path, orthanc: Orthanc) -> Iterator[str]:
    """Serve pages and PACS under one address, which is answered."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path.startswith("/dicom-web"):
                self._forward()
            elif path == "/app-config.js":
                self._answer(200, "text/javascript", CONFIG.encode())
            else:
                file = (dist / path.lstrip("/")).resolve()
                page = file if file.is_relative_to(dist.resolve()) and file.is_file() else dist / "index.html"
                kind = mimetypes.guess_type(page.name)[0] or "application/octet-stream"
                self._answer(200, "application/wasm" if page.suffix == ".wasm" else kind, page.read_bytes())

        def _forward(self) -> None:
            connection = http.client.HTTPConnection("127.0.0.1", orthanc.http_port, timeout=30)
            headers = {"Host": self.headers["Host"], "Accept": self.headers.get("Accept", "*/*")}
            connection.request("GET", self.path, headers=headers)
            answer = connection.getresponse()
            self._answer(answer.status, answer.getheader("Content-Type", ""), answer.read())
            connection.close()

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)
