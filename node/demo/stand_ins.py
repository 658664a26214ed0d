"""A scanner that pushes one synthetic patient, and a PACS that keeps what it is sent. Both speak real DICOM."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from node.demo.patients import DemoPatient
from node.dicom.ct_image import ScanIdentity, ct_images
from node.dicom.files import file_head
from node.dicom.headers import read_instance
from node.dicom.listener import Listener, ListenerConfig, StoreRequest
from node.dicom.outgoing import SendItem
from node.dicom.sender import PeerAddress, Sender


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """An object the PACS was sent."""

    sop_class_uid: str
    sop_uid: str
    description: str
    study_uid: str
    path: Path
    at: float  # monotonic seconds


class StandInPacs:
    """A Storage SCP that writes what it gets to a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._arrived: list[Arrived] = []
        self._news = threading.Condition()
        config = ListenerConfig(ae_title="STANDINPACS", host="127.0.0.1", port=0, accept_any_called=True)
        self._listener = Listener(config, self._keep)

    def __enter__(self) -> Self:
        """Listen."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop listening."""
        self._listener.stop(1.0)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._listener.port

    def of_study(self, study_uid: str) -> tuple[Arrived, ...]:
        """What has come of a study, in order."""
        with self._news:
            return tuple(one for one in self._arrived if one.study_uid == study_uid)

    def wait_for(self, study_uid: str, count: int, seconds: float) -> tuple[Arrived, ...]:
        """What has come of a study once it is ``count`` objects, or the time is over."""
        with self._news:
            self._news.wait_for(lambda: self._count(study_uid) >= count, timeout=seconds)
        return self.of_study(study_uid)

    def _count(self, study_uid: str) -> int:
        return sum(one.study_uid == study_uid for one in self._arrived)

    def _keep(self, data: bytes, request: StoreRequest) -> None:
        instance = read_instance(data, request.transfer_syntax_uid)
        head = file_head(
            sop_class_uid=request.sop_class_uid,
            sop_uid=request.sop_uid,
            transfer_syntax_uid=request.transfer_syntax_uid,
        )
        path = self._folder / f"{instance.sop_uid}.dcm"
        path.write_bytes(head + data)
        with self._news:
            self._arrived.append(
                Arrived(
                    sop_class_uid=request.sop_class_uid,
                    sop_uid=request.sop_uid,
                    description=instance.acquisition.series_description,
                    study_uid=instance.study_uid,
                    path=path,
                    at=time.monotonic(),
                )
            )
            self._news.notify_all()


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A written scan, ready to be sent."""

    study_uid: str
    series_uid: str
    items: Sequence[SendItem]


def scan_of(patient: DemoPatient, made_at: datetime) -> Scan:
    """The patient as CT images. The same moment gives the same UIDs."""
    identity = ScanIdentity(
        seed=f"demo:{patient.name}:{made_at.isoformat()}",
        patient_id=f"DEMO-{patient.name.upper()}",
        patient_name=f"Synthetic^{patient.name.capitalize()}",
        patient_sex="O",
        accession_number=f"DEMO{made_at:%H%M%S}",
        made_at=made_at,
    )
    items = [SendItem.of_file(data) for _, data in ct_images(patient.volume, identity)]
    return Scan(study_uid=identity.uid("study"), series_uid=identity.uid("series"), items=items)


def push(scan: Scan, port: int, called: str) -> float:
    """Send a scan as a scanner would; when the last response came, in monotonic seconds.

    Raises
    ------
    NodeError
        The node did not take every slice.

    """
    sender = Sender("STANDINCT", PeerAddress(ae_title=called, host="127.0.0.1", port=port))
    for outcome in sender.send(scan.items):
        outcome.require()
    return time.monotonic()
