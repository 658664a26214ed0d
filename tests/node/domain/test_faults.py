from __future__ import annotations

import re
import signal
import subprocess
import sys
import timeit
from pathlib import Path

import pytest

from node.domain import faults
from node.domain.faults import FAULT_POINTS, VARIABLE, check_fault_setting, fault, parse_fault
from node.domain.work import Stage

REPOSITORY = Path(__file__).parents[3]
FIVE_PASSAGES = """
from node.domain.faults import fault
for passage in range(1, 6):
    fault("read.after-effect")
    fault("receive.renamed")
    print(passage, flush=True)
"""


def passages(setting: str) -> tuple[int, int]:
    """Exit status and completed passages of a process with this setting."""
    done = subprocess.run(
        [sys.executable, "-c", FIVE_PASSAGES],
        env={VARIABLE: setting},
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
    )
    return done.returncode, len(done.stdout.split())


@pytest.mark.parametrize(
    ("setting", "completed"), [("receive.renamed", 0), ("receive.renamed:1", 0), ("receive.renamed:4", 3)]
)
def test_the_process_dies_at_the_nth_passage(setting: str, completed: int) -> None:
    assert passages(setting) == (-signal.SIGKILL, completed)


@pytest.mark.parametrize(
    "setting", ["receive.renamed:6", "publish.before-effect", "no such point", "receive.renamed:x"]
)
def test_other_settings_kill_nothing(setting: str) -> None:
    assert passages(setting) == (0, 5)


@pytest.mark.parametrize(
    ("setting", "parsed"),
    [("receive.renamed", ("receive.renamed", 1)), ("read.after-commit:12", ("read.after-commit", 12))],
)
def test_settings_are_read(setting: str, parsed: tuple[str, int]) -> None:
    assert parse_fault(setting) == parsed
    assert check_fault_setting({VARIABLE: setting}) == f"{parsed[0]}:{parsed[1]}"


@pytest.mark.parametrize(
    "setting", ["", "nowhere", "receive.renamed:0", "receive.renamed:-1", "receive.renamed:x", "receive.renamed:²"]
)
def test_wrong_settings_are_refused_at_start(setting: str) -> None:
    with pytest.raises(ValueError, match=VARIABLE):
        check_fault_setting({VARIABLE: setting})


def test_no_setting_is_no_fault() -> None:
    assert check_fault_setting({}) is None


def test_an_armed_fuse_counts_only_its_own_step(monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr(faults.os, "kill", lambda *call: killed.append(call))
    monkeypatch.setattr(faults, "_ARMED", faults._fuse({VARIABLE: "read.after-effect:2"}))
    for name in ("read.after-effect", "read.before-effect", "read.after-effect", "read.after-effect"):
        fault(name)
    assert killed == [(faults.os.getpid(), signal.SIGKILL)]


def test_every_stage_has_its_four_steps_and_every_step_a_description() -> None:
    for stage in Stage:
        steps = {name.partition(".")[2] for name in FAULT_POINTS if name.startswith(f"{stage}.")}
        assert steps == {"before-effect", "after-effect", "before-commit", "after-commit"}
    assert all(len(text) > 20 for text in FAULT_POINTS.values())
    assert len(set(FAULT_POINTS.values())) == len(FAULT_POINTS)


def test_every_step_named_in_the_node_is_registered() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (REPOSITORY / "node").rglob("*.py")]
    named = {name for text in sources for name in re.findall(r'\bfault\("([^"]+)"\)', text)}
    assert named
    assert named <= set(FAULT_POINTS)


def test_an_unarmed_step_costs_nothing_beside_a_sync() -> None:
    assert min(timeit.repeat(lambda: fault("receive.renamed"), number=10_000, repeat=5)) / 10_000 < 1e-5
