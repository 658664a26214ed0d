from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

from node.domain.errors import Refused
from node.domain.records import Arrival, NewWork, Outcome, StoredReading
from node.domain.series import SeriesState
from node.domain.work import Stage, WorkState
from node.storage import arrivals
from node.storage.ledger import Ledger
from node.storage.spool import Spool
from tests.node.storage.builders import (
    LEASE,
    META,
    NOW,
    a_file,
    a_peer,
    after,
    an_answer,
    an_instance,
    dataset_of,
    receive,
)


def add(ledger: Ledger, sop: str = "1.2.1", *, series: str = "1.2", at: float = 0, association: str = "a1") -> Arrival:
    return ledger.add_instance(an_instance(sop, series), a_file(sop), a_peer(association), after(at))


def test_a_new_instance_opens_its_series(ledger: Ledger) -> None:
    assert ledger.find_instance("1.2.1") is None
    assert add(ledger) is Arrival.NEW
    stored = ledger.find_instance("1.2.1")
    assert stored is not None
    assert (stored.instance, stored.peer, stored.received_at) == (an_instance(), a_peer(), NOW)
    assert (stored.path, stored.sha256, stored.size) == ("spool/1.2.1", "0" * 64, 10)
    (series,) = ledger.open_series()
    assert (series.series_uid, series.study_uid, series.state, series.generation) == ("1.2", "1", SeriesState.OPEN, 0)


def test_series_times_are_first_and_last(ledger: Ledger) -> None:
    add(ledger, "1.2.1", at=0)
    add(ledger, "1.2.2", at=5)
    (series,) = ledger.open_series()
    assert (series.first_received, series.last_received) == (NOW, after(5))
    assert ledger.find_series("1.2") == series
    assert ledger.find_series("1.9") is None
    assert [stored.instance.sop_uid for stored in ledger.instances("1.2")] == ["1.2.1", "1.2.2"]


def test_a_naive_time_is_refused(ledger: Ledger) -> None:
    with pytest.raises(Exception, match="without a zone"):
        ledger.add_instance(an_instance(), a_file(), a_peer(), datetime(2026, 1, 1))  # noqa: DTZ001 that is the point
    assert ledger.status()["instances"] == 0


def test_the_same_again_changes_nothing_of_a_closed_series(ledger: Ledger) -> None:
    add(ledger)
    ledger.close_series("1.2", NOW, "geometry")
    assert add(ledger, at=9) is Arrival.SAME
    assert ledger.open_series() == ()
    series = ledger.find_series("1.2")
    assert series is not None
    assert series.last_received == NOW


def test_the_same_again_keeps_an_open_series_waiting(ledger: Ledger) -> None:
    add(ledger)
    ledger.association_opened(a_peer("a2"), NOW)
    assert ledger.redelivered(an_instance(), "0" * 64, a_peer("a2"), after(9)) is Arrival.SAME
    (series,) = ledger.open_series()
    assert (series.last_received, series.open_associations) == (after(9), 1)
    assert ledger.redelivered(an_instance("1.2.7"), "0" * 64, a_peer(), NOW) is None


@pytest.mark.parametrize(("sha256", "series"), [("f" * 64, "1.2"), ("0" * 64, "1.3")])
def test_other_content_or_another_series_is_a_conflict_and_the_first_stays(
    ledger: Ledger, sha256: str, series: str
) -> None:
    add(ledger)
    second = ledger.add_instance(an_instance(series=series), a_file("y", sha256), a_peer(), after(1))
    assert second is Arrival.CONFLICT
    stored = ledger.find_instance("1.2.1")
    assert stored is not None
    assert (stored.path, stored.sha256, stored.conflicted) == ("spool/1.2.1", "0" * 64, True)
    assert ledger.recent_series(1)[0].conflicts == 1
    assert ledger.add_quarantined(an_instance(series=series), a_file("q", sha256), a_peer(), after(1))
    assert not ledger.add_quarantined(an_instance(series=series), a_file("r", sha256), a_peer(), after(1))
    assert ledger.quarantined("1.2.1") == (a_file("q", sha256),)
    assert ledger.known_paths() == {"spool/1.2.1", "spool/q"}


def test_open_associations_are_those_that_delivered_and_are_not_closed(ledger: Ledger) -> None:
    for name in ("a1", "a2", "a3"):
        ledger.association_opened(a_peer(name), NOW)
        ledger.association_opened(a_peer(name), NOW)
    add(ledger, "1.2.1", association="a1")
    add(ledger, "1.2.2", association="a2")
    add(ledger, "1.2.3", association="a2")
    add(ledger, "1.3.1", series="1.3", association="a3")
    assert [series.open_associations for series in ledger.open_series()] == [2, 1]
    ledger.association_closed(a_peer("a2"))
    assert [series.open_associations for series in ledger.open_series()] == [1, 1]
    assert ledger.close_all_associations() == 2
    assert [series.open_associations for series in ledger.open_series()] == [0, 0]


def interrupted(ledger: Ledger) -> list[bool]:
    return [series.interrupted for series in ledger.open_series()]


def test_an_association_that_is_cut_off_marks_its_series_until_one_is_released(ledger: Ledger) -> None:
    for name in ("a1", "a2", "a3"):
        ledger.association_opened(a_peer(name), NOW)
    add(ledger, "1.2.1", association="a1")
    add(ledger, "1.3.1", series="1.3", association="a2")
    assert interrupted(ledger) == [False, False]
    ledger.association_closed(a_peer("a1"), released=False)
    assert interrupted(ledger) == [True, False]
    add(ledger, "1.2.1", association="a3")  # sent again, and this time to the end
    ledger.association_closed(a_peer("a3"))
    assert interrupted(ledger) == [False, False]
    assert ledger.close_all_associations() == 1
    assert interrupted(ledger) == [False, True]


def test_an_unannounced_sender_never_holds_a_series_open(ledger: Ledger) -> None:
    add(ledger, association="one web request")
    assert ledger.open_series()[0].open_associations == 0


def test_late_slices_make_a_new_generation(ledger: Ledger) -> None:
    add(ledger, "1.2.1")
    add(ledger, "1.2.2")
    assert ledger.close_series("1.2", after(10), "quiet") == 1
    add(ledger, "1.2.3", at=20)
    (series,) = ledger.open_series()
    assert series.generation == 1
    assert [one.instance.sop_uid for one in ledger.members("1.2", 1)] == ["1.2.1", "1.2.2"]
    assert ledger.close_series("1.2", after(30), "quiet") == 2
    assert [one.instance.sop_uid for one in ledger.members("1.2", 1)] == ["1.2.1", "1.2.2"]
    assert [one.instance.sop_uid for one in ledger.members("1.2", 2)] == ["1.2.1", "1.2.2", "1.2.3"]
    assert [row.work.stage for row in ledger.series_work("1.2", 2)] == [Stage.QUALIFY]


def test_only_an_open_series_is_closed(ledger: Ledger) -> None:
    with pytest.raises(Refused):
        ledger.close_series("1.2", NOW, "quiet")
    add(ledger)
    ledger.close_series("1.2", NOW, "quiet")
    with pytest.raises(Refused):
        ledger.close_series("1.2", NOW, "quiet")
    assert len(ledger.series_work("1.2", 1)) == 1


def test_closing_at_once_by_many_closes_once(ledger: Ledger) -> None:
    add(ledger)

    def close(_: int) -> int:
        try:
            return ledger.close_series("1.2", NOW, "quiet")
        except Refused:
            return 0

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(close, range(8))) == [0] * 7 + [1]


def test_the_same_again_lies_in_its_newest_file(ledger: Ledger) -> None:
    add(ledger)
    ledger.add_instance(an_instance(), a_file("newer"), a_peer(), after(1))
    stored = ledger.find_instance("1.2.1")
    assert stored is not None
    assert (stored.path, stored.received_at) == ("spool/newer", NOW)


def test_many_threads_deliver_once_each(ledger: Ledger, spool: Spool) -> None:
    def deliver(number: int) -> Arrival:
        sop = f"1.2.{number % 30}"
        return receive(spool, ledger, an_instance(sop), dataset_of(sop), a_peer(f"a{number % 4}"))

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(deliver, range(120)))
    assert found.count(Arrival.NEW) == 30
    assert found.count(Arrival.SAME) == 90
    assert len(ledger.instances("1.2")) == 30
    assert spool.sweep(ledger.known_paths()).missing == ()
    for stored in ledger.instances("1.2"):
        assert spool.path(stored.path).read_bytes() == META + dataset_of(stored.instance.sop_uid)


def test_two_contents_at_once_keep_one_and_quarantine_the_other(ledger: Ledger, spool: Spool) -> None:
    def deliver(number: int) -> Arrival:
        return receive(spool, ledger, an_instance(), dataset_of(f"{number % 2}"), a_peer())

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(deliver, range(16)))
    assert found.count(Arrival.NEW) == 1
    assert found.count(Arrival.SAME) == 7
    assert found.count(Arrival.CONFLICT) == 8
    assert len(ledger.quarantined("1.2.1")) == 1
    swept = spool.sweep(ledger.known_paths())
    assert (swept.temporary, swept.missing) == (0, ())


def test_a_deleted_file_is_kept_again(ledger: Ledger, spool: Spool) -> None:
    receive(spool, ledger, an_instance(), b"1", a_peer())
    stored = ledger.find_instance("1.2.1")
    assert stored is not None
    spool.path(stored.path).unlink()
    assert receive(spool, ledger, an_instance(), b"1", a_peer()) is Arrival.SAME
    found = ledger.find_instance("1.2.1")
    assert found is not None
    assert spool.holds(found.path)
    assert spool.sweep(ledger.known_paths()).orphans == 0


@pytest.mark.parametrize(("sha256", "arrival"), [("0" * 64, Arrival.SAME), ("f" * 64, Arrival.CONFLICT)])
def test_another_process_may_be_faster_between_two_statements(ledger: Ledger, sha256: str, arrival: Arrival) -> None:
    add(ledger)
    with ledger._database.writing() as connection:  # as on PostgreSQL, where writers do not queue
        row = arrivals._new_instance(an_instance(), a_file("late", sha256), a_peer(), NOW)
        late = arrivals._added(connection, an_instance(), row, a_peer(), NOW)
    assert late is arrival
    assert [stored.path for stored in ledger.instances("1.2")] == ["spool/1.2.1"]


def test_who_was_heard_last(ledger: Ledger) -> None:
    add(ledger, "1.2.1", at=1)
    ledger.add_instance(an_instance("1.3.1", "1.3"), a_file("z"), a_peer("b", "CT02"), after(7))
    assert ledger.last_heard() == {"CT01": after(1), "CT02": after(7)}


def test_study_series(ledger: Ledger) -> None:
    add(ledger, "1.2.1", series="1.2")
    add(ledger, "1.3.1", series="1.3")
    ledger.add_instance(an_instance("9.1.1", "9.1", "9"), a_file("z"), a_peer(), NOW)
    assert {series.series_uid for series in ledger.study_series("1")} == {"1.2", "1.3"}


def finished(ledger: Ledger) -> None:
    add(ledger)
    ledger.close_series("1.2", NOW, "quiet")
    ledger.add_quarantined(an_instance(), a_file("q", "f" * 64), a_peer(), NOW)
    claimed = ledger.claim(NOW, LEASE, list(Stage))
    assert claimed is not None
    reading = StoredReading(
        series_uid="1.2", generation=1, findings=a_file("f"), mask=a_file("m"), model_sha256="1", settings_sha256="2"
    )
    follower = NewWork(stage=Stage.DELIVER, series_uid="1.2", generation=1, object_uid="8.1", destination="pacs")
    outcome = Outcome(reading=reading, objects=(an_answer("8.1"),), followers=(follower,))
    ledger.finish(claimed, outcome, NOW)


def test_retention_takes_only_what_is_finished(ledger: Ledger) -> None:
    finished(ledger)
    assert ledger.settled_series(after(100)) == ()
    with pytest.raises(Refused, match="unfinished"):
        ledger.delete_series("1.2")
    delivery = ledger.claim(NOW, LEASE, [Stage.DELIVER])
    assert delivery is not None
    ledger.park(delivery, NOW, "refused by the peer")
    with pytest.raises(Refused, match="unfinished"):  # parked is not delivered
        ledger.delete_series("1.2")
    ledger.revive(NOW)
    delivery = ledger.claim(NOW, LEASE, [Stage.DELIVER])
    assert delivery is not None
    ledger.finish(delivery, Outcome(), NOW)
    assert ledger.settled_series(NOW) == ()
    assert [series.series_uid for series in ledger.settled_series(after(1))] == ["1.2"]
    paths = ledger.known_paths()
    assert paths == {"spool/1.2.1", "spool/q", "spool/f", "spool/m", "outbox/8.1"}
    assert set(ledger.delete_series("1.2")) == paths
    assert ledger.known_paths() == frozenset()
    counts = ledger.status()
    assert counts.pop("instances") == 0
    assert not any(counts.values())
    assert ledger.integrity() == ()


def test_retention_refuses_open_and_unknown_series(ledger: Ledger) -> None:
    add(ledger)
    for uid in ("1.2", "1.9"):
        with pytest.raises(Refused, match="not closed"):
            ledger.delete_series(uid)


def test_deleting_one_series_leaves_the_other(ledger: Ledger) -> None:
    add(ledger, "1.3.1", series="1.3")
    add(ledger)
    ledger.close_series("1.2", NOW, "quiet")
    claimed = ledger.claim(NOW, LEASE, list(Stage))
    assert claimed is not None
    ledger.finish(claimed, Outcome(state=WorkState.DECLINED, reasons=("contrast",)), NOW)
    assert ledger.delete_series("1.2") == ("spool/1.2.1",)
    assert ledger.known_paths() == {"spool/1.3.1"}
