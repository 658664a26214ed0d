"""Which of a study's human reads counts, and which a newer version replaces."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from node.domain.human_read import ReadSource, ReadStatus
from node.domain.read_history import ReadState, StoredRead, effective_read, superseded
from tests.node.domain.reads import NOW, a_read, stored


def version(number: int, status: ReadStatus = ReadStatus.FINAL, source: ReadSource = ReadSource.FILE) -> StoredRead:
    cac = None if status is ReadStatus.WITHDRAWN else 100.0
    return stored(number, a_read(cac, version=number, status=status, source=source))


def test_without_reads_nothing_counts() -> None:
    assert effective_read([]) is None


def test_the_latest_version_counts_and_replaces_the_others() -> None:
    rows = [version(2), version(1), version(3, ReadStatus.CORRECTED)]
    assert effective_read(rows) == rows[2]
    assert superseded(rows) == {1, 2}


def test_a_preliminary_read_does_not_count_and_replaces_no_final_one() -> None:
    assert effective_read([version(1, ReadStatus.PRELIMINARY)]) is None
    rows = [version(1), version(2, ReadStatus.PRELIMINARY)]
    assert (effective_read(rows), superseded(rows)) == (rows[0], frozenset())
    early = [version(1, ReadStatus.PRELIMINARY), version(2, ReadStatus.PRELIMINARY)]
    assert superseded(early) == {1}


def test_a_withdrawn_read_counts_no_more() -> None:
    rows = [version(1), version(2, ReadStatus.WITHDRAWN)]
    assert (effective_read(rows), superseded(rows)) == (None, {1})
    assert effective_read([*rows, version(3)]) == version(3)


def test_what_is_quarantined_or_discarded_neither_counts_nor_replaces() -> None:
    for state in (ReadState.QUARANTINED, ReadState.DISCARDED):
        rows = [version(1), stored(2, a_read(version=2), state=state)]
        assert (effective_read(rows), superseded(rows)) == (rows[0], frozenset())


def test_trust_goes_before_time() -> None:
    typed = stored(1, a_read(source=ReadSource.PAGE, read_at=NOW))
    guessed = stored(2, a_read(source=ReadSource.HL7_TEXT, read_at=NOW + timedelta(days=9)))
    assert effective_read([guessed, typed]) == typed


def test_of_equal_trust_the_latest_reading_counts() -> None:
    early = stored(2, a_read(source_id="a", read_at=NOW))
    late = stored(1, a_read(source_id="b", read_at=NOW + timedelta(minutes=30)))
    assert effective_read([early, late]) == late
    undated = stored(3, a_read(source_id="c"), received_at=NOW + timedelta(days=1))
    assert effective_read([early, late, undated]) == undated


@given(statuses=st.lists(st.sampled_from(ReadStatus), min_size=1, max_size=4))
def test_the_order_of_the_rows_does_not_matter(statuses: list[ReadStatus]) -> None:
    rows = [version(number, status) for number, status in enumerate(statuses, start=1)]
    chosen, old = effective_read(rows), superseded(rows)
    for one in permutations(rows):
        assert (effective_read(one), superseded(one)) == (chosen, old)
    assert chosen is None or chosen.id not in old
