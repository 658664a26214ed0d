"""The only place that wires: settings in, a running node out."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Self

import structlog

from model.reader import Reader
from node import parts
from node.committing import Committing, committing
from node.dicom.listener import Listener
from node.dispatch.local import LocalDispatcher
from node.dispatch.settle import Settler
from node.dispatch.worker import StageWorker, Worker
from node.domain.faults import check_fault_setting
from node.domain.settings_read import SettingsRead
from node.domain.work import Stage
from node.intake.mllp import MllpListener
from node.monitor.meters import Meters
from node.page import page_server
from node.rereading import Changing, Rereading
from node.settings import Settings
from node.stages.hl7_door import Hl7Door
from node.stages.intake import Intake
from node.stages.receive import Receiver
from node.storage.ledger import Ledger
from node.storage.migrations import upgrade
from node.storage.originals import Originals
from node.storage.spool import Outbox, Spool, StorageLock
from node.storage.storage import Storage
from node.watching import Watching
from node.web.server import PageServer
from node.workers import Staff

_log = structlog.get_logger(__name__)
_GIB = 1 << 30
# One after the other, and together under the 10 seconds that service managers and containers give.
_LISTENER_GRACE_SECONDS = 3.0
_DISPATCH_GRACE_SECONDS = 4.0


class Node:
    """A node: listener, stages, deliveries, over one storage root.

    ``with Node(settings) as node:`` starts it and stops it. Starting takes up whatever an earlier process left
    unfinished. With ``page``, the page is served too, as the settings say.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: parts.Clock = parts.utc_now,
        reader: Reader | None = None,
        page: bool = False,
    ) -> None:
        self._settings = settings
        self._with_page = page
        self._clock = clock
        self._reader = reader
        self._held = ExitStack()
        self._dispatcher: LocalDispatcher
        self._rereading: Rereading
        self._stages: StageWorker
        self._deliveries: dict[str, Worker] = {}
        self._commitments: Committing | None = None
        self.listener: Listener
        self.page: PageServer | None = None
        self.hl7: MllpListener | None = None
        self.storage: Storage
        self._staff: Staff
        self._meters = Meters()

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

    @property
    def reads(self) -> bool:
        """Whether a model is loaded."""
        return self._reader is not None

    @property
    def reader(self) -> Reader | None:
        """What reads the scans; None while it is being loaded."""
        return self._reader

    @property
    def settings(self) -> Settings:
        """By which the node runs now."""
        return self._rereading.settings if hasattr(self, "_rereading") else self._settings

    @property
    def settings_read(self) -> SettingsRead | None:
        """What became of the settings when they were last read again; None if they never were."""
        return self._rereading.last if hasattr(self, "_rereading") else None

    def reload(self, load: Callable[[], Settings], source: str = "") -> SettingsRead:
        """Read the settings again: allow-lists, destinations and what they get change, the rest waits for a restart.

        No association is dropped, nothing that waits to be delivered is lost. Settings that cannot be used change
        nothing. ``source`` is the name of their file, for the audit trail.
        """
        return self._rereading.read(load, source)

    def _start(self, held: ExitStack) -> None:
        settings = self._settings
        armed = check_fault_setting(os.environ)
        if armed:
            _log.warning("a fault is armed: this process will kill itself", fault=armed)
        spool = self._open(held)
        watching = Watching(settings, self.storage.ledger, self._meters, self._clock, self)
        if self._with_page:  # takes its port: a conflict is better known before the network is loaded
            take = self._staff.intake.take_all
            self.page = page_server(self, self.storage, self._clock, take, watching.watch)
            held.callback(self.page.close)
        self._reader = self._reader or parts.make_reader(settings)
        self._dispatcher = self._dispatch(self._reader)
        self.listener = self._door(spool)
        held.callback(self._dispatcher.stop, _DISPATCH_GRACE_SECONDS)
        self._dispatcher.start()
        held.callback(self.listener.stop, _LISTENER_GRACE_SECONDS)
        self.listener.start()
        self._listen_for_hl7(held)
        self._rereading = Rereading(settings, self._changing(self._reader))
        held.enter_context(watching)
        if self.page is not None:
            held.enter_context(self.page)
        held.callback(self._dispatcher.end)  # first of all: workers finish while associations do
        if not settings.destinations:
            _log.warning("there are no destinations: readings are made and kept, and go nowhere")

    def _open(self, held: ExitStack) -> Spool:
        """Everything that is kept, put in order, and who is to work on it."""
        root, reserve = self._settings.storage.root, int(self._settings.storage.reserve_gib * _GIB)
        held.enter_context(StorageLock(root))
        upgrade(self._settings.storage.database_url)
        ledger = held.enter_context(Ledger(self._settings.storage.database_url))
        ledger.observed_by(self._meters.ledger)
        spool = Spool(root, reserve)
        self.storage = Storage(ledger=ledger, spool=spool, outbox=Outbox(root), originals=Originals(root, reserve))
        self._take_up()
        self._staff = Staff(
            storage=self.storage,
            settler=Settler(ledger, self._clock, random.Random()),  # jitter: no two nodes should keep step
            clock=self._clock,
            meters=self._meters,
            intake=Intake(self.storage, self._clock, self._wake, self._meters.read_came),
            wake=self._wake,
        )
        return spool

    def _door(self, spool: Spool) -> Listener:
        receiver = Receiver(spool, self.storage.ledger, self._clock, on_ended=self._dispatcher.association_ended)
        return Listener(
            parts.listener_config(
                self._settings.scp, spool.has_room, None if self._commitments is None else self._commitments.door
            ),
            self._meters.receiving(receiver.store),
            on_opened=receiver.opened,
            on_closed=receiver.closed,
            tally=self._meters,
        )

    def _listen_for_hl7(self, held: ExitStack) -> None:
        if not self._settings.hl7.enabled:
            return
        door = Hl7Door(self._staff.intake, parts.hl7_site(self._settings))
        self.hl7 = MllpListener(parts.mllp_config(self._settings), door)
        held.callback(self.hl7.stop)
        self.hl7.start()

    def _take_up(self) -> None:
        """What a process before this one left: its associations, claims and half-written files."""
        ledger = self.storage.ledger
        known = ledger.known_paths()
        stores = (self.storage.spool, self.storage.outbox, self.storage.originals)
        swept = [store.sweep(known) for store in stores]
        released = ledger.release_claims(self._clock())
        ledger.close_all_associations()
        _log.info(
            "storage is in order",
            debris_removed=sum(one.temporary + one.orphans for one in swept),
            work_taken_up=released,
        )
        gone = ledger.awaited_destinations() - {destination.name for destination in self._settings.destinations}
        if gone:
            _log.warning("deliveries wait for destinations that the settings do not name", destinations=sorted(gone))
        left = ledger.awaited_destinations(Stage.NOTIFY) - {one.name for one in self._settings.notify.channels}
        if left:
            _log.warning("notices wait for channels that the settings do not name", channels=sorted(left))
        missing = sum(len(one.missing) for one in swept)
        if missing:
            _log.error("files that the ledger names are missing from the storage root", files=missing)

    def _dispatch(self, reader: Reader) -> LocalDispatcher:
        settings, staff = self._settings, self._staff
        releaser = staff.releaser(settings)
        releaser.reconsider(self._clock())
        self._stages = staff.stages(staff.handlers(settings, reader, releaser))
        for one in settings.destinations:
            self._deliveries[one.name] = staff.delivery(one, parts.transport_to(one, settings.scp.ae_title))
        self._commitments = committing(settings, self.storage, self._clock)
        return LocalDispatcher(
            staff.assembly(settings, releaser),
            [self._stages],
            [
                *self._deliveries.values(),
                *(staff.notices(settings, channel) for channel in settings.notify.channels),
                staff.retention(settings),
                *([] if self._commitments is None else [staff.commitment(self._commitments.stage)]),
            ],
        )

    def _changing(self, reader: Reader) -> Changing:
        return Changing(
            staff=self._staff,
            reader=reader,
            dispatcher=self._dispatcher,
            stages=self._stages,
            deliveries=self._deliveries,
            listener=self.listener,
            hl7=self.hl7,
        )

    def _wake(self) -> None:
        self._dispatcher.work_added()
