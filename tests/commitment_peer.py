"""A scanner that asks for storage commitment, and listens for the answer."""

from __future__ import annotations

import queue
from collections.abc import Sequence
from typing import Any, Self

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel

CT = "1.2.840.10008.5.1.4.1.1.2"
WELL_KNOWN = "1.2.840.10008.1.20.1.1"
TRANSACTION = "1.2.3.4.5"


def a_request(instances: Sequence[tuple[str, str]], transaction: str = TRANSACTION) -> Dataset:
    request = Dataset()
    request.TransactionUID = transaction
    request.ReferencedSOPSequence = []
    for sop_class, sop in instances:
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop
        request.ReferencedSOPSequence.append(item)
    return request


def ask(
    port: int, request: Dataset | None, *, calling: str = "CT01", action: int = 1, instance: str = WELL_KNOWN
) -> int:
    """N-ACTION over an association of its own; its status, -1 if the context was refused."""
    entity = AE(ae_title=calling)
    entity.add_requested_context(StorageCommitmentPushModel)
    association = entity.associate("127.0.0.1", port, ae_title="CALCIUM2R")
    if not association.is_established:
        return -1
    try:
        status, _ = association.send_n_action(request, action, StorageCommitmentPushModel, instance)
        return int(status.Status)
    finally:
        association.release()


class Waiting:
    """Where the answers come in: a server that lets its caller be the SCP of storage commitment."""

    def __init__(self, port: int = 0, *, answer: int = 0, as_scp: bool = True) -> None:
        self.answers: queue.Queue[tuple[int, Dataset]] = queue.Queue()
        self._answer = answer
        entity = AE(ae_title="CT01")
        roles = {"scu_role": False, "scp_role": True} if as_scp else {}  # without: it negotiates none
        entity.add_supported_context(StorageCommitmentPushModel, **roles)
        self._server = entity.start_server(
            ("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, self._came)]
        )

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()

    def _came(self, event: Any) -> tuple[int, None]:  # noqa: ANN401 - pynetdicom's
        self.answers.put((int(event.request.EventTypeID), event.event_information))
        return self._answer, None

    def next(self, seconds: float = 20) -> tuple[int, list[str], dict[str, int]]:
        """Event type, instances that are kept, and those that are not with the reason."""
        kind, said = self.answers.get(timeout=seconds)
        assert said.TransactionUID == TRANSACTION
        kept = [str(item.ReferencedSOPInstanceUID) for item in said.get("ReferencedSOPSequence", [])]
        failed = {
            str(item.ReferencedSOPInstanceUID): int(item.FailureReason) for item in said.get("FailedSOPSequence", [])
        }
        return kind, kept, failed


def ask_and_stay(port: int, request: Dataset, *, answer: int = 0, seconds: float = 10) -> tuple[int, Dataset] | None:
    """N-ACTION, and the event type and information that come over the same association; None if none came in time."""
    came: queue.Queue[tuple[int, Dataset]] = queue.Queue()

    def take(event: Any) -> tuple[int, None]:  # noqa: ANN401 - pynetdicom's
        came.put((int(event.request.EventTypeID), event.event_information))
        return answer, None

    entity = AE(ae_title="CT01")
    entity.add_requested_context(StorageCommitmentPushModel)
    association = entity.associate(
        "127.0.0.1", port, ae_title="CALCIUM2R", evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)]
    )
    try:
        status, _ = association.send_n_action(request, 1, StorageCommitmentPushModel, WELL_KNOWN)
        assert status.Status == 0
        return came.get(timeout=seconds)
    except queue.Empty:
        return None
    finally:
        association.release()
