"""A read killed at every step of its way in, of its comparison and of what that releases; then started again.

Each life is a process of its own, over the real stores and a real MLLP socket, without the pixels of a scan: whole
nodes are killed in ``test_read_kills``.
"""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from node.domain.faults import FAULT_POINTS
from node.domain.read_history import ReadState
from node.domain.tiers import Tier
from node.domain.work import Stage, WorkState
from node.storage.ledger import Ledger
from node.storage.migrations import upgrade
from node.storage.originals import Originals
from tests.faults.reads_program import MESSAGE, OTHER, SERIES, STUDY
from tests.forked import Forked, environment

INTAKE = tuple(name for name in FAULT_POINTS if name.startswith("intake."))
COMPARE = tuple(name for name in FAULT_POINTS if name.startswith("compare."))
RELEASE = ("deliver.before-commit", "deliver.after-commit")
STEPS = [
    *(("read", name) for name in (*INTAKE, "intake.row-uncommitted:2", "intake.row-committed:2", *COMPARE, *RELEASE)),
    *(("scan", name) for name in INTAKE[-2:]),
    *(("scan", f"{name}:2") for name in COMPARE),  # the first comparison finds no read
    *(("scan", name) for name in RELEASE),
]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"
    upgrade(f"sqlite:///{path}")
    return path


def run(root: Path, first: str, fault: str | None) -> tuple[int, list[str]]:
    said, complained = (root.with_name(f"{root.name}-{one}") for one in ("said", "complained"))
    for one in (said, complained):
        one.unlink(missing_ok=True)
    program = Forked(
        "tests.faults.reads_program:main",
        (root, first),
        environ=environment(fault),
        said=said,
        complained=complained,
    )
    ended = program.wait(250)
    assert ended in (0, -signal.SIGKILL), complained.read_text()
    return ended, said.read_text().split()


def files(root: Path, *folders: str) -> set[str]:
    under = [name for folder in folders for name in (folder, f"{folder}.incoming")]
    return {path.relative_to(root).as_posix() for name in under for path in (root / name).rglob("*") if path.is_file()}


def assert_whole(root: Path) -> None:
    """One read of the study, compared once, sent once; the other waits; every file has a row, every row its file."""
    with Ledger(f"sqlite:///{root}/ledger.sqlite") as ledger:
        (read,) = ledger.reads_of(STUDY)
        (waiting,) = ledger.quarantined_reads()
        assert (read.state, read.read.agatston("LAD"), waiting.read.study.study_uid) == (ReadState.MATCHED, 0.0, OTHER)
        assert {Originals(root).read(one.original) for one in (read, waiting)} == {MESSAGE}
        (compared,) = ledger.comparisons_of(STUDY)
        assert (compared.read_id, compared.tier) == (read.id, Tier.PRIORITY)
        work = {(one.work.stage, one.state) for one in ledger.series_work(SERIES, 1)}
        assert work == {(stage, WorkState.DONE) for stage in (Stage.QUALIFY, Stage.COMPARE, Stage.DELIVER)}
        assert files(root, "reads", "spool", "outbox", "quarantine") == ledger.known_paths()
        assert ledger.integrity() == ()


@pytest.mark.parametrize(("first", "fault"), STEPS)
def test_killed_and_started_again(tmp_path: Path, empty: Path, first: str, fault: str) -> None:
    shutil.copy(empty, tmp_path / "ledger.sqlite")
    status, said = run(tmp_path, first, fault)
    assert status == -signal.SIGKILL, "the fault point was never passed"
    with Ledger(f"sqlite:///{tmp_path}/ledger.sqlite") as ledger:
        kept = sum(ledger.read_counts().values())
    if fault.startswith("intake."):
        assert "AA" not in said
        assert kept < 2 or fault == "intake.row-committed:2"
    else:
        assert kept == 2
    status, again = run(tmp_path, first, None)
    assert (status, again[-1]) == (0, "done")
    assert again.count("AA") == 1
    assert_whole(tmp_path)


def test_without_a_fault_nothing_dies_and_once_more_changes_nothing(tmp_path: Path, empty: Path) -> None:
    shutil.copy(empty, tmp_path / "ledger.sqlite")
    assert run(tmp_path, "read", None)[1] == ["AA", "scan", "compared", "delivered", "done"]
    assert run(tmp_path, "read", None)[1] == ["AA", "scan", "done"]
    assert_whole(tmp_path)
