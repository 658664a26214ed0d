from __future__ import annotations

import random
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.work import Backoff, Stage, Work, WorkState


@given(st.integers(1, 10_000), st.integers(0, 2**32))
def test_a_delay_lies_between_half_and_all_of_the_doubled_one(attempts: int, seed: int) -> None:
    backoff = Backoff(first=timedelta(seconds=2), most=timedelta(seconds=600))
    doubled = min(2.0 * 2 ** min(attempts - 1, 20), 600.0)
    delay = backoff.delay(attempts, random.Random(seed)).total_seconds()
    assert doubled / 2 - 1e-6 <= delay <= doubled + 1e-6


def test_the_same_seed_gives_the_same_delay_and_another_another() -> None:
    delays = {Backoff().delay(3, random.Random(seed)) for seed in (1, 1, 2)}
    assert len(delays) == 2


@pytest.mark.parametrize("attempts", [0, -1])
def test_attempts_are_counted_from_one(attempts: int) -> None:
    with pytest.raises(ValueError, match="from 1"):
        Backoff().delay(attempts, random.Random(0))


@pytest.mark.parametrize(
    ("limit", "attempts", "exhausted"), [(3, 2, False), (3, 3, True), (3, 4, True), (None, 10**9, False)]
)
def test_work_is_exhausted_at_its_last_attempt(limit: int | None, attempts: int, exhausted: bool) -> None:  # noqa: FBT001 a table column
    assert Backoff(attempts=limit).exhausted(attempts) is exhausted


def test_the_words_of_states_and_stages_are_a_contract_of_the_status_command() -> None:
    assert [stage.value for stage in Stage] == [
        "qualify",
        "read",
        "publish",
        "deliver",
        "compare",
        "write-back",
        "notify",
    ]
    assert [state.value for state in WorkState] == [
        "pending",
        "held",
        "claimed",
        "done",
        "declined",
        "parked",
    ]


def test_work_cannot_be_changed() -> None:
    work = Work(id=1, stage=Stage.READ, series_uid="1.2", generation=1)
    with pytest.raises(AttributeError):
        work.attempts = 2  # type: ignore[misc]
