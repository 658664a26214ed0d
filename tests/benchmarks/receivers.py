"""Storage SCPs to be compared, each in a process of its own: this node's receiving part and three others.

``python -m tests.benchmarks.receivers ROOT`` is the first of them: listener, receiver, spool and ledger wired as
:mod:`node.service` does it, with nothing behind. It prints its port and ends when its input does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from node import log, parts
from node.dicom.listener import Listener
from node.monitor.meters import Meters
from node.scp_settings import ScpSettings
from node.stages.receive import Receiver
from node.storage.ledger import Ledger
from node.storage.migrations import upgrade
from node.storage.spool import Spool, StorageLock
from tests.association_wire import echo_seconds
from tests.flow.site import AE_TITLE, free_port
from tests.peers import orthanc

ENVIRONMENT = {**os.environ, "TCP_NODELAY": "1", "PYTHONPATH": "."}
"""Without TCP_NODELAY dcmtk, at either end, waits 40 ms per image for an acknowledgement."""
_PDU = "131072"
_PATIENCE_SECONDS = 30.0
_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A receiver that listens: its address, and how many instances it has kept."""

    port: int
    called: str
    kept: Callable[[], int]


@contextmanager
def this_node(folder: Path) -> Iterator[Running]:
    """Listener, receiver, spool and ledger of this node: file and directory synced, row committed, then success."""
    command = [sys.executable, "-m", "tests.benchmarks.receivers", str(folder)]
    with subprocess.Popen(
        command, env=ENVIRONMENT, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("no pipes")
        try:
            port = int(process.stdout.readline())
            yield Running(port=port, called=AE_TITLE, kept=lambda: _rows(folder))
        finally:
            process.stdin.close()
            process.wait(timeout=_PATIENCE_SECONDS)


@contextmanager
def dcmtk(folder: Path) -> Iterator[Running]:
    """dcmtk's storescp as it is fastest: a process for each association, data sets written as they come."""
    command = ["/usr/bin/storescp", "--fork", "+B", "-pdu", _PDU, "-od", str(folder)]
    with _serving(command) as port:
        yield Running(port=port, called="STORESCP", kept=lambda: _files(folder))


@contextmanager
def pynetdicom_app(folder: Path) -> Iterator[Running]:
    """The storescp that comes with pynetdicom."""
    command = [sys.executable, "-m", "pynetdicom", "storescp", "-q", "-pdu", _PDU, "-od", str(folder)]
    with _serving(command) as port:
        yield Running(port=port, called="STORESCP", kept=lambda: _files(folder))


@contextmanager
def orthanc_archive(folder: Path) -> Iterator[Running]:
    """Orthanc with its own index, nothing else set."""
    with orthanc.running(folder) as one:
        statistics = lambda: int(_number(one.get("/statistics"), "CountInstances"))  # noqa: E731 - said once
        yield Running(port=one.dicom_port, called=orthanc.AE_TITLE, kept=statistics)


RECEIVERS: Mapping[str, tuple[Callable[[Path], Iterator[Running]], Path | None]] = MappingProxyType(
    {
        "this node": (this_node, None),
        "dcmtk storescp": (dcmtk, Path("/usr/bin/storescp")),
        "Orthanc": (orthanc_archive, Path("/usr/sbin/Orthanc")),
        "pynetdicom storescp": (pynetdicom_app, None),
    }
)
"""By name: how it is started in a folder, and the program that has to be there."""


@contextmanager
def _serving(command: list[str]) -> Iterator[int]:
    port = free_port()
    with subprocess.Popen([*command, str(port)], env=ENVIRONMENT, stdout=subprocess.DEVNULL) as process:
        try:
            _wait(port)
            yield port
        finally:
            process.terminate()
            process.wait(timeout=_PATIENCE_SECONDS)


def _wait(port: int) -> None:
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            echo_seconds(port, "127.0.0.1")
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return


def _files(folder: Path) -> int:
    return sum(1 for path in folder.iterdir() if path.stat().st_size)


def _rows(folder: Path) -> int:
    with Ledger(f"sqlite:///{folder}/ledger.sqlite") as ledger:
        files = sum(1 for path in (folder / "spool").rglob("*.dcm") if path.stat().st_size)
        return min(files, len(ledger.known_paths()))


def _number(answer: bytes, name: str) -> str:
    return str(json.loads(answer)[name])


def _serve(root: Path) -> None:
    log.configure("WARNING", "json")
    with StorageLock(root):
        url = f"sqlite:///{root}/ledger.sqlite"
        upgrade(url)
        spool, meters = Spool(root, 0), Meters()
        with Ledger(url) as ledger:
            ledger.observed_by(meters.ledger)
            receiver = Receiver(spool, ledger, parts.utc_now, on_ended=lambda: None)
            listener = Listener(
                parts.listener_config(ScpSettings(ae_title=AE_TITLE, host="127.0.0.1", port=0), spool.has_room),
                meters.receiving(receiver.store),
                on_opened=receiver.opened,
                on_closed=receiver.closed,
                tally=meters,
            )
            listener.start()
            sys.stdout.write(f"{listener.port}\n")
            sys.stdout.flush()
            sys.stdin.read()
            listener.stop(5.0)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
