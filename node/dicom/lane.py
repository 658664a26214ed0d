"""C-STORE past the library: from the PDUs of an established association to one call, and its answer.

What is no C-STORE, or not quite one, goes the library's way untouched.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from io import BytesIO
from typing import cast

from pydicom.dataset import Dataset
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event
from pynetdicom.transport import AssociationSocket

from node.dicom.contexts import ACCEPTED_CLASSES
from node.dicom.framing import Reason, tell_abort
from node.dicom.limits import Limits
from node.dicom.statuses import Answer
from node.dicom.store_wire import (
    COMMAND,
    LAST,
    LONGEST_RESPONSE,
    StoreCommand,
    Value,
    read_store,
    response_to,
    values_of,
)

log = logging.getLogger(__name__)

STORAGE_UIDS = frozenset(sop_class.uid for sop_class in ACCEPTED_CLASSES)

Store = Callable[[Association, StoreCommand, str, bytes], Answer]
"""Keeps a data set of an association, in a transfer syntax; must not raise."""


def by_event(event: Event, store: Store) -> Dataset:
    """The same for a C-STORE that came the library's way."""
    message = cast("C_STORE", event.request)
    command = StoreCommand(
        message_id=message.MessageID or 0,
        sop_class_uid=str(message.AffectedSOPClassUID or ""),
        sop_uid=str(message.AffectedSOPInstanceUID or ""),
    )
    data = cast("BytesIO", message.DataSet).getvalue()
    return store(event.assoc, command, str(event.context.transfer_syntax), data).dataset()


class Violation(Exception):
    """The peer has sent what no peer may; the association has to be aborted."""


class StoreLane:
    """The C-STOREs of one association. Only its network thread comes here."""

    def __init__(self, association: Association, limits: Limits, store: Store) -> None:
        self._association = association
        self._limits = limits
        self._store = store
        self._request: StoreCommand | None = None
        self._context = 0
        self._pieces: list[memoryview] = []
        self._size = 0

    def take(self, body: memoryview) -> memoryview:
        """Take what is ours of the body of a P-DATA-TF; what is left is the library's.

        Raises
        ------
        Violation
            Of the protocol, in the middle of a data set.
        OSError
            The data set grows without end; the connection has to be closed.

        """
        start = 0
        try:
            for value in values_of(body):
                if self._request is not None:
                    self._add(value)
                elif not self._begins(value):
                    break
                start = value.stop
        except ValueError:
            if self._request is not None:
                raise Violation("a presentation data value is cut off") from None
        return body[start:]

    def _begins(self, value: Value) -> bool:
        """Whether a value is all of the command of a C-STORE that is ours to serve."""
        association = self._association
        if value.control & 3 != COMMAND | LAST or association.dimse.message is not None:
            return False
        if value.context not in association._accepted_cx or not self._fits(association):  # noqa: SLF001 - no other way in
            return False
        request = read_store(value.data)
        if request is None or request.sop_class_uid not in STORAGE_UIDS:
            return False
        self._request, self._context = request, value.context
        return True

    def _add(self, value: Value) -> None:
        if value.context != self._context or value.control & COMMAND:
            raise Violation("another message in the middle of a data set")
        self._pieces.append(value.data)
        self._size += len(value.data)
        if self._size > self._limits.instance_bytes:
            log.error("a data set is longer than %d bytes: its association is ended", self._limits.instance_bytes)
            raw = cast("AssociationSocket", self._association.dul.socket).socket
            if raw is not None:
                tell_abort(raw, Reason.INVALID_PARAMETER)
            raise OSError("a data set is too long")  # hung up on: who floods is not listened to until the end
        if value.control & LAST:
            self._serve()

    def _serve(self) -> None:
        association, request = self._association, self._request
        data = b"".join(self._pieces)
        self._request, self._pieces, self._size = None, [], 0
        if request is None:
            return
        syntax = association._accepted_cx[self._context].transfer_syntax[0]  # noqa: SLF001 - no other way in
        answer = self._store(association, request, str(syntax), data)
        if association.is_established:
            said = response_to(request, self._context, answer.status, answer.comment)
            cast("AssociationSocket", association.dul.socket).send(said)

    @staticmethod
    def _fits(association: Association) -> bool:
        """Whether the peer takes a response in one piece; 0 is any length."""
        longest = association.requestor.maximum_length
        return not longest or longest >= LONGEST_RESPONSE
