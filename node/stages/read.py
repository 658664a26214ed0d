"""Read: the stack of an eligible series into findings and a mask, kept in the outbox."""

from __future__ import annotations

from pathlib import Path

import structlog

from model.reader import Reader
from node.dicom.files import content_of
from node.domain.eligibility import judge
from node.domain.errors import Malformed, Permanent
from node.domain.faults import fault
from node.domain.policy import Policy
from node.domain.reading_json import Declined, dumps
from node.domain.records import NewWork, Outcome, StoredInstance, StoredReading, StoredVerdict
from node.domain.work import Stage, Work, WorkState
from node.stages.labels_file import pack_labels
from node.stages.reading import ReadStack, read_stack, received_files
from node.storage.spool import content_sha256
from node.storage.storage import Storage

_log = structlog.get_logger(__name__)


class ReadStage:
    """Reads one generation of a series."""

    def __init__(self, storage: Storage, reader: Reader, policy: Policy) -> None:
        self._storage = storage
        self._reader = reader
        self._policy = policy

    def __call__(self, work: Work, settings_sha256: str) -> Outcome:
        """The reading and PUBLISH work; or DECLINED, where the voxels say that this scan cannot be answered for."""
        fault("read.before-effect")
        members = self._storage.ledger.members(work.series_uid, work.generation)
        verdict = judge([stored.instance for stored in members], self._policy)
        paths = {stored.instance.sop_uid: self._intact(stored) for stored in members}
        result = read_stack(verdict, paths, self._reader, self._policy)
        if isinstance(result, Declined):
            return self._decline(work, result)
        reading = self._keep(work, result, settings_sha256)
        _log.info(
            "series read",
            series=work.series_uid,
            generation=work.generation,
            category=result.findings.category,
            total_ms=round(result.findings.timings_ms["total"]),
        )
        fault("read.after-effect")
        return Outcome(
            reading=reading,
            followers=(
                NewWork(stage=Stage.PUBLISH, series_uid=work.series_uid, generation=work.generation),
                NewWork(stage=Stage.COMPARE, series_uid=work.series_uid, generation=work.generation, repeat=True),
            ),
        )

    def _intact(self, stored: StoredInstance) -> Path:
        """The file of an instance, holding what was acknowledged: a changed pixel would be a wrong score.

        Raises
        ------
        Permanent, Retryable
            It does not, or is gone, or cannot be read now.

        """
        path = self._storage.spool.path(stored.path)
        with received_files():
            data = path.read_bytes()
        try:
            dataset = content_of(data).dataset
        except Malformed:
            dataset = memoryview(b"")
        if content_sha256(stored.instance.transfer_syntax_uid, dataset) != stored.sha256:
            raise Permanent(f"{stored.path} is not what was received: remove it, have it sent again, then retry")
        return path

    def _decline(self, work: Work, declined: Declined) -> Outcome:
        _log.info("series declined", series=work.series_uid, generation=work.generation, reasons=declined.reasons)
        fault("read.after-effect")
        return Outcome(
            state=WorkState.DECLINED,
            reasons=declined.reasons,
            verdict=StoredVerdict(
                series_uid=work.series_uid,
                generation=work.generation,
                eligible=False,
                reasons=declined.reasons,
            ),
        )

    def _keep(self, work: Work, result: ReadStack, settings_sha256: str) -> StoredReading:
        name = f"reading:{work.generation}"
        text = dumps(result.findings).encode("utf-8")
        mask = (
            self._storage.outbox.keep(pack_labels(result.labels), series_uid=work.series_uid, name=name, suffix=".npz")
            if result.labels.any()
            else None
        )
        return StoredReading(
            series_uid=work.series_uid,
            generation=work.generation,
            findings=self._storage.outbox.keep(text, series_uid=work.series_uid, name=name, suffix=".json"),
            mask=mask,
            model_sha256=result.findings.model.sha256,
            settings_sha256=settings_sha256,
        )
