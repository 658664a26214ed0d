"""The only place that wires: settings in, a running node out."""

from __future__ import annotations

import hashlib
import json
import os
import random
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog
import torch

from model.bundle import default_bundle, load_bundle
from model.reader import Reader
from node.dicom.listener import AllowedPeer, Limits, Listener, ListenerConfig
from node.dicom.request import NodeIdentity, Role
from node.dicom.sender import PeerAddress, Sender, Timeouts
from node.dicom.web import WebSender
from node.dispatch.local import LocalDispatcher
from node.dispatch.settle import Settler
from node.dispatch.worker import AssembleWorker, DeliveryWorker, Handler, StageWorker
from node.domain.faults import check_fault_setting
from node.domain.identity import hashed
from node.domain.work import Backoff, Stage
from node.offline import OfflineReader
from node.settings import Destination, ScpSettings, Settings, SettingsError
from node.stages.assemble import Assembler
from node.stages.deliver import Deliverer, Transport
from node.stages.publish import Publisher
from node.stages.qualify import Qualifier
from node.stages.read import ReadStage
from node.stages.receive import Receiver
from node.storage.ledger import Ledger
from node.storage.migrations import upgrade
from node.storage.spool import Outbox, Spool, StorageLock

Clock = Callable[[], datetime]

_log = structlog.get_logger(__name__)
_GIB = 1 << 30


def utc_now() -> datetime:
    """The clock of a running node."""
    return datetime.now(UTC)


def software_version() -> str:
    """Version of this software."""
    return version("calcium-second-reader")


def node_identity(settings: Settings) -> NodeIdentity:
    """How this installation signs what it makes."""
    return NodeIdentity(
        device_serial=hashed(f"{settings.scp.ae_title}:{settings.site.station_name}")[:16],
        software_version=software_version(),
        station_name=settings.site.station_name or settings.scp.ae_title,
        qualification=settings.site.qualification,
    )


def settings_sha256(settings: Settings) -> str:
    """Hash of what shapes an answer: another profile, limit or station makes other objects, with other UIDs."""
    shaping = {
        "profile": settings.reader.profile,
        "site": settings.site.model_dump(mode="json"),
        "eligibility": settings.model_dump(mode="json")["eligibility"],
        "software": software_version(),
    }
    return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode("utf-8")).hexdigest()


def make_reader(settings: Settings) -> Reader:
    """The reader the settings ask for, warmed up. Raises BundleError, or SettingsError for a device or profile."""
    chosen = settings.reader
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    bundle = load_bundle(chosen.bundle) if chosen.bundle is not None else default_bundle()
    try:
        reader = Reader(bundle, device=chosen.device, profile=chosen.profile)
    except ValueError as error:
        raise SettingsError(f"reader: {error}") from None
    reader.warm_up()
    return reader


def offline_reader(settings: Settings, *, load: bool = True) -> OfflineReader:
    """Reading without a node. ``load`` False leaves the network out: nothing will be eligible."""
    return OfflineReader(
        reader=make_reader(settings) if load else None,
        policy=settings.eligibility,
        identity=node_identity(settings),
        settings_sha256=settings_sha256(settings),
    )


def transport_to(destination: Destination, ae_title: str) -> Transport:
    """The way to a destination. Raises SettingsError if its password file cannot be read."""
    return web_to(destination) if destination.kind == "dicomweb" else dimse_to(destination, ae_title)


def web_to(destination: Destination) -> WebSender:
    """The STOW-RS client of a DICOMweb destination."""
    return WebSender(
        destination.url or "",
        username=destination.username,
        password=destination.secret(),
        timeout=destination.timeout_seconds,
    )


def dimse_to(destination: Destination, ae_title: str) -> Sender:
    """The Storage SCU towards a DIMSE destination."""
    seconds = destination.timeout_seconds
    peer = PeerAddress(ae_title=destination.ae_title or "", host=destination.host or "", port=destination.port or 0)
    return Sender(ae_title, peer, Timeouts(connect=min(seconds, 10.0), association=seconds, response=seconds))


def echo(destination: Destination, ae_title: str) -> None:
    """Ask a destination whether it is there. Raises NodeError or SettingsError if not."""
    if destination.kind == "dicomweb":
        web_to(destination).echo()
    else:
        dimse_to(destination, ae_title).echo()


def own_echo(settings: Settings) -> None:
    """Ask the node that runs with these settings for a C-ECHO. Raises NodeError if it does not answer."""
    host = "127.0.0.1" if settings.scp.host in ("0.0.0.0", "::", "") else settings.scp.host  # noqa: S104 - any address
    calling = settings.scp.allow[0].ae_title if settings.scp.allow else settings.scp.ae_title
    peer = PeerAddress(ae_title=settings.scp.ae_title, host=host, port=settings.scp.port)
    Sender(calling, peer, Timeouts(connect=5.0, association=5.0, response=5.0)).echo()


def ledger_exists(settings: Settings) -> bool:
    """Whether there is a ledger to open; asking must not make an empty one."""
    url = settings.storage.database_url
    return not url.startswith("sqlite:///") or Path(url.removeprefix("sqlite:///")).is_file()


def listener_config(scp: ScpSettings) -> ListenerConfig:
    """The listener's part of the settings in its own terms."""
    return ListenerConfig(
        ae_title=scp.ae_title,
        host=scp.host,
        port=scp.port,
        allow=tuple(AllowedPeer(ae_title=peer.ae_title, host=peer.host or "") for peer in scp.allow),
        accept_any_called=scp.accept_any_called,
        limits=Limits(associations=scp.maximum_associations, idle_seconds=scp.idle_seconds),
    )


class Node:
    """A node: listener, stages, deliveries, over one storage root.

    ``with Node(settings) as node:`` starts it and stops it. Starting takes up whatever an earlier process left
    unfinished.
    """

    def __init__(self, settings: Settings, *, clock: Clock = utc_now, reader: Reader | None = None) -> None:
        self._settings = settings
        self._clock = clock
        self._given_reader = reader
        self._held = ExitStack()
        self._stopped = threading.Event()
        self.ledger: Ledger
        self.listener: Listener

    def __enter__(self) -> Self:
        """Start.

        Raises
        ------
        SettingsError, BundleError, NodeError, OSError, ValueError
            The node cannot run like this; nothing is left running.

        """
        with ExitStack() as held:
            self._start(held)
            self._held = held.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop: no new associations, running ones end, what is in hand is finished or left to the next start."""
        self._held.close()

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return self.listener.port

    def _start(self, held: ExitStack) -> None:
        settings = self._settings
        armed = check_fault_setting(os.environ)
        if armed:
            _log.warning("a fault is armed: this process will kill itself", fault=armed)
        held.enter_context(StorageLock(settings.storage.root))
        upgrade(settings.storage.database_url)
        self.ledger = held.enter_context(Ledger(settings.storage.database_url))
        spool = Spool(settings.storage.root, int(settings.storage.reserve_gib * _GIB))
        outbox = Outbox(settings.storage.root)
        self._take_up(spool, outbox)
        reader = self._given_reader or make_reader(settings)
        dispatcher = self._dispatcher(spool, outbox, reader)
        receiver = Receiver(spool, self.ledger, self._clock, on_ended=dispatcher.association_ended)
        self.listener = Listener(
            listener_config(settings.scp),
            receiver.store,
            on_opened=receiver.opened,
            on_closed=receiver.closed,
        )
        dispatcher.start()
        held.callback(dispatcher.stop, 8.0)
        self.listener.start()
        held.callback(self.listener.stop, 5.0)
        if not settings.destinations:
            _log.warning("there are no destinations: readings are made and kept, and go nowhere")

    def _take_up(self, spool: Spool, outbox: Outbox) -> None:
        """What a process before this one left: its associations, claims and half-written files."""
        known = self.ledger.known_paths()
        swept = (spool.sweep(known), outbox.sweep(known))
        released = self.ledger.release_claims(self._clock())
        self.ledger.close_all_associations()
        _log.info(
            "storage is in order",
            debris=sum(one.temporary + one.orphans for one in swept),
            work_taken_up=released,
        )
        missing = sum(len(one.missing) for one in swept)
        if missing:
            _log.error("files that the ledger names are missing from the storage root", files=missing)

    def _dispatcher(self, spool: Spool, outbox: Outbox, reader: Reader) -> LocalDispatcher:
        settings, ledger, clock = self._settings, self.ledger, self._clock
        policy = settings.eligibility
        settler = Settler(ledger, clock, random.Random())  # jitter: no two nodes should keep step
        publisher = Publisher(
            ledger=ledger,
            spool=spool,
            outbox=outbox,
            policy=policy,
            identity=node_identity(settings),
            wanted=wanted_roles(settings),
            clock=clock,
        )
        read = ReadStage(ledger, spool, outbox, reader, policy)
        handlers: Mapping[Stage, Handler] = {
            Stage.QUALIFY: Qualifier(ledger, policy),
            Stage.READ: partial(read, settings_sha256=settings_sha256(settings)),
            Stage.PUBLISH: publisher,
        }
        deliveries = [self._delivery(destination, outbox, settler) for destination in settings.destinations]
        dispatcher: LocalDispatcher

        def wake() -> None:
            dispatcher.work_added()

        stages = StageWorker("read", ledger=ledger, settler=settler, clock=clock, handlers=handlers, on_done=wake)
        assembly = AssembleWorker(
            ledger=ledger,
            settler=settler,
            clock=clock,
            assembler=Assembler(ledger, settings.series.policy()),
            on_done=wake,
        )
        dispatcher = LocalDispatcher(assembly, [stages], deliveries)
        return dispatcher

    def _delivery(self, destination: Destination, outbox: Outbox, settler: Settler) -> DeliveryWorker:
        deliverer = Deliverer(
            destination=destination.name,
            ledger=self.ledger,
            outbox=outbox,
            transport=transport_to(destination, self._settings.scp.ae_title),
        )
        return DeliveryWorker(
            destination.name,
            ledger=self.ledger,
            settler=settler,
            clock=self._clock,
            carry=deliverer,
            backoff=Backoff(
                first=timedelta(seconds=destination.first_retry_seconds),
                most=timedelta(seconds=destination.most_retry_seconds),
                attempts=destination.attempts,
            ),
        )


def wanted_roles(settings: Settings) -> Mapping[str, frozenset[Role]]:
    """For each destination, the roles it gets."""
    return {one.name: frozenset(Role(role) for role in one.send) for one in settings.destinations}
