"""The page of a running node: what it may ask is put together here, and served in a thread."""

from __future__ import annotations

import shutil
from typing import Protocol

from model.bundle import DEFAULT_NAME
from model.reader import Reader
from node import parts, trust
from node.domain.errors import Refused
from node.domain.findings import ModelIdentity
from node.domain.settings_read import SettingsRead
from node.monitor.watch import Watch
from node.settings import Settings
from node.stages.human_marks import StoredMarks
from node.stages.stored_scans import StoredScans
from node.storage.storage import Storage
from node.web.server import PageServer
from node.web.services import LoadedModel, Room, Services, Take
from node.web.site import make_site

_GIB = 1 << 30


class Running(Protocol):
    """The node whose page it is."""

    @property
    def settings(self) -> Settings:
        """By which it runs now."""
        ...

    @property
    def settings_read(self) -> SettingsRead | None:
        """What became of the settings when they were last read again."""
        ...

    @property
    def reader(self) -> Reader | None:
        """What reads the scans; None while it is being loaded."""
        ...


def page_server(
    node: Running, storage: Storage, clock: parts.Clock, take_reads: Take, watch: Watch | None = None
) -> PageServer:
    """The server, its port taken, not yet serving. Raises Refused if the port cannot be had, SettingsError for TLS.

    Parameters
    ----------
    node
        Asked again and again: destinations may change while it runs.
    take_reads
        Takes human reads in (``node.stages.intake.Intake.take_all``).
    watch
        What is measured of the node.

    """
    settings = node.settings
    services = Services(
        storage=storage,
        version=parts.software_version(),
        destinations=lambda: tuple(one.name for one in node.settings.destinations),
        channels=tuple(one.name for one in settings.notify.channels),
        echo=lambda name: _echo(node.settings, name),
        settings_read=lambda: node.settings_read,
        scans=StoredScans(storage, settings.eligibility, human_marks=StoredMarks(storage, settings.reads.rgb())),
        take_reads=take_reads,
        limits=settings.comparison,
        zone=settings.reads.tzinfo(),
        fhir=parts.fhir_site(settings),
        watch=watch,
        room=lambda: _room(settings),
        model=lambda: _loaded(node.reader, settings),
    )
    return PageServer(make_site(services, settings.web, clock), settings.web, trust.page_context(settings.web))


def _echo(settings: Settings, name: str) -> None:
    found = next((one for one in settings.destinations if one.name == name), None)
    if found is None:
        raise Refused("it has just left the settings")
    parts.echo(found, settings.scp.ae_title)


def _loaded(reader: Reader | None, settings: Settings) -> LoadedModel | None:
    if reader is None:
        return None
    known = reader.identity
    return LoadedModel(
        identity=ModelIdentity(
            name=known.name, version=known.version, sha256=known.sha256, trained_on=known.trained_on
        ),
        device=reader.device,
        bundle=DEFAULT_NAME if settings.reader.bundle is None else settings.reader.bundle.name,
    )


def _room(settings: Settings) -> Room:
    usage = shutil.disk_usage(settings.storage.root)
    return Room(free=usage.free, total=usage.total, reserve=int(settings.storage.reserve_gib * _GIB))
