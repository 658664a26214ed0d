from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from node.domain.errors import LeaseLost
from node.domain.records import NewWork, Outcome, StoredReading, StoredVerdict
from node.domain.work import Stage, Work, WorkState
from node.storage.ledger import Ledger
from tests.node.storage.builders import LEASE, NOW, a_file, a_peer, after, an_answer, an_instance

ALL = tuple(Stage)


@pytest.fixture
def closed(ledger: Ledger) -> Ledger:
    """A ledger with one series closed: one QUALIFY due."""
    ledger.add_instance(an_instance(), a_file(), a_peer(), NOW)
    ledger.close_series("1.2", NOW, "geometry")
    return ledger


def delivery(number: int, destination: str = "pacs") -> NewWork:
    return NewWork(
        stage=Stage.DELIVER, series_uid="1.2", generation=1, object_uid=f"8.{number}", destination=destination
    )


def claimed(ledger: Ledger, at: float = 0) -> Work:
    work = ledger.claim(after(at), LEASE, ALL)
    assert work is not None
    return work


def test_a_claim_is_exclusive_while_its_lease_runs(closed: Ledger) -> None:
    work = claimed(closed)
    assert (work.stage, work.series_uid, work.generation, work.attempts) == (Stage.QUALIFY, "1.2", 1, 1)
    assert work.claimed_until == NOW + LEASE
    assert closed.claim(NOW, LEASE, ALL) is None
    assert closed.claim(NOW + LEASE - timedelta(microseconds=1), LEASE, ALL) is None


def test_an_expired_claim_comes_back_and_the_first_holder_has_lost_it(closed: Ledger) -> None:
    first = claimed(closed)
    second = claimed(closed, at=60)
    assert (second.id, second.attempts) == (first.id, 2)
    follower = NewWork(stage=Stage.READ, series_uid="1.2", generation=1)
    outcome = Outcome(followers=(follower,), objects=(an_answer("8.1"),))
    for lost in (
        lambda: closed.finish(first, outcome, after(61)),
        lambda: closed.park(first, after(61), "x"),
        lambda: closed.retry_later(first, after(61), after(70), "x"),
        lambda: closed.renew(first, after(61), LEASE),
    ):
        with pytest.raises(LeaseLost):
            lost()
    assert len(closed.series_work("1.2", 1)) == 1
    assert closed.object("8.1") is None
    closed.finish(second, outcome, after(62))
    with pytest.raises(LeaseLost):
        closed.finish(second, outcome, after(62))
    assert [row.work.stage for row in closed.series_work("1.2", 1)] == [Stage.QUALIFY, Stage.READ]


def test_an_expired_claim_that_nobody_took_is_still_finished(closed: Ledger) -> None:
    work = claimed(closed)
    closed.finish(work, Outcome(), after(600))
    assert closed.series_work("1.2", 1)[0].state is WorkState.DONE


def test_a_renewed_claim_stays(closed: Ledger) -> None:
    work = closed.renew(claimed(closed), after(50), LEASE)
    assert work.claimed_until == after(110)
    assert closed.claim(after(60), LEASE, ALL) is None
    closed.finish(work, Outcome(), after(100))


def test_a_claim_from_before_a_revival_is_void(closed: Ledger) -> None:
    first = claimed(closed)
    second = claimed(closed, at=60)
    closed.park(second, after(61), "x")
    closed.revive(after(62))
    third = claimed(closed, at=63)
    assert (third.attempts, third.claim) == (1, 3)
    with pytest.raises(LeaseLost):
        closed.finish(first, Outcome(), after(64))


def test_stage_and_destination_choose(closed: Ledger) -> None:
    closed.add_work([delivery(1, "a"), delivery(1, "b")], NOW)
    assert closed.claim(NOW, LEASE, [Stage.READ]) is None
    assert closed.claim(NOW, LEASE, []) is None
    work = closed.claim(NOW, LEASE, [Stage.DELIVER], "b")
    assert work is not None
    assert (work.object_uid, work.destination) == ("8.1", "b")
    assert closed.claim(NOW, LEASE, [Stage.DELIVER], "b") is None
    assert closed.claim(NOW, LEASE, [Stage.DELIVER], "a") is not None


def test_the_longest_due_comes_first(closed: Ledger) -> None:
    late = NewWork(stage=Stage.READ, series_uid="1.2", generation=1, not_before=after(30))
    closed.add_work([late], NOW)
    claimed(closed)
    assert closed.claim(after(29), LEASE, ALL) is None
    assert claimed(closed, 30).stage is Stage.READ


def test_every_work_is_claimed_by_exactly_one_thread(closed: Ledger) -> None:
    closed.add_work([delivery(number) for number in range(60)], NOW)

    def drain(_: int) -> list[int]:
        taken = []
        while (work := closed.claim(NOW, LEASE, [Stage.DELIVER])) is not None:
            taken.append(work.id)
        return taken

    with ThreadPoolExecutor(4) as pool:
        taken = [one for part in pool.map(drain, range(4)) for one in part]
    assert len(taken) == len(set(taken)) == 60


def test_finish_hands_over_everything_at_once(closed: Ledger) -> None:
    verdict = StoredVerdict(series_uid="1.2", generation=1, eligible=True, reasons=("3.0 mm", "no contrast"))
    reading = StoredReading(
        series_uid="1.2", generation=1, findings=a_file("f"), mask=None, model_sha256="m", settings_sha256="s"
    )
    made = (an_answer("8.1", "seg"), an_answer("8.2", "sr"))
    outcome = Outcome(verdict=verdict, reading=reading, objects=made, followers=(delivery(1),), reasons=("fine",))
    assert (closed.verdict("1.2", 1), closed.reading("1.2", 1)) == (None, None)
    closed.finish(claimed(closed), outcome, after(3))
    assert closed.verdict("1.2", 1) == verdict
    assert closed.reading("1.2", 1) == reading
    assert closed.objects("1.2", 1) == made
    assert closed.object("8.2") == made[1]
    assert closed.is_own_object("8.1")
    assert not closed.is_own_object("1.2.1")
    row = closed.series_work("1.2", 1)[0]
    assert (row.state, row.reasons, row.changed_at) == (WorkState.DONE, ("fine",), after(3))


def test_a_rerun_leaves_the_first_results(closed: Ledger) -> None:
    first = an_answer("8.1")
    closed.finish(claimed(closed), Outcome(objects=(first,), followers=(delivery(1),)), NOW)
    work = closed.claim(NOW, LEASE, [Stage.DELIVER])
    assert work is not None
    again = Outcome(objects=(an_answer("8.1", "other"),), followers=(delivery(1),))
    closed.finish(work, again, NOW)
    assert closed.object("8.1") == first
    assert closed.status()["deliveries"] == {"done": 1}


def test_a_failing_hand_over_records_nothing(closed: Ledger) -> None:
    work = claimed(closed)
    foreign = NewWork(stage=Stage.READ, series_uid="not known", generation=1)
    with pytest.raises(Exception, match=r"(?i)foreign ?key"):
        closed.finish(work, Outcome(objects=(an_answer("8.1"),), followers=(foreign,)), NOW)
    assert closed.object("8.1") is None
    assert closed.series_work("1.2", 1)[0].state is WorkState.CLAIMED


def test_retry_waits_and_says_why(closed: Ledger) -> None:
    closed.retry_later(claimed(closed), after(1), after(9), "the peer does not answer")
    row = closed.series_work("1.2", 1)[0]
    assert (row.state, row.error, row.not_before) == (WorkState.PENDING, "the peer does not answer", after(9))
    assert closed.next_due() == after(9)
    assert closed.claim(after(8), LEASE, ALL) is None
    assert claimed(closed, 9).attempts == 2


def test_dead_letters_are_revived_by_id_destination_or_all(closed: Ledger) -> None:
    closed.finish(claimed(closed), Outcome(), NOW)
    closed.add_work([delivery(1, "a"), delivery(2, "a"), delivery(3, "b")], NOW)
    for _ in range(3):
        closed.park(claimed(closed), NOW, "refused")
    letters = closed.dead_letters()
    assert [(row.work.object_uid, row.error) for row in letters] == [(f"8.{n}", "refused") for n in (1, 2, 3)]
    assert closed.next_due() is None
    assert closed.revive(after(1), ids=[letters[0].work.id]) == 1
    assert closed.revive(after(1), destination="b") == 1
    assert [row.work.object_uid for row in closed.dead_letters()] == ["8.2"]
    assert closed.revive(after(1)) == 1
    assert closed.status()["deliveries"] == {"pending": 3}
    assert claimed(closed, 1).attempts == 1


def test_revive_also_ends_a_back_off_but_no_planned_wait(closed: Ledger) -> None:
    closed.retry_later(claimed(closed), NOW, after(900), "away")
    planned = NewWork(stage=Stage.READ, series_uid="1.2", generation=1, not_before=after(500))
    closed.add_work([planned], NOW)
    assert closed.revive(after(1)) == 1
    assert claimed(closed, 1).stage is Stage.QUALIFY
    assert closed.claim(after(1), LEASE, ALL) is None


def test_claims_of_a_dead_process_are_released(closed: Ledger) -> None:
    dead = claimed(closed)
    assert closed.release_claims(after(1)) == 1
    assert claimed(closed, 1).attempts == 2
    with pytest.raises(LeaseLost):
        closed.finish(dead, Outcome(), after(2))


def test_next_due_is_the_next_start_or_the_end_of_a_lease(closed: Ledger) -> None:
    assert closed.next_due() == NOW
    claimed(closed)
    assert closed.next_due() == NOW + LEASE
    closed.add_work([delivery(1)], after(5))
    assert closed.next_due() == after(5)
    assert closed.next_due([Stage.QUALIFY]) == NOW + LEASE
    assert closed.next_due([Stage.READ]) is None


def test_status_counts(closed: Ledger) -> None:
    closed.add_instance(an_instance("1.3.1", "1.3"), a_file("z"), a_peer(), NOW)
    closed.finish(
        claimed(closed),
        Outcome(
            state=WorkState.DECLINED,
            verdict=StoredVerdict(series_uid="1.2", generation=1, eligible=False, reasons=("contrast",)),
        ),
        NOW,
    )
    closed.add_work([delivery(1), delivery(2)], NOW)
    claimed(closed)
    assert closed.status() == {
        "instances": 2,
        "series": {"closed": 1, "open": 1},
        "work": {"qualify": {"declined": 1}},
        "deliveries": {"pending": 1, "claimed": 1},
        "discrepancies": {},
        "reads": {},
    }


def test_recent_series_newest_first_with_their_present_work(closed: Ledger) -> None:
    closed.finish(claimed(closed), Outcome(), NOW)
    closed.add_instance(an_instance("1.3.1", "1.3"), a_file("z"), a_peer(), after(5))
    closed.add_instance(an_instance("1.2.2"), a_file("y"), a_peer(), after(9))
    closed.close_series("1.2", after(9), "quiet 10 s")
    first, second = closed.recent_series(10)
    assert (first.series.series_uid, first.instances, first.evidence) == ("1.2", 2, "quiet 10 s")
    assert [(row.work.generation, row.state) for row in first.work] == [(2, WorkState.PENDING)]
    assert (second.series.series_uid, second.instances, second.work) == ("1.3", 1, ())
    assert closed.recent_series(1, offset=1) == (second,)


def test_work_ends_done_or_declined() -> None:
    with pytest.raises(ValueError, match="done or declined"):
        Outcome(state=WorkState.PARKED)


def test_the_voxels_may_take_back_what_the_headers_allowed(closed):
    for eligible, reasons in ((True, ("3.0 mm",)), (False, ("no heart in the field of view",))):
        verdict = StoredVerdict(series_uid="1.2", generation=1, eligible=eligible, reasons=reasons)
        stage = Stage.QUALIFY if eligible else Stage.READ
        followers = (NewWork(stage=Stage.READ, series_uid="1.2", generation=1),) if eligible else ()
        claimed = closed.claim(NOW, LEASE, (stage,))
        closed.finish(claimed, Outcome(verdict=verdict, followers=followers), NOW)
    assert closed.verdict("1.2", 1) == verdict


@pytest.mark.parametrize("hours", [24, -24])
def test_when_the_clock_is_set_a_lease_lasts_as_long_as_before(closed: Ledger, hours: int) -> None:
    by, work = timedelta(hours=hours), claimed(closed)
    assert closed.shift_waits(by, NOW + by) == 1
    assert closed.next_due() == NOW + by + LEASE
    assert closed.claim(NOW + by, LEASE, ALL) is None
    closed.finish(work, Outcome(), NOW + by)  # whoever has it may still say what came of it


@pytest.mark.parametrize("hours", [24, -24])
def test_when_the_clock_is_set_what_waits_waits_as_long_as_before(closed: Ledger, hours: int) -> None:
    by = timedelta(hours=hours)
    closed.retry_later(claimed(closed), NOW, after(300), "x")
    held = NewWork(
        stage=Stage.DELIVER, series_uid="1.2", generation=1, object_uid="8.1", destination="pacs", held="waits"
    )
    closed.add_work([held, replace(held, object_uid="8.2", not_before=after(3600))], NOW)
    closed.add_work([delivery(3)], NOW + by)  # after the step
    assert closed.last_change() == max(NOW, NOW + by)
    assert closed.shift_waits(by, NOW + by) == (2 if hours > 0 else 3)
    rows = {row.work.object_uid: row.not_before for row in closed.series_work("1.2", 1)}
    assert rows[""] == after(300) + by
    assert rows["8.1"].year == 9999
    assert rows["8.2"] == after(3600) + by
    assert rows["8.3"] <= NOW + by
