"""Metrics: every one documented here, few labels, nothing of a patient."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from node.domain.commitment import CommitmentState
from node.domain.errors import LedgerBusy, PeerDown, Refused
from node.domain.records import NewWork, Outcome
from node.domain.work import Stage, Work, WorkState
from node.monitor.meters import Meters
from node.monitor.readiness import LEDGER_SECONDS, Seen, readiness_of
from node.monitor.sampler import Asked, Sampler
from node.monitor.watch import LOOPBACK, admits
from tests.node.storage.builders import a_file, a_peer, an_instance
from tests.node.storage.commitment_program import ASKED
from tests.web_site import WebSite

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
LEASE = timedelta(minutes=5)
WORK = Work(id=1, stage=Stage.READ, series_uid="1.2", generation=1)


def values(meters: Meters) -> dict[tuple[str, ...], float]:
    """Every sample: its name and the values of its labels."""
    families = text_string_to_metric_families(meters.exposition().decode())
    return {
        (one.name.removeprefix("second_reader_"), *one.labels.values()): one.value
        for family in families
        for one in family.samples
    }


def asked(**changed: object) -> Asked:
    usual = {
        "listening": lambda: True,
        "model": lambda: True,
        "free": lambda: 10,
        "reserve": 5,
        "associations": lambda: 2,
    }
    return Asked(**{**usual, **changed})


@pytest.fixture
def site(tmp_path):
    made = WebSite(tmp_path)
    yield made
    made.ledger.close()


def test_associations_and_answers_are_counted_by_what_they_were():
    meters = Meters()
    for refusal in (None, None, (1, 1, 7), (1, 1, 3), (2, 3, 2), (9, 9, 9)):
        meters.association(refusal)
    for status in (0x0000, 0x0000, 0xA700, 0x4242):
        meters.answered(status)
    found = values(meters)
    assert found["associations_total", "accepted"] == 2
    assert {found["associations_total", one] for one in ("called-ae-title", "not-allowed", "limit", "fault")} == {1}
    assert (found["instances_total", "success"], found["instances_total", "out-of-resources"]) == (2, 1)
    assert (found["instances_total", "other"], found["instances_total", "cannot-understand"]) == (1, 0)


def test_a_store_is_timed_and_its_error_passes():
    meters, kept = Meters(), []
    store = meters.receiving(lambda data, request: kept.append((data, request)))
    store(b"x", "request")

    def refuses(_data, _request):
        raise LedgerBusy("away")

    with pytest.raises(LedgerBusy):
        meters.receiving(refuses)(b"", "")
    assert kept == [(b"x", "request")]
    assert values(meters)["stage_seconds_count", "receive"] == 2


def test_what_stages_find_is_counted():
    meters = Meters()
    outcomes = iter(
        [
            Outcome(state=WorkState.DECLINED, reasons=("a", "b"), kinds=("contrast", "gap", "gap")),
            Outcome(state=WorkState.DECLINED, reasons=("its text must not become a label",)),
            Outcome(state=WorkState.DECLINED, reasons=("no longer",)),
        ]
    )
    handlers = meters.working({stage: lambda _work: next(outcomes) for stage in (Stage.QUALIFY, Stage.READ)})
    handlers[Stage.QUALIFY](WORK)
    handlers[Stage.READ](WORK)
    found = values(meters)
    assert found["declined_total", "contrast", "qualify"] == found["declined_total", "gap", "qualify"] == 1
    assert found["declined_total", "content", "read"] == 1
    assert "its text" not in meters.exposition().decode()
    assert found["stage_seconds_count", "read"] == 1


def test_deliveries_and_notices_are_counted_by_end():
    meters = Meters()
    results = [Outcome(), PeerDown("down"), Refused("no"), ValueError("a bug"), Outcome(state=WorkState.DECLINED)]
    assert list(meters.carrying(Stage.DELIVER, "pacs", lambda _works: results)([WORK] * 5)) == results
    meters.carrying(Stage.NOTIFY, "desk", lambda _works: results[:1])([WORK])
    found = values(meters)
    ends = {key[2]: value for key, value in found.items() if key[0] == "deliveries_total"}
    assert ends == {"done": 1, "retried": 1, "refused": 2, "not-needed": 1}
    assert found["notices_total", "desk", "done"] == 1


def test_a_look_measures_queue_letters_cases_and_disk(site: WebSite):
    meters = Meters()
    ledger = site.ledger
    ledger.add_instance(an_instance(), a_file(), a_peer(), NOW)
    deliveries = [
        NewWork(stage=Stage.DELIVER, series_uid="1.2", generation=0, object_uid=str(number), destination="pacs")
        for number in range(3)
    ]
    ledger.add_work(deliveries, NOW)
    letter = ledger.claim(NOW, LEASE, [Stage.DELIVER])
    ledger.park(letter, NOW, "refused")
    site.case(1, {"LCX": 200.0}, {"LM": 0, "LAD": 0, "LCX": 0, "RCA": 0})
    for number in range(2):
        ledger.add_commitment(replace(ASKED, transaction_uid=f"9.{number}"), NOW)
    ledger.settle_commitment(ledger.commitments()[0].id, CommitmentState.GIVEN_UP, NOW, "nobody there")
    sampler = Sampler(ledger, meters, asked(), lambda: NOW + timedelta(seconds=90))
    assert not sampler.readiness().ready
    sampler.look()
    found = values(meters)
    assert found["queue_depth", "deliver", "pending"] == found["deliveries_waiting", "pacs"] == 2
    assert (found["dead_letters", "deliver"], found["dead_letters", "read"]) == (1, 0)
    assert (found["queue_oldest_seconds", "deliver"], found["queue_oldest_seconds", "read"]) == (90, 0)
    assert found["open_cases", "priority"] == 1
    assert {key[1]: value for key, value in found.items() if key[0] == "commitments"} == {
        "pending": 1,
        "told": 0,
        "given-up": 1,
    }
    assert (found["disk_free_bytes",], found["disk_reserve_bytes",]) == (10, 5)
    assert (found["associations_open",], found["model_loaded",]) == (2, 1)
    assert sampler.readiness().ready


def test_what_is_tried_again_has_waited_since_it_came(site: WebSite):
    ledger = site.ledger
    ledger.add_instance(an_instance(), a_file(), a_peer(), NOW)
    ledger.add_work([NewWork(stage=Stage.READ, series_uid="1.2", generation=0)], NOW)
    now = NOW
    for _ in range(2):
        now += timedelta(hours=1)
        work = ledger.claim(now, LEASE, [Stage.READ])
        ledger.retry_later(work, now, now, "the disk does not answer")
    (depth,) = ledger.queue_depths()
    assert (depth.since, depth.attempts) == (NOW, 2)


def test_the_time_of_every_transaction_is_told(site: WebSite):
    told = []
    site.ledger.observed_by(lambda kind, seconds: told.append((kind, seconds)))
    site.ledger.queue_depths()
    site.ledger.try_to_write()
    assert [kind for kind, _ in told] == ["read", "write"]
    assert all(seconds > 0 for _, seconds in told)


def test_readiness_names_everything_that_is_missing():
    good = Seen(listening=True, ledger_age=1.0, free=6, reserve=5, model=True)
    assert readiness_of(good).ready
    bad = readiness_of(Seen(listening=False, ledger_age=LEDGER_SECONDS + 1, free=4, reserve=5, model=False))
    assert all(bad.checks.values())
    assert not bad.ready
    unknown = readiness_of(Seen(listening=True, ledger_age=None, free=None, reserve=0, model=True))
    assert [name for name, reason in unknown.checks.items() if reason] == ["ledger", "disk"]


def test_a_ledger_that_does_not_answer_is_not_waited_for(site: WebSite):
    sampler = Sampler(site.ledger, Meters(), asked(), lambda: NOW)
    with site.ledger._database.writing():
        sampler.__enter__()
        found = sampler.readiness()
        assert [name for name, reason in found.checks.items() if reason] in (["ledger"], ["ledger", "disk"])
    sampler.__exit__()


def test_a_disk_that_cannot_be_asked_is_told(site: WebSite):
    def away():
        raise OSError("stale file handle")

    sampler = Sampler(site.ledger, Meters(), asked(free=away), lambda: NOW)
    sampler.look()
    assert [name for name, reason in sampler.readiness().checks.items() if reason] == ["disk"]


@pytest.mark.parametrize(
    ("allow", "address", "admitted"),
    [
        (LOOPBACK, "127.0.0.1", True),
        (LOOPBACK, "::1", True),
        (LOOPBACK, "::ffff:127.0.0.1", True),
        (LOOPBACK, "10.1.2.3", False),
        (("10.1.0.0/16",), "10.1.2.3", True),
        (("10.1.2.3",), "10.1.2.4", False),
        ((), "127.0.0.1", False),
        (LOOPBACK, "", False),
        (LOOPBACK, "testclient", False),
    ],
)
def test_who_may_ask(allow, address, admitted):
    assert admits(allow, address) == admitted


def test_names_and_helps_are_of_one_kind():
    meters = Meters()
    text = meters.exposition().decode()
    for name, words in re.findall(r"# HELP (\S+) (.*)", text):
        assert re.fullmatch(r"second_reader_[a-z_]+", name), name
        assert words.endswith("."), name
