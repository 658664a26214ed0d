"""The demo: scanner, node and PACS over sockets; what was known against what was read."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from model import scoring
from model.definition import definition_for
from node.demo import patients
from node.demo.humans import ReadResult, read_by_human
from node.demo.patients import DemoPatient
from node.demo.pictures import write_picture
from node.demo.stand_ins import Arrived, Scan, StandInPacs, push, scan_of
from node.destination_settings import Destination
from node.domain.errors import NodeError
from node.domain.findings import REGIONS, Findings
from node.domain.reading_json import loads
from node.reads_settings import Hl7Settings
from node.scp_settings import ScpSettings
from node.service import Node
from node.settings import LogSettings, SeriesSettings, Settings, StorageSettings
from node.stages.labels_file import unpack_labels
from node.storage.spool import Outbox
from node.web_settings import WebSettings

_PATIENCE_SECONDS = 120.0
_WITH_CALCIUM = 3  # SEG, SR, summary
_WITHOUT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """One patient: Agatston scores by region as known and as read, what the PACS got, how long it took."""

    title: str
    known: Mapping[str, float]
    read: Mapping[str, float]
    category: str
    delivered: tuple[Arrived, ...]
    seconds: float | None  # from the last slice's response to the last object; None if something is missing
    picture: Path | None
    fault: str = ""
    name: str = ""  # of patients.NAMES
    study_uid: str = ""

    @property
    def complete(self) -> bool:
        """Whether the patient was read and everything was delivered."""
        return self.seconds is not None and not self.fault


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Stage:
    """The running demo."""

    node: Node
    pacs: StandInPacs
    settings: Settings
    folder: Path


@contextmanager
def running(folder: Path, port: int) -> Iterator[Stage]:
    """A node with its stand-in PACS, all of it below ``folder``; ``port`` 0 takes a free one."""
    with StandInPacs(folder / "pacs") as pacs:
        settings = Settings(
            scp=ScpSettings(host="127.0.0.1", port=port),
            storage=StorageSettings(root=folder / "node", reserve_gib=0.1),
            series=SeriesSettings(quiet_seconds=2),
            destinations=(Destination(name="pacs", ae_title="STANDINPACS", host="127.0.0.1", port=pacs.port),),
            web=WebSettings(port=0),
            hl7=Hl7Settings(enabled=True, host="127.0.0.1", port=0, allow=("127.0.0.1",)),
            log=LogSettings(level="WARNING"),
        )
        with Node(settings, page=True) as node:
            yield Stage(node=node, pacs=pacs, settings=settings, folder=folder)


def play(stage: Stage, now: datetime) -> Iterator[CaseResult]:
    """Send every patient and report on each as it is answered."""
    for number, name in enumerate(patients.NAMES):
        patient = patients.load(name)
        scan = scan_of(patient, now + timedelta(seconds=number))
        yield replace(_case(stage, patient, scan), name=name, study_uid=scan.study_uid)


def play_humans(stage: Stage, results: Sequence[CaseResult]) -> Iterator[ReadResult]:
    """Let the human reads come in, one for every patient, and report on each as it is compared."""
    for result in results:
        yield read_by_human(stage.node, result.name, result.study_uid, result.known)


def _case(stage: Stage, patient: DemoPatient, scan: Scan) -> CaseResult:
    known = _scores_of(patient)
    title = patients.TITLES[patient.name]
    try:
        last_slice = push(scan, stage.node.port, stage.settings.scp.ae_title)
    except NodeError as error:
        return _failed(title, known, f"not taken: {error}")
    reading = _reading(stage, scan)
    if not isinstance(reading, Findings):
        return _failed(title, known, reading)
    wanted = _WITH_CALCIUM if reading.lesions else _WITHOUT
    arrived = stage.pacs.wait_for(scan.study_uid, wanted, _PATIENCE_SECONDS)
    return CaseResult(
        title=title,
        known=known,
        read={region: reading.scores[region].agatston for region in REGIONS},
        category=reading.category,
        delivered=arrived,
        seconds=arrived[-1].at - last_slice if len(arrived) == wanted else None,
        picture=_picture(stage, patient, scan),
        fault="" if len(arrived) == wanted else f"{len(arrived)} of {wanted} objects were delivered",
    )


def _reading(stage: Stage, scan: Scan) -> Findings | str:
    """The reading once there is one, or why there is none."""
    ledger = stage.node.storage.ledger
    waited = threading.Event()
    for _ in range(int(_PATIENCE_SECONDS / 0.05)):
        stored = ledger.reading(scan.series_uid, 1)
        if stored is not None:
            found = loads(Outbox(stage.settings.storage.root).read(stored.findings))
            return found if isinstance(found, Findings) else "; ".join(found.reasons)
        verdict = ledger.verdict(scan.series_uid, 1)
        if verdict is not None and not verdict.eligible:
            return f"declined: {'; '.join(verdict.reasons)}"
        parked = [record.error for record in ledger.dead_letters() if record.work.series_uid == scan.series_uid]
        if parked:
            return f"parked: {'; '.join(parked)}"
        waited.wait(0.05)
    return "no reading in time"


def _picture(stage: Stage, patient: DemoPatient, scan: Scan) -> Path:
    stored = stage.node.storage.ledger.reading(scan.series_uid, 1)
    labels = patient.truth.labels * 0
    if stored is not None and stored.mask is not None:
        labels = unpack_labels(Outbox(stage.settings.storage.root).read(stored.mask))
    path = stage.folder / f"{patient.name}.png"
    caption = (
        f"{patients.TITLES[patient.name]} - synthetic phantom; coloured: read; white: known and not read. "
        "Research use only."
    )
    write_picture(path, patient.volume.hu.astype("int16"), patient.truth.labels, labels, caption)
    return path


def _scores_of(patient: DemoPatient) -> dict[str, float]:
    scores = scoring.score(patient.volume, patient.truth, definition_for("agatston-1990", patient.volume.kvp))
    return {region: scores.regions[region].agatston for region in REGIONS}


def _failed(title: str, known: Mapping[str, float], fault: str) -> CaseResult:
    return CaseResult(
        title=title, known=known, read={}, category="-", delivered=(), seconds=None, picture=None, fault=fault
    )
