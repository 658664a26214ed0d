from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.retention import Candidate, Goods, Hold, RetentionRule, judge

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
NEEDED = [hold for hold in Hold if hold not in {Hold.YOUNG, Hold.FOR_EVER}]


def a_candidate(days: float = 40, goods: Goods = Goods.IMAGES, size: int = 100, *holds: Hold) -> Candidate:
    since = NOW - timedelta(days=days)
    return Candidate(goods=goods, subject=f"{days}", since=since, files=1, size=size, holds=frozenset(holds))


def days(**longest: float) -> RetentionRule:
    return RetentionRule(**{name: timedelta(days=value) for name, value in longest.items()})


@pytest.mark.parametrize(("age", "holds"), [(31, ()), (30, ()), (29.9, (Hold.YOUNG,))])
def test_by_age(age: float, holds: tuple[Hold, ...]) -> None:
    (one,) = judge([a_candidate(age)], days(images=30), now=NOW, free_bytes=0)
    assert (one.holds, one.goes) == (holds, not holds)


def test_each_kind_has_its_own_time_and_none_is_for_ever() -> None:
    everything = [a_candidate(40, goods) for goods in Goods]
    judged = judge(everything, days(images=30, answers=365), now=NOW, free_bytes=0)
    assert {one.candidate.goods: one.holds for one in judged} == {
        Goods.IMAGES: (),
        Goods.ANSWERS: (Hold.YOUNG,),
        Goods.READS: (Hold.FOR_EVER,),
    }


def test_every_reason_is_said() -> None:
    one = a_candidate(1, Goods.IMAGES, 1, Hold.UNREVIEWED, Hold.UNDELIVERED)
    (judged,) = judge([one], days(images=30), now=NOW, free_bytes=0)
    assert judged.holds == (Hold.UNDELIVERED, Hold.UNREVIEWED, Hold.YOUNG)


def test_where_no_reads_are_fed_in_none_is_waited_for() -> None:
    one = a_candidate(40, Goods.IMAGES, 1, Hold.NO_READ)
    for awaits, goes in ((True, False), (False, True)):
        rule = RetentionRule(images=timedelta(days=30), awaits_read=awaits)
        assert judge([one], rule, now=NOW, free_bytes=0)[0].goes is goes


@pytest.mark.parametrize("age", [89, 90])
def test_a_read_is_waited_for_no_longer_than_the_site_wants(age: float) -> None:
    goes = age == 90
    rule = RetentionRule(images=timedelta(days=30), read_wait=timedelta(days=90))
    held = [a_candidate(age, Goods.IMAGES, 1, Hold.NO_READ, hold) for hold in NEEDED if hold is not Hold.NO_READ]
    alone = a_candidate(age, Goods.IMAGES, 2, Hold.NO_READ)
    judged = judge([alone, *held], rule, now=NOW, free_bytes=0)
    assert [one.goes for one in judged if one.candidate == alone] == [goes]
    assert not any(one.goes for one in judged if one.candidate != alone)
    only_room = replace(rule, images=None, free_bytes=1)
    assert judge([alone], only_room, now=NOW, free_bytes=0)[0].goes is goes


def test_for_room_the_oldest_images_go_first_and_no_more_than_needed() -> None:
    young = [a_candidate(age) for age in (1, 3, 2)]
    needed = a_candidate(9, Goods.IMAGES, 100, Hold.UNREVIEWED)
    answers = a_candidate(8, Goods.ANSWERS)
    judged = judge([*young, needed, answers], RetentionRule(free_bytes=1000), now=NOW, free_bytes=850)
    assert [one.candidate.subject for one in judged if one.goes] == ["3", "2"]
    assert all(one.for_room for one in judged if one.goes)


def test_what_has_had_its_time_makes_room_first() -> None:
    rule = RetentionRule(images=timedelta(days=30), free_bytes=1000)
    judged = judge([a_candidate(40), a_candidate(1)], rule, now=NOW, free_bytes=900)
    assert [(one.candidate.subject, one.for_room) for one in judged if one.goes] == [("40", False)]


@given(
    st.lists(
        st.builds(
            Candidate,
            goods=st.sampled_from(Goods),
            subject=st.text("ab", max_size=3),
            since=st.integers(0, 400).map(lambda age: NOW - timedelta(days=age)),
            files=st.just(1),
            size=st.integers(0, 1000),
            holds=st.frozensets(st.sampled_from(NEEDED), max_size=2),
        ),
        max_size=12,
    ),
    st.builds(
        RetentionRule,
        images=st.none() | st.just(timedelta(days=30)),
        answers=st.none() | st.just(timedelta(days=60)),
        reads=st.none() | st.just(timedelta(days=90)),
        free_bytes=st.integers(0, 5000),
        awaits_read=st.booleans(),
        read_wait=st.none() | st.floats(1, 60).map(lambda days: timedelta(days=days)),
    ),
    st.integers(0, 5000),
)
def test_nothing_that_is_needed_ever_goes(candidates: list[Candidate], rule: RetentionRule, free: int) -> None:
    judged = judge(candidates, rule, now=NOW, free_bytes=free)
    assert len(judged) == len(candidates)
    for one in judged:
        if one.goes:
            assert not one.candidate.holds - rule.ignored(one.candidate.since, NOW)
            assert one.for_room or NOW - one.candidate.since >= rule.longest(one.candidate.goods)
    for_room = [one for one in judged if one.for_room]
    if for_room:  # without the last of them there would be too little
        kept_last = sum(one.candidate.size for one in judged if one.goes) - for_room[-1].candidate.size
        assert free + kept_last < rule.free_bytes
