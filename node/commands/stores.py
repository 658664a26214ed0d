"""The ledger and the files of a node that has run, opened for a command; its lock stays with the node."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from node import parts
from node.domain.errors import Refused
from node.settings import Settings
from node.storage.ledger import Ledger
from node.storage.migrations import current, newest
from node.storage.originals import Originals
from node.storage.spool import Outbox, Spool
from node.storage.storage import Storage

_GIB: Final = 1 << 30


@contextmanager
def storage_of(settings: Settings) -> Iterator[Storage]:
    """Everything that is kept.

    Raises
    ------
    Refused
        The node has never run with these settings, or its ledger has another schema than this version.

    """
    if not parts.ledger_exists(settings):
        raise Refused("there is no ledger yet: the node has never run with these settings")
    url = settings.storage.database_url
    if current(url) != newest():
        raise Refused("the ledger has another schema than this version; run `second-reader db upgrade`")
    root, reserve = settings.storage.root, int(settings.storage.reserve_gib * _GIB)
    with Ledger(url) as ledger:
        yield Storage(
            ledger=ledger, spool=Spool(root, reserve), outbox=Outbox(root), originals=Originals(root, reserve)
        )
