"""One id in every log line about a study: ``trace``, the short hash of its Study Instance UID."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

from structlog.contextvars import bound_contextvars

from node.domain.errors import NodeError
from node.domain.identity import short
from node.domain.work import Work
from node.storage.ledger import Ledger


def tracing(study_uid: str) -> AbstractContextManager[None]:
    """What this thread logs in the block is about a study."""
    return bound_contextvars(trace=short(study_uid)) if study_uid else nullcontext()


def tracing_work(ledger: Ledger, work: Work) -> AbstractContextManager[None]:
    """The same for a piece of work. Without an id where the ledger does not answer: it must not fail for a log line."""
    try:
        series = ledger.find_series(work.series_uid)
    except NodeError:
        series = None
    return tracing("" if series is None else series.study_uid)
