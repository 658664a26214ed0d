"""Storage commitment, push model (PS3.4 annex J): requests as N-ACTION in, results as N-EVENT-REPORT out.

A result goes over an association of its own, on which this node asks for the role of SCP (PS3.7 D.3.3.4).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from io import BytesIO
from typing import Final, cast

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pynetdicom import build_context, build_role
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import N_ACTION, N_EVENT_REPORT
from pynetdicom.dsutils import encode
from pynetdicom.events import Event
from pynetdicom.presentation import PresentationContext

from node.dicom.calling import Caller, PeerAddress, Timeouts, exchange
from node.dicom.elements import Elements
from node.dicom.encoding import EXPLICIT, IMPLICIT, is_uid
from node.domain.commitment import CommitmentRequest, CommitmentResult, Reference
from node.domain.errors import Malformed, Refused, Retryable

log = logging.getLogger(__name__)

STORAGE_COMMITMENT: Final = "1.2.840.10008.1.20.1"
WELL_KNOWN: Final = "1.2.840.10008.1.20.1.1"
"""The one SOP instance that is asked (PS3.4 J.3.5)."""
COMMITMENT_SYNTAXES: Final = (EXPLICIT, IMPLICIT)
_REQUEST_ACTION: Final = 1
_ALL_KEPT, _SOME_FAILED = 1, 2
MOST_BYTES: Final = 8 * 1024 * 1024
MOST_REFERENCES: Final = 50_000

SUCCESS: Final = 0x0000
PROCESSING_FAILURE: Final = 0x0110
NO_SUCH_INSTANCE: Final = 0x0112
INVALID_ARGUMENT: Final = 0x0115
NO_SUCH_ACTION: Final = 0x0123
NOT_AUTHORISED: Final = 0x0124
RESOURCE_LIMITATION: Final = 0x0213


class TooLong(Malformed):
    """A request names more instances than one can."""


def asked(event: Event, take: Callable[[CommitmentRequest], None]) -> tuple[int, None]:
    """Answer an N-ACTION: its status (PS3.7 10.1.4.1.10), and no reply beside it. ``take`` keeps the request."""
    message = cast("N_ACTION", event.request)
    requestor = event.assoc.requestor
    status, why = SUCCESS, ""
    try:
        if str(message.RequestedSOPInstanceUID or "") != WELL_KNOWN:
            status, why = NO_SUCH_INSTANCE, "another SOP instance than the well-known one"
        elif message.ActionTypeID != _REQUEST_ACTION:
            status, why = NO_SUCH_ACTION, "an action that there is not"
        else:
            data = message.ActionInformation
            transaction, references = request_in(
                b"" if data is None else data.getvalue(), str(event.context.transfer_syntax)
            )
            take(
                CommitmentRequest(
                    transaction_uid=transaction,
                    ae_title=requestor.ae_title.strip(),
                    host=requestor.address,
                    references=references,
                )
            )
    except (TooLong, Retryable) as error:
        status, why = RESOURCE_LIMITATION, str(error)
    except Refused as error:
        status, why = NOT_AUTHORISED, str(error)
    except Malformed as error:
        status, why = INVALID_ARGUMENT, str(error)
    except Exception as error:  # noqa: BLE001 - whatever it is, the peer gets a status that means something
        status, why = PROCESSING_FAILURE, type(error).__name__
    if why:
        log.warning("storage commitment for %r not taken (%04X): %s", requestor.ae_title, status, why)
    return status, None


def request_in(data: bytes, transfer_syntax_uid: str) -> tuple[str, tuple[Reference, ...]]:
    """Transaction UID and instances of a request (PS3.4 table J.3-1), each instance once, in the order they came.

    Raises
    ------
    Malformed
        It names no transaction or no instance, or not by UIDs.
    TooLong
        It names more than one request can.

    """
    if len(data) > MOST_BYTES:
        raise TooLong(f"a request of {len(data)} bytes")
    elements = Elements.of(memoryview(data), transfer_syntax_uid)
    transaction = _uid(elements, "TransactionUID")
    items = elements.items("ReferencedSOPSequence", most=2 * MOST_REFERENCES)
    if len(items) > MOST_REFERENCES:
        raise TooLong(f"{len(items)} instances in one request")
    named = (Reference(_uid(item, "ReferencedSOPClassUID"), _uid(item, "ReferencedSOPInstanceUID")) for item in items)
    references = tuple(dict.fromkeys(named))
    if not references:
        raise Malformed("the request names no instance")
    return transaction, references


def _uid(elements: Elements, keyword: str) -> str:
    found = elements.uid(keyword)
    if not is_uid(found):
        raise Malformed(f"{keyword} is missing or no UID")
    return found


def report_of(result: CommitmentResult) -> Dataset:
    """The Event Information of a result (PS3.4 table J.3-2)."""
    report = Dataset()
    report.TransactionUID = result.transaction_uid
    if result.kept:
        report.ReferencedSOPSequence = Sequence([_item(one) for one in result.kept])
    if result.failed:
        failed = []
        for reference, reason in result.failed:
            item = _item(reference)
            item.FailureReason = int(reason)
            failed.append(item)
        report.FailedSOPSequence = Sequence(failed)
    return report


def _item(reference: Reference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = reference.sop_class_uid
    item.ReferencedSOPInstanceUID = reference.sop_uid
    return item


def event_of(result: CommitmentResult, *, implicit: bool) -> N_EVENT_REPORT:
    """The N-EVENT-REPORT that tells a result (PS3.4 J.3.3)."""
    information = encode(report_of(result), implicit, True)  # noqa: FBT003 - the library's order
    if information is None:
        raise Refused("the result of storage commitment cannot be encoded")
    request = N_EVENT_REPORT()
    request.MessageID = 1
    request.AffectedSOPClassUID = STORAGE_COMMITMENT
    request.AffectedSOPInstanceUID = WELL_KNOWN
    request.EventTypeID = _SOME_FAILED if result.failed else _ALL_KEPT
    request.EventInformation = BytesIO(information)
    return request


class CommitmentTeller:
    """Tells one peer what it asked. Holds no connection between calls."""

    def __init__(self, ae_title: str, peer: PeerAddress, timeouts: Timeouts | None = None) -> None:
        self._caller = Caller(ae_title, peer, timeouts)
        self._timeouts = timeouts or Timeouts()

    def tell(self, result: CommitmentResult) -> None:
        """Send a result, and see it taken.

        Raises
        ------
        PeerDown, Refused
            It was not. As `node.dicom.calling` says; Refused too where the peer takes it from no SCP, or answers
            with anything but success.

        """
        contexts = [build_context(STORAGE_COMMITMENT, list(COMMITMENT_SYNTAXES))]
        roles = [build_role(STORAGE_COMMITMENT, scu_role=False, scp_role=True)]
        with self._caller.association(contexts, roles) as association:
            context = next((one for one in association.accepted_contexts if one.as_scp), None)
            if context is None:
                raise Refused("the peer takes no results of storage commitment: it refuses us the role of SCP")
            status = self._send(association, context, result)
        if status != SUCCESS:
            raise Refused(f"the peer answered the result of storage commitment with {status:04X}")

    def _send(self, association: Association, context: PresentationContext, result: CommitmentResult) -> int:
        request = event_of(result, implicit=context.transfer_syntax[0].is_implicit_VR)
        return exchange(association, request, cast("int", context.context_id), self._timeouts.response)
