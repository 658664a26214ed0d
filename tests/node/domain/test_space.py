"""When the disk will be full: worked by hand, and the properties that any such forecast has."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.retention import Candidate, Goods, Hold, RetentionRule
from node.domain.space import outlook

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def scans(days: int, *holds: Hold, size: int = 10, start: int = 0) -> list[Candidate]:
    """One scan at noon of each of the last days."""
    return [
        Candidate(
            goods=Goods.IMAGES,
            subject=f"{number}",
            since=NOW - (number + 0.5) * DAY,
            files=1,
            size=size,
            holds=frozenset(holds),
        )
        for number in range(start, days)
    ]


def rule(images: float | None = None, wait: float | None = None, **more: object) -> RetentionRule:
    span = [None if days is None else days * DAY for days in (images, wait)]
    return RetentionRule(images=span[0], read_wait=span[1], **more)


@pytest.mark.parametrize(
    ("held", "wanted", "room", "days"),
    [
        (scans(20), rule(), 205, 21),  # nothing ever goes: 10 a day
        (scans(20), rule(), 300, None),  # not within 30 days
        (scans(20), rule(images=20), 1, None),  # each day one goes for the one that comes
        (scans(20), rule(images=30), 95, 10),  # ten days until the first goes
        (scans(20), rule(images=30), 105, None),
        (scans(20, Hold.NO_READ), rule(images=10), 205, 21),  # no read comes, and it is waited for without end
        (scans(20, Hold.NO_READ), rule(images=10, wait=20), 1, None),  # the ceiling
        (scans(20, Hold.NO_READ), rule(images=10, wait=40), 205, None),
        (scans(20, Hold.NO_READ), rule(images=10, wait=40), 195, 20),
        (scans(20, Hold.NO_READ), rule(images=20, awaits_read=False), 1, None),
        (scans(20), rule(free_bytes=1), 1, None),  # what nobody needs makes room
        (scans(20, Hold.UNREVIEWED), rule(images=20), 85, 9),  # a person has to look first; what comes leaves after 20
        ([], rule(), 0, None),
    ],
)
def test_days_until_it_is_full(held: list[Candidate], wanted: RetentionRule, room: int, days: int | None) -> None:
    found = outlook(held, wanted, now=NOW, room_bytes=room)
    assert found.full_in == (None if days is None else days * DAY)
    assert found.daily_bytes == (pytest.approx(10) if held else 0)
    assert found.lets_go == (wanted.images is not None or wanted.free_bytes > 0)


def test_a_new_node_takes_its_first_day_for_a_day() -> None:
    (first, *_) = scans(1)
    assert outlook([first], rule(), now=NOW, room_bytes=1000).daily_bytes == 10


@given(
    st.lists(
        st.builds(
            Candidate,
            goods=st.sampled_from(Goods),
            subject=st.just("x"),
            since=st.floats(0, 60).map(lambda age: NOW - age * DAY),
            files=st.just(1),
            size=st.integers(0, 100),
            holds=st.frozensets(st.sampled_from([Hold.NO_READ, Hold.UNREVIEWED, Hold.UNDELIVERED]), max_size=2),
        ),
        max_size=15,
    ),
    st.builds(
        rule,
        images=st.none() | st.integers(1, 60),
        wait=st.none() | st.integers(1, 60),
        awaits_read=st.booleans(),
        free_bytes=st.integers(0, 1),
    ),
    st.integers(0, 500),
    st.integers(0, 500),
)
def test_more_room_lasts_longer_and_keeping_for_ever_is_the_worst(
    held: list[Candidate], wanted: RetentionRule, room: int, more: int
) -> None:
    def days(rule: RetentionRule, room: int) -> float:
        found = outlook(held, rule, now=NOW, room_bytes=room).full_in
        return math.inf if found is None else found / DAY

    assert days(wanted, room) <= days(wanted, room + more)
    assert min(days(RetentionRule(), room), 31) <= days(wanted, room)
