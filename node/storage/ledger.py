"""The ledger: what was received, what is to be done, what was made. Its states are the truth about the node.

Every method is one transaction. Times are given, aware, and stored in UTC. Only plain values go in and come out. Every
method raises ``LedgerBusy`` when the database is locked, read-only or away, and ``StorageFull`` when its disk is full.
"""

from __future__ import annotations

from typing import Self

from node.storage.answers import Answers
from node.storage.arrivals import Arrivals
from node.storage.audit_book import AuditBook
from node.storage.cases_book import CasesBook
from node.storage.commitments_book import CommitmentsBook
from node.storage.comparisons_book import ComparisonsBook
from node.storage.decisions_book import DecisionsBook
from node.storage.deliveries_book import DeliveriesBook
from node.storage.engine import Database
from node.storage.outcomes_book import OutcomesBook
from node.storage.outlook import Outlook
from node.storage.people import People
from node.storage.reads_book import ReadsBook
from node.storage.retention_book import RetentionBook
from node.storage.series_book import SeriesBook
from node.storage.trace_book import TraceBook
from node.storage.upkeep import Upkeep
from node.storage.work_queue import WorkQueue


class Ledger(
    Arrivals,
    SeriesBook,
    WorkQueue,
    Answers,
    ReadsBook,
    ComparisonsBook,
    CasesBook,
    DecisionsBook,
    OutcomesBook,
    People,
    AuditBook,
    Outlook,
    DeliveriesBook,
    RetentionBook,
    CommitmentsBook,
    TraceBook,
    Upkeep,
):
    """All of the ledger over one database, whose schema is current (``node.storage.migrations.upgrade``).

    May be used by any number of threads. Not across a fork.
    """

    def __init__(self, url: str) -> None:
        super().__init__(Database(url))

    def close(self) -> None:
        """Close every connection; the ledger is not used after this."""
        self._database.close()

    def __enter__(self) -> Self:
        """The ledger itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()
