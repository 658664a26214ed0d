"""The page of a running node: what it may ask is put together here, and served in a thread."""

from __future__ import annotations

import shutil

from node import parts
from node.settings import Settings
from node.stages.stored_scans import StoredScans
from node.storage.storage import Storage
from node.web.server import PageServer
from node.web.services import Room, Services, Take
from node.web.site import make_site

_GIB = 1 << 30


def page_server(settings: Settings, storage: Storage, clock: parts.Clock, take_reads: Take) -> PageServer:
    """The server, its port taken, not yet serving. Raises Refused if the port cannot be had.

    Parameters
    ----------
    take_reads
        Takes human reads in (``node.stages.intake.Intake.take_all``).

    """
    by_name = {one.name: one for one in settings.destinations}
    services = Services(
        storage=storage,
        version=parts.software_version(),
        destinations=tuple(by_name),
        echo=lambda name: parts.echo(by_name[name], settings.scp.ae_title),
        scans=StoredScans(storage, settings.eligibility),
        take_reads=take_reads,
        limits=settings.comparison,
        zone=settings.reads.tzinfo(),
        room=lambda: _room(settings),
    )
    return PageServer(make_site(services, settings.web, clock), settings.web)


def _room(settings: Settings) -> Room:
    usage = shutil.disk_usage(settings.storage.root)
    return Room(free=usage.free, total=usage.total, reserve=int(settings.storage.reserve_gib * _GIB))
