"""Stand-in archives with a trouble each, which passes: what a destination may do to a node that delivers to it."""

from __future__ import annotations

import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.events import Event

from tests.flow.site import SEG, SR, SUMMARY, destination

Answer = Callable[["Troubled", Event], int]
TIMEOUT_SECONDS = 5.0  # of the node; what is slow comes well before


def status(code: int, *, keeps: bool = False) -> Answer:
    """This status, for an object that the archive has or has not taken."""

    def answer(archive: Troubled, event: Event) -> int:
        if keeps:
            archive.keep(event)
        return code

    return answer


def slowly(archive: Troubled, event: Event) -> int:
    """Success, after a while."""
    time.sleep(0.4)
    return archive.keep(event)


def late(archive: Troubled, event: Event) -> int:
    """Success, when nobody waits for it any more: the node has given up and asks for another association."""
    archive.keep(event)
    archive.asked_again.wait(60)
    return 0


def aborting(archive: Troubled, event: Event) -> int:
    """An A-ABORT in the middle, the object not taken."""
    event.assoc.abort()
    return 0xC000


def hanging_up(archive: Troubled, event: Event) -> int:
    """The object taken, and the connection gone before the answer."""
    archive.keep(event)
    event.assoc.dul.socket.socket.shutdown(socket.SHUT_RDWR)
    return 0


@dataclass(kw_only=True)
class Troubled:
    """A Storage SCP that answers its first C-STOREs as ``script`` says, in turn, and all others well.

    Attributes
    ----------
    rejecting
        The first associations are answered so: (result, source, reason).
    kept
        The contents taken under each UID, in order.
    asked, associations
        When C-STOREs and associations were asked for.

    """

    name: str
    script: Sequence[Answer] = ()
    rejecting: Sequence[tuple[int, int, int]] = ()
    kept: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))
    asked: list[float] = field(default_factory=list)
    associations: list[float] = field(default_factory=list)
    asked_again: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._todo, self._rejections = list(self.script), list(self.rejecting)
        self._lock = threading.Lock()
        entity = AE(ae_title="ARCHIVE")
        for sop_class in (SEG, SR, SUMMARY):
            entity.add_supported_context(sop_class, ExplicitVRLittleEndian)
        handlers: list[Any] = [(evt.EVT_C_STORE, self._store), (evt.EVT_REQUESTED, self._requested)]
        self._server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.asked_again.set()
        self._server.ae.shutdown()

    def keep(self, event: Event) -> int:
        self.kept[str(event.request.AffectedSOPInstanceUID)].append(event.request.DataSet.getvalue())
        return 0

    def destination(self, **more: object) -> dict[str, object]:
        port = self._server.server_address[1]
        return destination(port, self.name, timeout_seconds=TIMEOUT_SECONDS, **more)

    def _store(self, event: Event) -> int:
        with self._lock:
            self.asked.append(time.monotonic())
            answer = self._todo.pop(0) if self._todo else None
        return self.keep(event) if answer is None else answer(self, event)

    def _requested(self, event: Event) -> None:
        with self._lock:
            self.associations.append(time.monotonic())
            rejection = self._rejections.pop(0) if self._rejections else None
            if len(self.associations) > 1:
                self.asked_again.set()
        if rejection is not None:
            event.assoc.acse.send_reject(*rejection)
            event.assoc.is_rejected = True
            event.assoc.kill()
