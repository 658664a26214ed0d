"""Objects that were made, kept in the outbox until they are delivered."""

from __future__ import annotations

from node.dicom.request import StoredObject
from node.domain.records import StoredAnswer
from node.domain.work import Work
from node.storage.spool import Outbox


def keep(outbox: Outbox, work: Work, made: StoredObject) -> StoredAnswer:
    """Write an object to the outbox, durably; returns the row that the ledger is to have of it.

    Raises what :meth:`node.storage.spool.Outbox.keep` does.
    """
    return StoredAnswer(
        sop_uid=made.sop_uid,
        series_uid=work.series_uid,
        generation=work.generation,
        role=str(made.role),
        sop_class_uid=made.sop_class_uid,
        transfer_syntax_uid=made.transfer_syntax_uid,
        made_series_uid=made.series_uid,
        kept=outbox.keep(made.data, series_uid=work.series_uid, name=made.sop_uid, suffix=".dcm"),
    )
