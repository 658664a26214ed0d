"""Killed at every step between a decision and its arrival, started again: it is told once, as if nothing had happened.

A study is read and flagged by a process of its own, whose ledger this one then decides in, as the page does in a
process beside it. The fault ends that first life; the second runs here, on what the first has left.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import dcmread

from node.domain.review import Decision, ReviewOutcome
from node.domain.work import Stage, WorkState
from node.service import Node
from node.settings import Settings
from node.storage.ledger import Ledger
from tests.faults.serving import Served
from tests.flow.site import Archive, a_study, free_port, items_of, scanner, settle, wait_until, write_config
from tests.human_reports import a_report

STEPS = ("before-effect", "after-effect", "before-commit", "after-commit")
POINTS = (
    *(f"write-back.{step}:1" for step in STEPS),
    "write-back.after-effect:2",  # the withdrawal
    "outbox.temp-written:6",  # the first five are of the reading and its answers
    "outbox.renamed:6",
    "outbox.directory-synced:6",
    "deliver.before-commit:4",
    "deliver.after-commit:4",
)


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a decision and its withdrawal came to over the lives of a node."""

    ended: int
    said: str
    reports: tuple[tuple[str, str], ...]  # distinct (UID, UID of the predecessor) at the archive, in their order
    contents: int
    stages: frozenset[WorkState]


def decision(version: int) -> Decision:
    return Decision(
        version=version,
        outcome=ReviewOutcome.NODE_RIGHT if version == 1 else None,
        radpeer=None,
        comment="",
        reviewer="anna",
        decided_at=datetime.now(UTC),
        blind=True,
        withdrawn=version > 1,
    )


def live(folder: Path, bundle: Path, fault: str) -> Told:
    folder.mkdir()
    port, study = free_port(), a_study("told")
    with Archive(folder / "archive") as archive:
        config = write_config(
            folder,
            [archive.destination(outcome=True)],
            scp={"port": port},
            series={"quiet_seconds": 3.0},
            reader={"bundle": str(bundle)},
        )
        settings = Settings.load(config, {})
        first = Served(config, folder / "first.log", fault, forked=True)
        try:
            first.wait_ready()
            scanner(port).send(items_of([*study.images, a_report(study.images[0], 0.0)]))
            archive.wait_for(3)
            with Ledger(settings.storage.database_url) as ledger:
                wait_until(lambda: ledger.case_of_study(study.study_uid))
                case = ledger.case_of_study(study.study_uid).id
                wait_until(lambda: ledger.next_due() is None)
                ledger.add_decision(case, decision(1))
                if fault.endswith("effect:2"):
                    wait_until(lambda: ledger.written_back(study.series_uid, 1))
                    ledger.add_decision(case, decision(2))
                ended = first.wait_end()
                if len(ledger.decisions(case)) == 1:
                    ledger.add_decision(case, decision(2))
        finally:
            first.kill()
        with Node(settings) as second:
            archive.wait_for(5)
            settle(second)
            rows = second.storage.ledger.series_work(study.series_uid, 1)
    return Told(
        ended=ended,
        said=first.said(),
        reports=chain_of(archive),
        contents=len({(one.sop_uid, one.file.read_bytes()) for one in archive.stored}),
        stages=frozenset(row.state for row in rows if row.work.stage in {Stage.WRITE_BACK, Stage.DELIVER}),
    )


def chain_of(archive: Archive) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for one in archive.stored:
        dataset = dcmread(one.file)
        if "PredecessorDocumentsSequence" in dataset:
            series = dataset.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
            found[one.sop_uid] = str(series.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        elif dataset.Modality == "SR":
            found[one.sop_uid] = ""
    return tuple(found.items())


@pytest.fixture(scope="module")
def lives(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, bundle: Path
) -> Iterator[dict[str, Future[Told]]]:
    folder = tmp_path_factory.mktemp("told")
    chosen = {item.callspec.params["point"] for item in request.session.items if hasattr(item, "callspec")
              and "point" in item.callspec.params}  # fmt: skip
    with ThreadPoolExecutor(2) as pool:
        started = {
            point: pool.submit(live, folder / point.replace(":", "-"), bundle, point)
            for point in POINTS
            if point in chosen
        }
        yield started
        for one in started.values():
            one.cancel()


@pytest.mark.parametrize("point", POINTS)
def test_killed_and_started_again_it_is_told_once(point: str, lives: dict[str, Future[Told]]) -> None:
    told = lives[point].result()
    assert told.ended == -signal.SIGKILL, f"the fault point was never passed: {told.said}"
    (report, none), (settled, before), (withdrawn, settlement) = told.reports
    assert (none, before, settlement) == ("", report, settled)
    assert len({report, settled, withdrawn}) == 3
    assert told.contents == 5  # segmentation, report, summary, and both versions of the decision: each once
    assert told.stages == {WorkState.DONE}
