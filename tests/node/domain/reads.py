"""Human reads, stored reads and comparisons for tests, with only what a test cares about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from node.domain.discrepancy import Comparison, OurRead, compare
from node.domain.human_read import (
    READ_REGIONS,
    Confidence,
    HumanRead,
    ReadScore,
    ReadSource,
    ReadStatus,
    StudyKey,
)
from node.domain.read_history import ReadState, StoredRead
from node.domain.records import Kept
from node.domain.tiers import Limits

NOW = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


def a_read(cac: float | None = 100.0, **given: Any) -> HumanRead:  # noqa: ANN401 - any field of a read
    scores = {} if cac is None else {"CAC": ReadScore(agatston=cac)}
    values: dict[str, Any] = {"source": ReadSource.FILE, "source_id": "line 1", "study": StudyKey(study_uid="1")}
    return HumanRead(**(values | {"scores": scores} | given))


def stored(number: int, read: HumanRead, **given: Any) -> StoredRead:  # noqa: ANN401 - any field of a stored read
    values: dict[str, Any] = {
        "id": number,
        "read": read,
        "variant": 0,
        "original": Kept(path=f"reads/{number}", sha256="0" * 64, size=1),
        "received_at": NOW + timedelta(minutes=number),
        "from_whom": "desk",
        "state": ReadState.MATCHED,
        "study_uid": "1",
    }
    return StoredRead(**(values | given))


def a_comparison(ours: float = 100.0, human: float = 100.0, **more: float) -> Comparison:
    """All of it in the LAD."""
    vessels = {"LM": 0.0, "LAD": ours, "LCX": 0.0, "RCA": 0.0, "CAC": ours, "AV": 0.0, "TA": 0.0, "AC": 0.0}
    mine = OurRead(series_uid="1.2", agatston=vessels | more, lesions=(), profile="agatston-1990", kvp=120.0)
    return compare(mine, a_read(human), Limits())


_WORDS = st.text(max_size=12)
_NUMBERS = st.floats(0, 50_000)
_SCORES = st.builds(ReadScore, agatston=_NUMBERS, volume_mm3=st.none() | _NUMBERS, mass_mg=st.none() | _NUMBERS)
READS = st.builds(
    HumanRead,
    source=st.sampled_from(ReadSource),
    source_id=st.text(min_size=1, max_size=12),
    version=st.integers(1, 9),
    status=st.sampled_from(ReadStatus),
    study=st.builds(
        StudyKey,
        study_uid=st.just("1.2.3"),
        series_uid=_WORDS,
        accession=_WORDS,
        issuer=_WORDS,
        patient_id=_WORDS,
    ),
    reader=_WORDS,
    read_at=st.none() | st.datetimes(timezones=st.just(UTC)),
    scores=st.dictionaries(st.sampled_from(READ_REGIONS), _SCORES, min_size=1),
    profile=_WORDS,
    kvp=st.none() | st.floats(60, 150),
    remarks=st.lists(_WORDS, max_size=2).map(tuple),
    confidence=st.sampled_from(Confidence),
)
