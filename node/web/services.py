"""What the pages stand on, handed in from outside: they open no file and no database themselves."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from pathlib import Path

from node.domain.errors import Permanent
from node.domain.findings import ModelIdentity
from node.domain.human_read import HumanRead
from node.domain.read_history import Recorded
from node.domain.settings_read import SettingsRead
from node.domain.tiers import Limits
from node.intake.fhir_reads import FhirSite
from node.monitor.watch import Watch
from node.stages.scans import Scan, ScanKey, Scans
from node.storage.storage import Storage

Take = Callable[[bytes, Sequence[HumanRead], str], tuple[Recorded, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Bytes of the disk that the storage lies on; below the reserve nothing is accepted."""

    free: int
    total: int
    reserve: int


def room_of(root: Path, reserve_bytes: int) -> Room:
    """How full the disk under ``root`` is."""
    usage = shutil.disk_usage(root)
    return Room(free=usage.free, total=usage.total, reserve=reserve_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """What reads the scans: the model, where it runs ("cpu" or "cuda"), and the name of its bundle's folder."""

    identity: ModelIdentity
    device: str
    bundle: str


def _nobody() -> tuple[str, ...]:
    return ()


def _never_read() -> SettingsRead | None:
    return None


def _no_model() -> LoadedModel | None:
    return None


def _no_echo(name: str) -> None:
    raise KeyError(name)


def _no_take(_data: bytes, _reads: Sequence[HumanRead], _from_whom: str) -> tuple[Recorded, ...]:
    raise Permanent("this node takes no reads by the page")


class _NoScans:
    def get(self, _key: ScanKey) -> Scan:
        raise Permanent("this node keeps no images to be shown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Everything a page may ask.

    Attributes
    ----------
    storage
        Ledger (cases, reads, decisions, people, audit trail), spool and outbox.
    version
        Of this software, for the foot of the page.
    destinations
        Names of the destinations, in the order of the settings; they may change.
    channels
        Names of the channels that are told of cases.
    echo
        Asks a destination by its name whether it is there; raises NodeError if it does not answer.
    scans
        Decoded series for the viewer (``node.stages.stored_scans.StoredScans``).
    take_reads
        Takes human reads in with the original they were found in (``node.stages.intake.Intake.take_all``).
    limits
        By which reads are compared; the charts show them.
    room
        Says how full the disk is; None where nobody can say.
    model
        Says what reads the scans; None while no model is loaded in this process.
    zone
        The site's, for times of human reads that come without one.
    fhir
        What FHIR resources mean at this site.
    watch
        What is measured of the node; None where none runs in this process.
    settings_read
        What became of the settings when they were last read again; None if they never were.

    """

    storage: Storage
    version: str = ""
    destinations: Callable[[], tuple[str, ...]] = _nobody
    channels: tuple[str, ...] = ()
    echo: Callable[[str], None] = field(default=_no_echo)
    scans: Scans = field(default_factory=_NoScans)
    take_reads: Take = field(default=_no_take)
    limits: Limits = field(default_factory=Limits)
    room: Callable[[], Room] | None = None
    model: Callable[[], LoadedModel | None] = _no_model
    zone: tzinfo = UTC
    fhir: FhirSite = field(default_factory=FhirSite)
    watch: Watch | None = None
    settings_read: Callable[[], SettingsRead | None] = _never_read
