"""The watch over a running node: what is measured, whether it is ready, and scanners that have gone silent."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol, Self

from node import parts
from node.channels import way_to
from node.dicom.listener import Listener
from node.monitor.meters import Meters
from node.monitor.sampler import Asked, Sampler
from node.monitor.silent_scanners import SilentScanners
from node.monitor.space import SpaceWatch
from node.monitor.watch import Watch
from node.settings import Settings
from node.storage.ledger import Ledger

_GIB = 1 << 30


class Running(Protocol):
    """What is watched. The listener may not be there yet."""

    listener: Listener

    @property
    def reads(self) -> bool:
        """Whether a model is loaded."""
        ...


class Watching:
    """``with Watching(...)``: looks at the node until the block ends; ``watch`` is what the page may ask of it.

    Raises
    ------
    SettingsError
        A channel cannot be used as it is set.

    """

    def __init__(self, settings: Settings, ledger: Ledger, meters: Meters, clock: parts.Clock, node: Running) -> None:
        monitor, reserve = settings.monitor, int(settings.storage.reserve_gib * _GIB)
        self._space = SpaceWatch(
            ledger, meters, clock, settings.retention.rule(), lambda: _free(settings.storage.root) - reserve
        )
        asked = Asked(
            listening=lambda: hasattr(node, "listener") and node.listener.listening,
            model=lambda: node.reads,
            free=lambda: _free(settings.storage.root),
            reserve=reserve,
            space=self._space.warning,
            associations=lambda: node.listener.open_associations if hasattr(node, "listener") else 0,
        )
        told = settings.notify.channels if monitor.silence and monitor.silence_notices else ()
        self._sampler = Sampler(ledger, meters, asked, clock)
        self._silent = SilentScanners(
            ledger,
            meters,
            clock,
            monitor.rule(settings.reads.tzinfo()),
            {one.name: way_to(one, settings.web.title, clock) for one in told},
            parts.node_identity(settings).device_serial,
        )
        self._held = ExitStack()
        self.watch = Watch(
            exposition=meters.exposition,
            readiness=self._sampler.readiness,
            silences=lambda: self._silent.found,
            space=lambda: self._space.found,
            allow=monitor.allow,
        )

    def __enter__(self) -> Self:
        """Begin to look."""
        self._held.enter_context(self._sampler)
        self._held.enter_context(self._silent)
        self._held.enter_context(self._space)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self._held.close()


def _free(root: Path) -> int:
    return shutil.disk_usage(root).free
