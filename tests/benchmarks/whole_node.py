"""A node in a process of its own, what sends to it and what it answers to: for benchmarks of the whole.

``python -m tests.benchmarks.whole_node ROOT PACS_PORT`` is the node. It prints its port and ends when its input does.
Scans of 512 x 512 are read by the shipped model, smaller ones by a stand-in of its shape with random weights, which
finds every bead: all else (files, ledger, stages, answers, deliveries) is as ever, and the share of real reading is
chosen by what is sent.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from model.bundle import default_bundle
from model.labels import Territory
from model.reader import Reader, Reading
from model.volume import CtVolume
from node import log
from node.demo import patients
from node.demo.patients import DemoPatient
from node.demo.stand_ins import Scan, scan_of
from node.destination_settings import Destination
from node.dicom.headers import read_instance
from node.dicom.listener import Listener, ListenerConfig, StoreRequest
from node.dicom.outgoing import SendItem
from node.domain.errors import NodeError
from node.scp_settings import ScpSettings
from node.service import Node
from node.settings import LogSettings, Settings, StorageSettings
from tests.benchmarks.receivers import ENVIRONMENT
from tests.heart_scan import heart_scan
from tests.tiny_bundle import tiny_bundle

AE_TITLE = "CALCIUM2R"
ANSWERS = 3
"""Objects for a scan with calcium: segmentation, measurements, summary."""
_FULL_ROWS = 512
_DIGITS = 8
_STOP_SECONDS = 60.0


class ByShape(Reader):
    """Reads full-size scans by the shipped model and others by the stand-in."""

    def __init__(self) -> None:
        super().__init__(tiny_bundle(finds=Territory.LAD))
        self._real = Reader(default_bundle())
        self._real.warm_up()

    def read(self, volume: CtVolume) -> Reading:
        """By its rows."""
        return self._real.read(volume) if volume.grid.shape[1] >= _FULL_ROWS else super().read(volume)


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A scan that can be sent again and again as another study: the last digits of its UIDs are its number."""

    scan: Scan
    files: tuple[bytes, ...]
    uids: tuple[str, ...]

    @classmethod
    def of(cls, patient: DemoPatient) -> Self:
        """A patient's scan; all of its UIDs are found in its files."""
        scan = scan_of(patient, datetime.now(UTC))
        found = [read_instance(item.dataset_bytes(), item.transfer_syntax_uid) for item in scan.items]
        frame = found[0].acquisition.frame_of_reference_uid
        return cls(
            scan=scan,
            files=tuple(item.file_bytes() for item in scan.items),
            uids=(scan.study_uid, scan.series_uid, frame, *(one.sop_uid for one in found)),
        )

    def study(self, number: int) -> Scan:
        """The study of this number: equal in all but its UIDs."""
        shared = [(one.encode(), _numbered(one, number).encode()) for one in self.uids[:3]]
        items = []
        for file, sop_uid in zip(self.files, self.uids[3:], strict=True):
            data = file
            for old, new in (*shared, (sop_uid.encode(), _numbered(sop_uid, number).encode())):
                data = data.replace(old, new)
            items.append(SendItem.of_file(data))
        return Scan(
            study_uid=_numbered(self.scan.study_uid, number),
            series_uid=_numbered(self.scan.series_uid, number),
            items=items,
        )


def _numbered(uid: str, number: int) -> str:
    return f"{uid[:-_DIGITS]}{number:0{_DIGITS}d}"


def full_size() -> Template:
    """48 slices of 512 x 512, for the shipped model."""
    return Template.of(patients.load("heavy"))


def small() -> Template:
    """30 slices of 128 x 128 with three beads, for the stand-in."""
    volume = heart_scan(beads=((8, 50, 70), (14, 60, 60), (20, 70, 50)))
    return Template.of(DemoPatient(name="small", volume=volume, truth=None))  # type: ignore[arg-type]  # not looked at


@dataclass
class Pacs:
    """A stand-in PACS that keeps nothing but what came when: by study, SOP Instance UIDs and monotonic seconds."""

    port: int = 0
    _came: dict[str, dict[str, float]] = field(default_factory=dict)
    _repeated: int = 0
    _news: threading.Condition = field(default_factory=threading.Condition)

    @contextmanager
    def listening(self) -> Iterator[Self]:
        """While in the block."""
        listener = Listener(
            ListenerConfig(ae_title="STANDINPACS", host="127.0.0.1", port=0, accept_any_called=True), self._keep
        )
        listener.start()
        self.port = listener.port
        try:
            yield self
        finally:
            listener.stop(1.0)

    def wait_for(self, study_uid: str, seconds: float) -> float | None:
        """When the last answer to a study came; None if they are not all there in time."""
        with self._news:
            self._news.wait_for(lambda: len(self._came.get(study_uid, ())) >= ANSWERS, timeout=seconds)
            came = self._came.get(study_uid, {})
            return max(came.values()) if len(came) >= ANSWERS else None

    def totals(self) -> tuple[int, int]:
        """Objects that came, and how many came more than once."""
        with self._news:
            return sum(len(one) for one in self._came.values()), self._repeated

    def _keep(self, data: bytes, request: StoreRequest) -> None:
        now = time.monotonic()
        instance = read_instance(data, request.transfer_syntax_uid)
        with self._news:
            came = self._came.setdefault(instance.study_uid, {})
            self._repeated += instance.sop_uid in came
            came[instance.sop_uid] = now
            self._news.notify_all()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeProcess:
    """A node that runs: where it listens, and which process it is."""

    port: int
    pid: int


@contextmanager
def node(root: Path, pacs_port: int) -> Iterator[NodeProcess]:
    """Start a node on ``root`` that answers to a port; stop it again."""
    command = [sys.executable, "-m", "tests.benchmarks.whole_node", str(root), str(pacs_port)]
    with subprocess.Popen(
        command,
        env=ENVIRONMENT,
        cwd=Path(__file__).parents[2],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for who measures, not for what is measured
    ) as process:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("no pipes")
        try:
            line = process.stdout.readline()
            if not line:
                raise RuntimeError("the node did not start")
            yield NodeProcess(port=int(line), pid=process.pid)
        finally:
            process.stdin.close()
            try:
                process.wait(timeout=_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _serve(root: Path, pacs_port: int) -> None:
    settings = Settings(
        scp=ScpSettings(ae_title=AE_TITLE, host="127.0.0.1", port=0),
        storage=StorageSettings(root=root, reserve_gib=0.1),
        destinations=(Destination(name="pacs", ae_title="STANDINPACS", host="127.0.0.1", port=pacs_port),),
        log=LogSettings(level="ERROR"),
    )
    log.configure("ERROR", "json")
    reader = ByShape()
    reader.warm_up()
    with Node(settings, reader=reader) as running:
        sys.stdout.write(f"{running.port}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    try:
        _serve(Path(sys.argv[1]), int(sys.argv[2]))
    except NodeError as error:
        sys.exit(str(error))
