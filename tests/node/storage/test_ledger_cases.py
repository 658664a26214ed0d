"""Comparisons, cases and decisions in the ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from node.domain.cases import CaseFilter, CaseOrder, CaseState, NewComparison, PageOf
from node.domain.errors import Refused
from node.domain.human_read import StudyKey
from node.domain.records import Kept, NewWork, Outcome, Released, StoredReading
from node.domain.review import Decision, Radpeer, ReviewOutcome
from node.domain.studies import StudyFacts
from node.domain.tiers import Tier
from node.domain.work import Stage, WorkState
from node.storage.ledger import Ledger
from node.storage.queueing import FOREVER
from tests.node.domain.reads import a_comparison, a_read
from tests.node.storage.builders import LEASE, NOW, a_file, a_peer, after, an_instance
from tests.told_cases import told_case

SCORES = {"a": (100.0, 100.0), "b": (0.0, 50.0), "c": (120.0, 90.0), "d": (90.0, 94.0)}
TIERS = {"a": "concordant", "b": "priority", "c": "review", "d": "concordant"}


def read_id(ledger: Ledger, study: str, cac: float, version: int = 1) -> int:
    read = a_read(cac, source_id=study, version=version, study=StudyKey(study_uid=study))
    return ledger.record_read(read, Kept(path=f"reads/{study}{version}", sha256="", size=1), "desk", NOW).read_id


def compared(ledger: Ledger, study: str, ours: float, number: int, seconds: float = 0) -> None:
    """Through the queue, as the stage does it: an open series per study is enough."""
    human = SCORES[study][1]
    series = f"{study}.1"
    if ledger.find_series(series) is None:
        ledger.add_instance(an_instance(f"{series}.1", series, study), a_file(series), a_peer(), NOW)
    new = NewComparison(
        study_uid=study,
        series_uid=series,
        generation=1,
        read_id=number,
        limits_sha256="limits",
        comparison=a_comparison(ours, human),
        model_sha256="5e" * 32,
        model_version="1.0" if study < "c" else "2.0",
    )
    ledger.add_work([NewWork(stage=Stage.COMPARE, series_uid=series, generation=1, repeat=True)], after(seconds))
    work = ledger.claim(after(seconds), LEASE, (Stage.COMPARE,))
    assert work is not None
    ledger.finish(work, Outcome(comparison=new), after(seconds))


@pytest.fixture
def cases(ledger: Ledger) -> Ledger:
    for number, (study, (ours, human)) in enumerate(SCORES.items()):
        facts = StudyFacts(study_uid=study, accession=f"A{number}", patient_id="P", study_date=f"2026030{number + 1}")
        ledger.record_study(replace(facts, manufacturer="ACME" if number % 2 else "Other"), NOW)
        compared(ledger, study, ours, read_id(ledger, study, human), seconds=number)
    return ledger


def studies(ledger: Ledger, wanted: CaseFilter | None = None, **page: object) -> str:
    found = ledger.cases(wanted or CaseFilter(), PageOf(**page))  # type: ignore[arg-type]
    return "".join(row.study_uid for row in found.rows)


def decision(version: int = 1, outcome: ReviewOutcome | None = ReviewOutcome.NODE_RIGHT) -> Decision:
    return Decision(
        version=version,
        outcome=outcome,
        radpeer=None if outcome is None else Radpeer.MISS,
        comment="",
        reviewer="anna",
        decided_at=after(60 * version),
        blind=True,
        withdrawn=outcome is None,
    )


def test_the_most_important_comes_first(cases: Ledger) -> None:
    assert studies(cases) == "bcda"
    row = cases.cases(CaseFilter(), PageOf()).rows[0]
    assert (row.tier, row.state, row.ours, row.human) == (Tier.PRIORITY, CaseState.OPEN, 0.0, 50.0)
    assert row.difference == pytest.approx(-(50.0**0.5))
    assert cases.counts_by_tier() == cases.status()["discrepancies"] == {"concordant": 2, "review": 1, "priority": 1}


@pytest.mark.parametrize(
    ("order", "up"),
    [
        (CaseOrder.MADE, "abcd"),
        (CaseOrder.STUDY_DATE, "abcd"),
        (CaseOrder.ACCESSION, "abcd"),
        (CaseOrder.SCANNER, "bdac"),
        (CaseOrder.DIFFERENCE, "bdac"),
    ],
)
def test_sorting(cases: Ledger, order: CaseOrder, up: str) -> None:
    assert studies(cases, order=order, descending=False) == up
    assert studies(cases, order=order) == studies(cases, order=order, descending=False)[::-1]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (CaseFilter(tiers=frozenset((Tier.REVIEW, Tier.PRIORITY))), "bc"),
        (CaseFilter(state=CaseState.DECIDED), ""),
        (CaseFilter(words="A"), "bcda"),
        (CaseFilter(words=" A2 "), "c"),
        (CaseFilter(words="P"), "bcda"),
        (CaseFilter(words="d"), "d"),
        (CaseFilter(words="_%"), ""),
        (CaseFilter(study_from="20260302", study_to="20260303"), "bc"),
        (CaseFilter(scanner="ACME"), "bd"),
        (CaseFilter(model_version="2.0"), "cd"),
    ],
)
def test_filters(cases: Ledger, wanted: CaseFilter, found: str) -> None:
    assert studies(cases, wanted) == found
    assert cases.cases(wanted, PageOf(limit=1)).total == len(found)


def test_pages(cases: Ledger) -> None:
    assert [studies(cases, limit=3, offset=offset) for offset in (0, 3, 6)] == ["bcd", "a", ""]


def test_a_case_has_its_comparison_without_loss(cases: Ledger) -> None:
    number = cases.cases(CaseFilter(), PageOf()).rows[0].id
    case = cases.case(number)
    assert case is not None
    assert (case.comparison, case.latest, case.decisions) == (a_comparison(0.0, 50.0), True, ())
    assert cases.case(99) is None
    assert cases.case_of_study("b") == case.row
    assert cases.case_of_study("x") is None
    assert cases.choices() == (("ACME", "Other"), ("1.0", "2.0"))


def test_the_same_pair_is_compared_once_and_a_new_read_makes_a_new_case(cases: Ledger) -> None:
    before = cases.case_of_study("a")
    assert before is not None
    compared(cases, "a", 100.0, before.read_id)
    assert cases.case_of_study("a") == before
    compared(cases, "a", 100.0, read_id(cases, "a", 100.0, version=2))
    after_it = cases.case_of_study("a")
    assert after_it is not None
    assert after_it.id != before.id
    assert [row.id for row in cases.comparisons_of("a")] == [before.id, after_it.id]
    assert cases.cases(CaseFilter(), PageOf()).total == 4
    compared(cases, "a", 100.0, before.read_id)  # the newer read was discarded
    assert cases.case_of_study("a") == before
    with pytest.raises(Refused, match="compared anew"):
        cases.add_decision(after_it.id, decision())


def test_decisions_are_versions_and_undoing_is_one(cases: Ledger) -> None:
    number = cases.cases(CaseFilter(), PageOf()).rows[0].id
    cases.add_decision(number, decision(1))
    assert studies(cases, CaseFilter(state=CaseState.DECIDED)) == "b"
    row = cases.case_of_study("b")
    assert row is not None
    assert row.outcome is ReviewOutcome.NODE_RIGHT
    assert cases.open_by_tier() == {"concordant": 2, "review": 1}
    with pytest.raises(Refused, match="somebody else"):
        cases.add_decision(number, decision(1))
    cases.add_decision(number, decision(2, None))
    assert studies(cases, CaseFilter(state=CaseState.OPEN)) == "bcda"
    with pytest.raises(Refused, match="no decision to withdraw"):
        cases.add_decision(number, decision(3, None))
    cases.add_decision(number, decision(3, ReviewOutcome.HUMAN_RIGHT))
    assert cases.decisions(number) == (decision(1), decision(2, None), decision(3, ReviewOutcome.HUMAN_RIGHT))
    assert [one.version for _, one in cases.all_decisions(after(100), after(180))] == [2]
    assert [entry.action for entry in cases.audit_entries()] == ["case.decide", "case.withdraw", "case.decide"]
    with pytest.raises(Refused, match="no such case"):
        cases.add_decision(99, decision())


def test_statistics(cases: Ledger) -> None:
    rows = cases.statistics()
    assert [(row.tier, row.pairs["CAC"]) for row in rows] == [
        (TIERS[study], scores) for study, scores in SCORES.items()
    ]
    assert set(rows[0].pairs) == {"CAC"}  # the human reported no vessel
    assert len(cases.statistics(after(1), after(3))) == 2
    assert len(cases.statistics(scanner="ACME", model_version="2.0")) == 1


def test_nobody_is_told_unless_the_comparison_names_them(cases: Ledger) -> None:
    assert cases.claim(after(9), LEASE, (Stage.NOTIFY,)) is None
    row = told_case(cases, after(9), ("mail", "hook"), study="1.9")
    works = [cases.claim(after(9), LEASE, (Stage.NOTIFY,)) for _ in range(2)]
    assert [(one.object_uid, one.destination) for one in works if one is not None] == [
        (str(row.id), "mail"),
        (str(row.id), "hook"),
    ]
    told_case(cases, after(10), ("mail", "hook"), study="1.9")  # the same pair again
    assert cases.claim(after(10), LEASE, (Stage.NOTIFY,)) is None


def test_a_withdrawn_read_leaves_no_case(cases: Ledger) -> None:
    row = cases.case_of_study("b")
    assert row is not None
    cases.discard_read(row.read_id, "wrong patient", "anna", NOW)
    assert cases.case_of_study("b") is None
    assert len(cases.comparisons_of("b")) == 1


def read_series(ledger: Ledger, *, followers: tuple[NewWork, ...] = ()) -> None:
    ledger.add_instance(an_instance("a.1.1", "a.1", "a"), a_file(), a_peer(), NOW)
    ledger.close_series("a.1", NOW, "quiet")
    qualify = ledger.claim(NOW, LEASE, (Stage.QUALIFY,))
    assert qualify is not None
    reading = StoredReading(
        series_uid="a.1", generation=1, findings=a_file("f"), mask=None, model_sha256="", settings_sha256=""
    )
    ledger.finish(qualify, Outcome(study=StudyFacts(study_uid="a"), reading=reading, followers=followers), NOW)


def test_a_read_that_comes_last_starts_the_comparison(ledger: Ledger) -> None:
    read_series(ledger)
    assert ledger.claim(NOW, LEASE, (Stage.COMPARE,)) is None
    read_id(ledger, "a", 3.0)
    work = ledger.claim(NOW, LEASE, (Stage.COMPARE,))
    assert work is not None
    read_id(ledger, "a", 4.0, version=2)  # while the first is being compared: that result is out of date
    with pytest.raises(Exception, match="no longer ours"):
        ledger.finish(work, Outcome(), NOW)
    again = ledger.claim(NOW, LEASE, (Stage.COMPARE,))
    assert again is not None
    ledger.finish(again, Outcome(), NOW)
    assert ledger.claim(NOW, LEASE, (Stage.COMPARE,)) is None


def delivery(name: str, *, held: str = "", minutes: float | None = None) -> NewWork:
    until = None if minutes is None else NOW + timedelta(minutes=minutes)
    return NewWork(stage=Stage.DELIVER, series_uid="a.1", generation=1, destination=name, held=held, not_before=until)


def test_held_deliveries_wait_for_their_time_or_their_release(ledger: Ledger) -> None:
    read_series(
        ledger,
        followers=(
            delivery("now"),
            delivery("timed", held="held until the human read comes", minutes=5),
            delivery("forever", held="held until the reads are compared"),
            NewWork(stage=Stage.COMPARE, series_uid="a.1", generation=1),
        ),
    )
    assert ledger.status()["deliveries"] == {"pending": 1, "held": 2}
    assert ledger.awaited_destinations() == {"now", "timed", "forever"}
    assert ledger.settled_series(after(10**9)) == ()
    assert (ledger.release_due(after(299)), ledger.release_due(after(300)), ledger.release_due(after(301))) == (0, 1, 0)
    assert ledger.claim(after(300), LEASE, (Stage.DELIVER,), "timed") is not None
    (held,) = ledger.held()
    assert (held.work.destination, held.not_before) == ("forever", FOREVER)
    assert held.reasons == ("held until the reads are compared",)
    compare = ledger.claim(after(300), LEASE, (Stage.COMPARE,))
    assert compare is not None
    ended = Released(destination="forever", send=False, ended=True, reason="the reads do not disagree")
    ledger.finish(compare, Outcome(releases=(ended,)), after(301))
    assert ledger.status()["deliveries"] == {"pending": 1, "claimed": 1, "declined": 1}
    ledger.release_held(compare, Released(destination="forever", send=True), after(302))
    assert ledger.claim(after(302), LEASE, (Stage.DELIVER,), "forever") is not None


def test_what_is_held_stays_held_since_when_it_was(ledger: Ledger) -> None:
    read_series(ledger, followers=(delivery("pacs", held="held", minutes=5),))
    (held,) = ledger.held()
    ledger.release_held(
        held.work, Released(destination="pacs", send=False, until=after(900), reason="longer"), after(60)
    )
    (again,) = ledger.held()
    assert (again.state, again.changed_at, again.not_before) == (WorkState.HELD, NOW, after(900))
    assert again.reasons == ("longer",)
