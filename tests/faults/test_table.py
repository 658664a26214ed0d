"""The table of ``make faults``: it names every fault test there is, and counts what pytest reports."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.faults import table
from tests.faults.table import KINDS, REPOSITORY, Kind, Line, lines_of

REPORT = """<testsuites><testsuite>
<testcase classname="tests.faults.test_a" name="test_one[x]" time="1.5"/>
<testcase classname="tests.faults.test_a" name="test_one[y]" time="1"><failure message="m">gone</failure></testcase>
<testcase classname="tests.faults.test_a" name="test_one_more" time="1"/>
<testcase classname="tests.faults.test_b" name="test_two" time="2"><skipped message="no right"/></testcase>
<testcase classname="tests.faults.test_b" name="test_two" time="0"><error message="set-up">x</error></testcase>
</testsuite></testsuites>"""
TWO = (
    Kind(words="one", tests=["tests/faults/test_a.py::test_one"]),
    Kind(words="two", tests=["tests/faults/test_b.py"]),
)


def functions_of(file: str) -> set[str]:
    tree = ast.parse((REPOSITORY / file).read_text(encoding="utf-8"))
    return {one.name for one in tree.body if isinstance(one, ast.FunctionDef)}


def test_every_fault_test_is_in_the_table() -> None:
    named = {test.partition("::")[0] for kind in table.every_kind() for test in kind.tests}
    there = {path.relative_to(REPOSITORY).as_posix() for path in Path(__file__).parent.glob("test_*.py")}
    assert there - named == {Path(__file__).relative_to(REPOSITORY).as_posix()}
    assert len({kind.words for kind in table.every_kind()}) == len(table.every_kind())


@pytest.mark.parametrize("test", [test for kind in KINDS for test in kind.tests if "::" in test])
def test_what_the_table_names_is_there(test: str) -> None:
    file, _, function = test.partition("::")
    assert function in functions_of(file)


def test_each_kind_counts_its_own_tests(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(REPORT, encoding="utf-8")
    one, two = lines_of(TWO, report)
    assert (one.injected, one.survived, one.lost, one.absent, one.seconds) == (2, 1, 1, 0, 2.5)
    assert (two.injected, two.survived, two.lost, two.absent) == (1, 0, 1, 1)
    said = table.table([one, two]).splitlines()
    assert said[-1].split() == ["all", "3", "1", "2", "1", "4"]
    assert len({len(line) for line in said}) == 1


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (Line(words="x", survived=3), 0),
        (Line(words="x", survived=3, lost=1), 1),
        (Line(words="x", absent=1), 0),
        (Line(words="x"), 1),  # nothing was injected: a renamed test proves nothing
    ],
)
def test_what_is_lost_or_not_injected_fails(line: Line, status: int) -> None:
    assert table.verdict([line]) == status


def test_the_short_list_is_shorter_and_a_word_chooses(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    ran: list[list[Kind]] = []

    def run(kinds: list[Kind], report: Path) -> int:
        ran.append(kinds)
        report.write_text(REPORT, encoding="utf-8")
        return 0

    monkeypatch.setattr(table, "run_tests", run)
    assert table.main(["--quick"]) == 1  # none of its tests is in that report
    assert table.main(["--only", "clock"]) == 1
    assert 1 == len(ran[1]) < len(ran[0]) < len(table.every_kind())
    assert "not injected at all: clock set ahead and back" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        table.main(["--only", "earthquake"])
