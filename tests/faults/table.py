"""``make faults``: inject every fault that the tests know, and print what survived.

One line for each kind of fault: how often it was injected, how often everything survived, how often something was lost
(a test that fails counts as lost, whatever it was that did not hold), what this machine could not inject, and the time
that took. Exit 1 when anything is lost, or when a kind of fault was not injected at all.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET  # what pytest itself has just written

from tests.faults import random_kills

REPOSITORY = Path(__file__).parents[2]
_LONG = random_kills.Load(rounds=20, senders=3, studies=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of fault and the tests that inject it: files, or functions of files (``file::test_``)."""

    words: str
    tests: Sequence[str]
    quick: bool = True  # whether it is in the short list


@dataclass(slots=True, kw_only=True)
class Line:
    """A line of the table."""

    words: str
    survived: int = 0
    lost: int = 0
    absent: int = 0
    seconds: float = 0.0

    @property
    def injected(self) -> int:
        return self.survived + self.lost


_FLOW, _STORAGE = "tests/flow", "tests/node/storage"
KINDS = (
    Kind(
        words="kill -9 at each step of receiving, reading, publishing and delivering",
        tests=["tests/faults/test_kills.py"],
        quick=False,
    ),
    Kind(
        words="kill -9 at each step of the storage",
        tests=[f"{_STORAGE}/test_kill.py", "tests/node/stages/test_retain.py::test_killed_and_run_again"],
    ),
    Kind(words="kill -9 at each step of a human read", tests=["tests/faults/test_read_steps.py"]),
    Kind(words="kill -9 of a whole node at a human read", tests=["tests/faults/test_read_kills.py"], quick=False),
    Kind(
        words="kill -9 while people and archives are told",
        tests=["tests/faults/test_kills_notifying.py", "tests/faults/test_kills_writing_back.py"],
        quick=False,
    ),
    Kind(words="kill -9 at random times under load", tests=["tests/faults/test_random_kills.py"]),
    Kind(
        words="disk full: spool, ledger, outbox, below the reserve",
        tests=[
            f"{_FLOW}/test_node_full_disk.py::test_the_spool_fills_up_in_the_middle_of_a_study",
            f"{_FLOW}/test_node_full_disk.py::test_the_disk_of_the_ledger_is_full",
            f"{_FLOW}/test_node_full_disk.py::test_there_is_no_room_for_the_answers",
            f"{_FLOW}/test_node_full_disk.py::test_below_the_reserve_nobody_may_store_and_echo_is_answered",
            f"{_STORAGE}/test_spool.py::test_no_room_is_storage_full_and_leaves_nothing",
            f"{_STORAGE}/test_spool.py::test_full_after_a_part_leaves_nothing",
        ],
    ),
    Kind(
        words="disk read-only or failing",
        tests=[
            "tests/faults/test_away.py::test_a_spool_that_turns_read_only_puts_senders_off_and_takes_them_again",
            "tests/faults/test_away.py::test_an_outbox_that_turns_read_only_keeps_the_reading_waiting",
            f"{_STORAGE}/test_spool.py::test_a_disk_that_cannot_be_written_is_away_and_nothing_is_left",
        ],
    ),
    Kind(
        words="ledger locked or read-only",
        tests=[
            "tests/faults/test_away.py::test_a_ledger_that_is_locked_for_long_loses_neither_a_reading_nor_a_delivery",
            f"{_FLOW}/test_node_full_disk.py::test_a_ledger_that_somebody_has_locked",
            f"{_FLOW}/test_node_full_disk.py::test_a_ledger_that_can_only_be_read",
        ],
    ),
    Kind(
        words="files damaged or gone",
        tests=[
            f"{_FLOW}/test_node_storage.py::test_a_received_file_that_vanished_parks_the_reading_and_sending_it_again_heals",
            f"{_FLOW}/test_node_storage.py::test_a_received_file_that_was_changed_is_not_read_until_it_is_sent_again",
            f"{_FLOW}/test_node_storage.py::test_a_damaged_answer_is_not_sent",
        ],
    ),
    Kind(
        words="destination down, slow, late, full, refusing, aborting",
        tests=[
            "tests/faults/test_destinations.py",
            f"{_FLOW}/test_node_destinations.py::test_a_destination_that_hangs_holds_up_no_other_and_no_stop",
            f"{_FLOW}/test_node_destinations.py::test_what_waits_for_a_dead_destination_survives_a_restart",
        ],
    ),
    Kind(
        words="clock set ahead and back",
        tests=[
            "tests/faults/test_clock_steps.py",
            "tests/node/dispatch/test_retention_worker.py::test_for_a_day_after_the_clock_was_set_nothing_goes_by_its_age",
        ],
    ),
    Kind(
        words="sender cut off in the middle",
        tests=[
            "tests/node/stages/test_assemble.py::test_slices_of_an_association_that_was_cut_off_wait_for_the_rest",
            f"{_FLOW}/test_node_bad_input.py::test_an_abort_in_mid_transfer_and_the_whole_study_again",
        ],
    ),
    Kind(words="settings read again while it runs", tests=["tests/faults/test_reloading.py"]),
    Kind(words="stopped under load, second node, settings that cannot work", tests=["tests/faults/test_stopping.py"]),
)


def every_kind() -> list[Kind]:
    """The kinds above, and one for each test of this folder that none of them names."""
    named = {test.partition("::")[0] for kind in KINDS for test in kind.tests}
    here = sorted(path.relative_to(REPOSITORY).as_posix() for path in Path(__file__).parent.glob("test_*.py"))
    others = [path for path in here if path not in named and not path.endswith("test_table.py")]
    return [*KINDS, *(Kind(words=Path(path).stem.removeprefix("test_"), tests=[path]) for path in others)]


def chosen(*, quick: bool, word: str) -> list[Kind]:
    return [one for one in every_kind() if word in one.words and (one.quick or not quick)]


def run_tests(kinds: Sequence[Kind], report: Path) -> int:
    """Run the tests of those kinds, two files at a time; pytest's exit status."""
    wanted = [test for kind in kinds for test in kind.tests]
    options = ["-q", "--no-cov", "-n", "2", "--dist", "loadfile", f"--junitxml={report}"]
    return subprocess.run([sys.executable, "-m", "pytest", *options, *wanted], cwd=REPOSITORY, check=False).returncode


def lines_of(kinds: Iterable[Kind], report: Path) -> Iterator[Line]:
    """A line for each kind, from pytest's report."""
    cases = list(ET.parse(report).getroot().iter("testcase"))  # noqa: S314 - see the import
    for kind in kinds:
        line = Line(words=kind.words)
        for case in cases:
            if any(_is_of(case, test) for test in kind.tests):
                _count(line, case)
        yield line


def _is_of(case: ET.Element, test: str) -> bool:
    file, _, function = test.partition("::")
    where = file.removesuffix(".py").replace("/", ".")
    return case.get("classname") == where and function in ("", (case.get("name") or "").partition("[")[0])


def _count(line: Line, case: ET.Element) -> None:
    line.seconds += float(case.get("time") or 0)
    if case.find("skipped") is not None:
        line.absent += 1
    elif case.find("failure") is not None or case.find("error") is not None:
        line.lost += 1
    else:
        line.survived += 1


def long_kills(load: random_kills.Load, folder: Path) -> Line:
    """The rounds of :mod:`tests.faults.random_kills` as a line; what went wrong in any way is lost."""
    began = time.monotonic()
    found = random_kills.in_rounds(folder, load)
    for word in (*found.lost, *found.wrong):
        sys.stdout.write(f"  {word}\n")
    lost = len(found.lost) + len(found.wrong)
    return Line(
        words=f"kill -9 at random times, {load.rounds} rounds, {found.acknowledged} instances acknowledged",
        survived=max(0, found.kills - lost),
        lost=lost,
        seconds=time.monotonic() - began,
    )


def table(lines: Sequence[Line]) -> str:
    rows = [("fault", "injected", "survived", "lost", "not here", "seconds")]
    rows += [
        (one.words, str(one.injected), str(one.survived), str(one.lost), str(one.absent), f"{one.seconds:.0f}")
        for one in (*lines, _sum_of(lines))
    ]
    width = max(len(row[0]) for row in rows)
    return "\n".join(f"{row[0]:<{width}}  " + "  ".join(f"{cell:>8}" for cell in row[1:]) for row in rows)


def _sum_of(lines: Sequence[Line]) -> Line:
    return Line(
        words="all",
        survived=sum(one.survived for one in lines),
        lost=sum(one.lost for one in lines),
        absent=sum(one.absent for one in lines),
        seconds=sum(one.seconds for one in lines),
    )


def verdict(lines: Sequence[Line]) -> int:
    """0 when nothing was lost and every kind was injected, or could not be on this machine."""
    untried = [one.words for one in lines if not one.injected and not one.absent]
    for words in untried:
        sys.stdout.write(f"not injected at all: {words}\n")
    return 1 if untried or any(one.lost for one in lines) else 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="make faults", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="the short list: no whole node at each labelled step")
    parser.add_argument("--only", default="", metavar="WORD", help="only the kinds whose name holds this word")
    parser.add_argument("--rounds", type=int, default=None, help=f"rounds of random kills ({_LONG.rounds}; --quick: 0)")
    asked = parser.parse_args(arguments)
    kinds = chosen(quick=asked.quick, word=asked.only)
    if not kinds:
        parser.error(f"there is no kind of fault called {asked.only!r}")
    rounds = asked.rounds if asked.rounds is not None else 0 if asked.quick or asked.only else _LONG.rounds
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        status = run_tests(kinds, report)
        lines = list(lines_of(kinds, report)) if report.exists() else []
        if rounds:
            load = random_kills.Load(rounds=rounds, senders=_LONG.senders, studies=_LONG.studies)
            lines.append(long_kills(load, Path(folder)))
    if not lines:
        return status or 1
    sys.stdout.write(f"\n{table(lines)}\n")
    return verdict(lines) or (1 if status not in (0, 1) else 0)


if __name__ == "__main__":
    sys.exit(main())
