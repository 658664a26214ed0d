"""A listener's counterparts: what keeps its images in memory, and peers that send them."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from io import BytesIO

from pydicom.uid import (
    ExplicitVRLittleEndian,
)
from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE

from node.dicom.headers import read_instance
from node.dicom.listener import Closed, Listener, StoreRequest
from node.dicom.sender import PeerAddress, Sender, SendItem
from node.domain.series import Peer
from tests.association_wire import CT, ask
from tests.dicom_series import Style, ct_series, file_bytes, thorax

SMALL = thorax(3, 4, 5)
MR = "1.2.840.10008.5.1.4.1.1.4"


@dataclass
class Keeper:
    """What a receive stage would do, in memory."""

    kept: list[tuple[bytes, StoreRequest]] = field(default_factory=list)
    opened: list[Peer] = field(default_factory=list)
    closed: list[tuple[Peer, Closed, int]] = field(default_factory=list)
    failure: Exception | None = None
    delay: float = 0.0

    def store(self, data: bytes, request: StoreRequest) -> None:
        time.sleep(self.delay)
        if self.failure is not None:
            raise self.failure
        read_instance(data, request.transfer_syntax_uid)
        self.kept.append((bytes(data), request))

    def close(self, peer: Peer, how: Closed) -> None:
        self.closed.append((peer, how, len(self.kept)))

    def wait_closed(self, count: int = 1) -> None:
        wait_until(lambda: len(self.closed) >= count)


def wait_until(holds, seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.005)


@contextmanager
def listeners() -> Iterator[Callable[[Listener], Listener]]:
    """Starts listeners, and ends them all."""
    with ExitStack() as running:

        def go(listener: Listener) -> Listener:
            listener.start()
            running.callback(listener.stop, grace_seconds=0.2)
            return listener

        yield go


def sender(listener: Listener, **changes: object) -> Sender:
    return Sender("CT01", replace(PeerAddress(ae_title="CALCIUM2R", host="127.0.0.1", port=listener.port), **changes))


def item(image, **changes: object) -> SendItem:
    return replace(SendItem.of_file(file_bytes(image)), **changes)


def still_works(listener: Listener, keeper: Keeper) -> None:
    """The next peer is served as if nothing had happened."""
    keeper.failure = None
    before = len(keeper.kept)
    sender(listener).echo()
    (outcome,) = sender(listener).send([item(ct_series(SMALL, Style(name="after"))[0])])
    assert outcome.delivered
    assert len(keeper.kept) == before + 1


def associated(
    listener: Listener, classes=(CT,), syntaxes=(ExplicitVRLittleEndian,), called="CALCIUM2R"
) -> Association:
    entity = AE(ae_title="CT01")
    entity.dimse_timeout = entity.acse_timeout = entity.network_timeout = 5
    for sop_class in classes:
        entity.add_requested_context(sop_class, list(syntaxes))
    return entity.associate("127.0.0.1", listener.port, ae_title=called)


def raw_store(association: Association, data: bytes, *, sop_class: str = CT, sop_uid: str = "1.2.3") -> C_STORE:
    """C-STORE of any bytes at all; the whole response."""
    request = C_STORE()
    request.MessageID, request.Priority = 1, 0
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = sop_class, sop_uid
    request.DataSet = BytesIO(data)
    association._reactor_checkpoint.clear()
    association.dimse.send_msg(request, association.accepted_contexts[0].context_id)
    _, response = association.dimse.get_msg(block=True)
    association._reactor_checkpoint.set()
    assert isinstance(response, C_STORE)
    return response


def hello(listener: Listener) -> socket.socket:
    """An association made by hand: context 1 is CT in Explicit VR Little Endian."""
    connection, answer = ask(listener.port)
    assert answer[:1] == b"\2"
    return connection
