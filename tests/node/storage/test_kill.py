"""Killed at every labelled step, then started again: nothing acknowledged is lost, nothing is left lying about."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from node.domain.faults import FAULT_POINTS
from node.domain.work import Stage, WorkState
from node.storage.ledger import Ledger
from node.storage.migrations import upgrade
from node.storage.spool import Outbox, Spool
from tests.forked import Forked, environment
from tests.node.storage.builders import META, dataset_of
from tests.node.storage.receiver_program import COUNT

STEPS = [
    *(f"{name}:3" for name in FAULT_POINTS if name.startswith("receive.")),
    *(name for name in FAULT_POINTS if name.startswith(("assemble.", "outbox."))),
    "qualify.before-commit",
    "qualify.after-commit",
]


def run(root: Path, fault: str | None) -> tuple[int, list[str]]:
    said = root.with_name(f"{root.name}-said")
    said.unlink(missing_ok=True)
    what = "tests.node.storage.receiver_program:main"
    return Forked(what, (root,), environ=environment(fault), said=said).wait(60), said.read_text().split()


def files(root: Path) -> set[str]:
    folders = ("spool", "spool.incoming", "quarantine", "quarantine.incoming", "outbox", "outbox.incoming")
    return {p.relative_to(root).as_posix() for folder in folders for p in (root / folder).rglob("*") if p.is_file()}


@pytest.mark.parametrize("fault", STEPS)
def test_killed_and_started_again(tmp_path: Path, fault: str) -> None:
    status, acknowledged = run(tmp_path, fault)
    assert status == -signal.SIGKILL
    if fault.startswith("receive."):
        assert acknowledged == ["1.2.0", "1.2.1"]
    url = f"sqlite:///{tmp_path}/ledger.sqlite"
    upgrade(url)
    spool, outbox = Spool(tmp_path, 0), Outbox(tmp_path)
    with Ledger(url) as ledger:
        known = ledger.known_paths()
        assert spool.sweep(known).missing == ()
        assert outbox.sweep(known).missing == ()
        assert files(tmp_path) == known
        for sop in acknowledged:
            if sop.startswith("1.2."):
                stored = ledger.find_instance(sop)
                assert stored is not None
                assert spool.path(stored.path).read_bytes() == META + dataset_of(sop)
        assert ledger.integrity() == ()
    assert run(tmp_path, None) == (0, [*(f"1.2.{n}" for n in range(COUNT)), "closed", "finished"])
    with Ledger(url) as ledger:
        assert len(ledger.members("1.2", 1)) == COUNT
        work = ledger.series_work("1.2", 1)
        assert [(row.work.stage, row.state) for row in work] == [
            (Stage.QUALIFY, WorkState.DONE),
            (Stage.READ, WorkState.PENDING),
        ]
        assert len(ledger.objects("1.2", 1)) == 1
        assert files(tmp_path) == ledger.known_paths()


def test_without_a_fault_nothing_dies(tmp_path: Path) -> None:
    status, lines = run(tmp_path, None)
    assert (status, lines[-1]) == (0, "finished")
