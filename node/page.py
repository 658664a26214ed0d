"""The page of a running node: what it may ask is put together here, and served in a thread."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from model.bundle import DEFAULT_NAME
from model.reader import Reader
from node import parts, trust
from node.domain.findings import ModelIdentity
from node.monitor.watch import Watch
from node.settings import Settings
from node.stages.human_marks import StoredMarks
from node.stages.stored_scans import StoredScans
from node.storage.storage import Storage
from node.web.server import PageServer
from node.web.services import LoadedModel, Room, Services, Take
from node.web.site import make_site

_GIB = 1 << 30


def page_server(
    settings: Settings,
    storage: Storage,
    clock: parts.Clock,
    take_reads: Take,
    reader: Callable[[], Reader | None],
    watch: Watch | None = None,
) -> PageServer:
    """The server, its port taken, not yet serving. Raises Refused if the port cannot be had, SettingsError for TLS.

    Parameters
    ----------
    take_reads
        Takes human reads in (``node.stages.intake.Intake.take_all``).
    reader
        What reads the scans, None while it is being loaded.
    watch
        What is measured of the node.

    """
    by_name = {one.name: one for one in settings.destinations}
    services = Services(
        storage=storage,
        version=parts.software_version(),
        destinations=tuple(by_name),
        channels=tuple(one.name for one in settings.notify.channels),
        echo=lambda name: parts.echo(by_name[name], settings.scp.ae_title),
        scans=StoredScans(storage, settings.eligibility, human_marks=StoredMarks(storage, settings.reads.rgb())),
        take_reads=take_reads,
        limits=settings.comparison,
        zone=settings.reads.tzinfo(),
        fhir=parts.fhir_site(settings),
        watch=watch,
        room=lambda: _room(settings),
        model=lambda: _loaded(reader(), settings),
    )
    return PageServer(make_site(services, settings.web, clock), settings.web, trust.page_context(settings.web))


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
