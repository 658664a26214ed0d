"""Retention as the settings ask for it: for the node's own thread, and for the command line."""

from __future__ import annotations

import shutil

from node import parts
from node.dispatch.retention import RetentionWorker
from node.dispatch.settle import Settler
from node.settings import Settings
from node.stages.retain import Retainer
from node.storage.storage import Storage


def retainer(settings: Settings, storage: Storage) -> Retainer:
    """What applies the site's rule."""
    root = settings.storage.root
    return Retainer(storage, settings.retention.rule(), free=lambda: shutil.disk_usage(root).free)


def retention_worker(settings: Settings, storage: Storage, settler: Settler, clock: parts.Clock) -> RetentionWorker:
    """The thread that applies it."""
    return RetentionWorker(
        ledger=storage.ledger,
        settler=settler,
        clock=clock,
        retainer=retainer(settings, storage),
        hour=settings.retention.hour,
        zone=settings.reads.tzinfo(),
    )
