"""Who works in a node, as its settings ask: what is done at each stage, and the threads that do it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from model.reader import Reader
from node import parts
from node.channels import notice_rules, told_tiers, way_to
from node.destination_settings import Destination
from node.dispatch.commitment import CommitmentWorker
from node.dispatch.settle import Settler
from node.dispatch.worker import AssembleWorker, DeliveryWorker, Handler, NoticeWorker, StageWorker, Worker
from node.domain.work import Stage
from node.keeping import retention_worker
from node.monitor.meters import Carrier, Meters
from node.notify_settings import ChannelSettings
from node.settings import Settings
from node.stages.assemble import Assembler
from node.stages.commit import Commitments
from node.stages.compare import Comparer
from node.stages.deliver import Deliverer, Transport
from node.stages.human_objects import HumanObjects
from node.stages.intake import Intake
from node.stages.notify import Notifier
from node.stages.publish import Publisher
from node.stages.qualify import Qualifier
from node.stages.read import ReadStage
from node.stages.release import Releaser
from node.stages.write_back import WriteBack
from node.storage.storage import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff:
    """What all workers of a node share; each is made by the settings it is to work by.

    Attributes
    ----------
    intake
        Takes human reads in.
    wake
        Rings whoever may have something to do now.

    """

    storage: Storage
    settler: Settler
    clock: parts.Clock
    meters: Meters
    intake: Intake
    wake: Callable[[], None]

    def releaser(self, settings: Settings) -> Releaser:
        """What decides which made objects go out when."""
        return Releaser(self.storage.ledger, parts.release_rules(settings))

    def handlers(self, settings: Settings, reader: Reader, releaser: Releaser) -> Mapping[Stage, Handler]:
        """What is done at each stage, measured and counted."""
        ledger, policy = self.storage.ledger, settings.eligibility
        objects = HumanObjects(self.storage, policy, self.intake, parts.object_rules(settings))
        made: Mapping[Stage, Handler] = {
            Stage.QUALIFY: Qualifier(ledger, policy, self.storage.spool, objects),
            Stage.READ: partial(
                ReadStage(self.storage, reader, policy), settings_sha256=parts.settings_sha256(settings)
            ),
            Stage.PUBLISH: Publisher(
                storage=self.storage,
                policy=policy,
                identity=parts.node_identity(settings),
                wanted=parts.wanted_roles(settings),
                clock=self.clock,
                releaser=releaser,
            ),
            Stage.COMPARE: Comparer(
                storage=self.storage,
                policy=policy,
                limits=settings.comparison,
                releaser=releaser,
                clock=self.clock,
                channels=told_tiers(settings.notify),
            ),
            Stage.WRITE_BACK: WriteBack(
                storage=self.storage,
                destinations=parts.told_of_outcomes(settings),
                disclosure=parts.disclosure(settings),
                software_version=parts.software_version(),
            ),
        }
        return self.meters.working(made)

    def assembly(self, settings: Settings, releaser: Releaser) -> Worker:
        """The thread that looks at open series, and at what is held until a time."""
        return AssembleWorker(
            ledger=self.storage.ledger,
            settler=self.settler,
            clock=self.clock,
            assembler=Assembler(self.storage.ledger, settings.series.policy(), since=self.clock()),
            on_done=self.wake,
            also=releaser.tick,
        )

    def stages(self, handlers: Mapping[Stage, Handler]) -> StageWorker:
        """The thread that does what is to be done at the stages, one after the other."""
        return StageWorker(
            "stages",
            ledger=self.storage.ledger,
            settler=self.settler,
            clock=self.clock,
            handlers=handlers,
            on_done=self.wake,
        )

    def delivery(self, destination: Destination, transport: Transport) -> DeliveryWorker:
        """The thread that takes objects to one destination."""
        deliverer = Deliverer(destination=destination.name, storage=self.storage, transport=transport)
        return self._carrier(DeliveryWorker, destination, deliverer)

    def notices(self, settings: Settings, channel: ChannelSettings) -> DeliveryWorker:
        """The thread that takes notices to one channel. Raises SettingsError if it cannot be used as it is set."""
        notifier = Notifier(
            name=channel.name,
            ledger=self.storage.ledger,
            channel=way_to(channel, settings.web.title, self.clock),
            rules=notice_rules(settings),
        )
        return self._carrier(NoticeWorker, channel, notifier)

    def commitment(self, commitments: Commitments) -> Worker:
        """The thread that tells peers the results of storage commitment."""
        return CommitmentWorker(
            ledger=self.storage.ledger, settler=self.settler, clock=self.clock, commitments=commitments
        )

    def retention(self, settings: Settings) -> Worker:
        """The thread that lets go of data."""
        return retention_worker(settings, self.storage, self.settler, self.clock)

    def _carrier(
        self, kind: type[DeliveryWorker], other: Destination | ChannelSettings, carry: Carrier
    ) -> DeliveryWorker:
        return kind(
            other.name,
            ledger=self.storage.ledger,
            settler=self.settler,
            clock=self.clock,
            carry=self.meters.carrying(kind.stage, other.name, carry),
            backoff=parts.backoff(other),
        )
