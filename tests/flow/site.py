"""A small hospital: scanners that push studies, a node, and archives that take its answers. All over real sockets."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from pydicom import dcmread
from pydicom.dataset import Dataset

from model.reader import Reader
from node.dicom.files import file_head
from node.dicom.headers import read_instance
from node.dicom.listener import Listener, ListenerConfig, StoreRequest
from node.dicom.outgoing import Outcome, SendItem
from node.dicom.sender import PeerAddress, Sender, Timeouts
from node.domain.records import WorkRecord
from node.domain.work import Stage, WorkState
from node.service import Node
from node.settings import Settings
from node.storage.ledger import Ledger
from tests.dicom_series import Style, ct_series, file_bytes
from tests.heart_scan import heart_scan

AE_TITLE = "CALCIUM2R"
SEG, SR, SUMMARY = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.88.34", "1.2.840.10008.5.1.4.1.1.7"
_CORONARY_SCORE = "450360000"  # SNOMED CT: coronary artery calcium score
QUIET_SECONDS = 1.0
PATIENCE_SECONDS = 40.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(condition: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


@dataclass(frozen=True, kw_only=True)
class Stored:
    """One C-STORE an archive has taken: the file it makes of it."""

    sop_class_uid: str
    sop_uid: str
    study_uid: str
    file: Path

    def read(self) -> Dataset:
        return dcmread(self.file)


class Archive:
    """A Storage SCP that keeps every C-STORE apart, also of the same object; ``trouble`` is raised first, in order."""

    def __init__(self, folder: Path, *, port: int = 0, trouble: Sequence[Exception] = ()) -> None:
        self.folder = folder
        self.trouble = list(trouble)
        self.asked = 0
        self.stored: list[Stored] = []
        self._lock = threading.Lock()
        config = ListenerConfig(ae_title="ARCHIVE", host="127.0.0.1", port=port)
        self._listener = Listener(config, self._keep)

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.stop(0.5)

    @property
    def port(self) -> int:
        return self._listener.port

    def _keep(self, data: bytes, request: StoreRequest) -> None:
        with self._lock:
            self.asked += 1
            if self.trouble:
                raise self.trouble.pop(0)
            path = self.folder / f"{len(self.stored):04d}.dcm"
            head = file_head(
                sop_class_uid=request.sop_class_uid,
                sop_uid=request.sop_uid,
                transfer_syntax_uid=request.transfer_syntax_uid,
            )
            path.write_bytes(head + data)
            self.stored.append(
                Stored(
                    sop_class_uid=request.sop_class_uid,
                    sop_uid=request.sop_uid,
                    study_uid=read_instance(data, request.transfer_syntax_uid).study_uid,
                    file=path,
                )
            )

    def wait_for(self, count: int, seconds: float = PATIENCE_SECONDS) -> list[Stored]:
        wait_until(lambda: len(self.stored) >= count, seconds)
        return list(self.stored)

    def of(self, study: Study) -> list[Stored]:
        return [one for one in list(self.stored) if one.study_uid == study.study_uid]

    def destination(self, name: str = "pacs", **more: object) -> dict[str, object]:
        return destination(self.port, name, **more)


def destination(port: int, name: str = "pacs", **more: object) -> dict[str, object]:
    """The settings of a DIMSE destination on this machine."""
    address = {"name": name, "ae_title": "ARCHIVE", "host": "127.0.0.1", "port": port}
    return {**address, "first_retry_seconds": 0.2, "most_retry_seconds": 0.5, "timeout_seconds": 5.0, **more}


def toml_of(tables: Mapping[str, Mapping[str, object]], destinations: Sequence[Mapping[str, object]]) -> str:
    """Settings as TOML; JSON's scalars and lists are TOML's."""

    def lines(values: Mapping[str, object]) -> list[str]:
        return [f"{name} = {json.dumps(value)}" for name, value in values.items()]

    parts = [line for name, values in tables.items() for line in (f"[{name}]", *lines(values))]
    parts += [line for values in destinations for line in ("[[destinations]]", *lines(values))]
    return "\n".join(parts) + "\n"


def write_config(
    folder: Path, destinations: Sequence[Mapping[str, object]] = (), **tables: Mapping[str, object]
) -> Path:
    """A configuration file for a node whose storage is ``folder``/node."""
    usual: dict[str, dict[str, object]] = {
        "scp": {"ae_title": AE_TITLE, "host": "127.0.0.1", "port": 0},
        "storage": {"root": str(folder / "node"), "reserve_gib": 0},
        "series": {"quiet_seconds": QUIET_SECONDS},
        "reader": {"device": "cpu", "threads": 1},
        "log": {"level": "DEBUG"},
    }
    for name, values in tables.items():
        usual[name] = {**usual.get(name, {}), **values}
    path = folder / "node.toml"
    path.write_text(toml_of(usual, destinations), encoding="utf-8")
    return path


def a_node(
    folder: Path, reader: Reader, destinations: Sequence[Mapping[str, object]] = (), **tables: Mapping[str, object]
) -> Node:
    """A node in this process, not started."""
    return Node(Settings.load(write_config(folder, destinations, **tables), {}), reader=reader)


@dataclass(frozen=True, kw_only=True)
class Study:
    """A synthetic calcium scan: the images of one series, 30 slices."""

    images: Sequence[Dataset]
    style: Style = field(default_factory=Style)

    @property
    def series_uid(self) -> str:
        return str(self.images[0].SeriesInstanceUID)

    @property
    def study_uid(self) -> str:
        return str(self.images[0].StudyInstanceUID)


def a_study(name: str, *, calcium: bool = True, **tags: object) -> Study:
    """One bead of calcium, or none; ``tags`` are set on every image."""
    style = Style(name=name, tags=tags)
    volume = heart_scan() if calcium else heart_scan(beads=())
    return Study(images=ct_series(volume, style), style=style)


def items_of(images: Sequence[Dataset]) -> list[SendItem]:
    return [SendItem.of_file(file_bytes(image)) for image in images]


def scanner(port: int, calling: str = "CT01", called: str = AE_TITLE) -> Sender:
    seconds = Timeouts(connect=5.0, association=10.0, response=20.0)
    return Sender(calling, PeerAddress(ae_title=called, host="127.0.0.1", port=port), seconds)


def send(port: int, images: Sequence[Dataset], calling: str = "CT01") -> list[Outcome]:
    """One association, one outcome for each image."""
    return scanner(port, calling).send(items_of(images))


def deliver(port: int, images: Sequence[Dataset], calling: str = "CT01") -> None:
    """Send, and every image must be kept."""
    for outcome in send(port, images, calling):
        assert outcome.require() == ""


def settled(ledger: Ledger) -> bool:
    """Nothing is open, due or under way."""
    return not ledger.open_series() and ledger.next_due() is None


def settle(node: Node, seconds: float = PATIENCE_SECONDS) -> None:
    """Wait until the node has nothing left to do."""
    wait_until(lambda: settled(node.storage.ledger), seconds)


def work_of(node: Node, series_uid: str, stage: Stage, generation: int = 1) -> list[WorkRecord]:
    rows = node.storage.ledger.series_work(series_uid, generation)
    return [row for row in rows if row.work.stage is stage]


def reasons_of(node: Node, series_uid: str, generation: int = 1) -> tuple[str, ...]:
    """Why a series was declined; fails if it was not."""
    verdict = node.storage.ledger.verdict(series_uid, generation)
    assert verdict is not None
    assert not verdict.eligible
    (qualify,) = work_of(node, series_uid, Stage.QUALIFY, generation)
    read = work_of(node, series_uid, Stage.READ, generation)
    assert WorkState.DECLINED in [row.state for row in (qualify, *read)]
    return verdict.reasons


@dataclass(frozen=True, kw_only=True)
class Site:
    """A running node and the archive it answers to."""

    node: Node
    archive: Archive

    def settle(self) -> None:
        settle(self.node)

    def send(self, study: Study, calling: str = "CT01") -> None:
        deliver(self.node.port, study.images, calling)

    def answers(self, study: Study, count: int = 3) -> Mapping[str, Dataset]:
        """What came of a study once the node has nothing left to do, by SOP class; each came once."""
        wait_until(lambda: len(self.archive.of(study)) >= count)
        self.settle()
        found = self.archive.of(study)
        assert len(found) == count
        return {one.sop_class_uid: one.read() for one in found}

    def still_works(self, after: str) -> None:
        """The node answers C-ECHO, and a good study is answered."""
        scanner(self.node.port).echo()
        study = a_study(f"good after {after}")
        self.send(study)
        assert set(self.answers(study)) == {SEG, SR, SUMMARY}


def nodes_under(item: Dataset) -> Iterator[Dataset]:
    """A content item and all below it."""
    yield item
    for child in item.get("ContentSequence", []):
        yield from nodes_under(child)


def agatston_total(report: Dataset) -> float:
    """The Agatston score of all coronaries: the largest of those a report gives for them."""
    return max(
        float(item.MeasuredValueSequence[0].NumericValue)
        for item in nodes_under(report)
        if item.get("ValueType") == "NUM" and item.ConceptNameCodeSequence[0].CodeValue == _CORONARY_SCORE
    )
