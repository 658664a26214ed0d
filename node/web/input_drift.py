"""What the scans that were read were like, from the readings in the outbox; each file is opened once."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Final

import structlog

from node.domain.drift import InputFacts, InputSummary, input_by_period
from node.domain.errors import NodeError
from node.domain.findings import Findings
from node.domain.reading_json import loads
from node.domain.records import Kept
from node.domain.statistics import Period, period_for
from node.storage.spool import Outbox
from node.storage.storage import Storage

MOST_READINGS: Final = 1000
_log = structlog.get_logger(__name__)
_Known = tuple[float | None, float | None, float | None]


def input_drift(
    storage: Storage, since: datetime | None, until: datetime | None, by: Period | None
) -> tuple[int, Mapping[str, InputSummary]]:
    """How many of the latest readings of a period could be opened, and the medians by piece of time."""
    facts = []
    for made_at, kept in storage.ledger.recent_findings(MOST_READINGS, since, until):
        try:
            noise, kvp, spacing = _facts(storage.outbox, kept)
        except NodeError as error:
            _log.warning("a reading could not be opened for the statistics", reason=str(error))
            continue
        facts.append(InputFacts(made_at=made_at, noise_hu=noise, kvp=kvp, slice_spacing_mm=spacing))
    period = by or period_for([facts[0].made_at, facts[-1].made_at] if facts else [])
    return len(facts), input_by_period(facts, period)


@lru_cache(maxsize=4 * MOST_READINGS)
def _facts(outbox: Outbox, kept: Kept) -> _Known:
    reading = loads(outbox.read(kept))
    if not isinstance(reading, Findings):
        return None, None, None
    quality = reading.quality
    return _number(quality.get("noise_sd_hu")), reading.definition.kvp, _number(quality.get("slice_spacing_mm"))


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
