"""The audit trail is checked from the command line: by itself, and against what was kept elsewhere."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from node.cli import app
from node.domain.people import chained
from node.storage.ledger import Ledger

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
ACTORS = ("anna", "=cmd|x", "'quoted", 'Müller, "R"\nx', "")


@pytest.fixture
def config(tmp_path: Path, empty_ledger: Path) -> Path:
    path = tmp_path / "node.toml"
    path.write_text(f'[storage]\nroot = "{tmp_path / "node"}"\n[log]\nlevel = "ERROR"\n')
    (tmp_path / "node").mkdir()
    shutil.copy(empty_ledger, tmp_path / "node" / "ledger.sqlite")
    with Ledger(f"sqlite:///{tmp_path}/node/ledger.sqlite") as ledger:
        for number, actor in enumerate(ACTORS):
            ledger.add_audit(
                actor, "case.view", f"case:{number}", NOW, {"blind": bool(number % 2), "b": 1.5, "ä": None}
            )
    return path


@pytest.fixture
def audit(config: Path):
    def run(*arguments: str, settings: bool = True):
        clean = {name: None for name in os.environ if name.startswith("SECOND_READER_")}
        given = ["--config", str(config)] if settings else []
        return CliRunner(env=clean).invoke(app, ["audit", *arguments, *given])

    return run


def changed(config: Path, statement: str) -> None:
    with Ledger(f"sqlite:///{config.parent}/node/ledger.sqlite") as ledger, ledger._database.writing() as connection:
        connection.exec_driver_sql(statement)


def test_an_unharmed_trail_is_said_to_be_so_and_its_head_can_be_kept(audit):
    head = audit("head").stdout.strip()
    assert head.startswith("5:")
    found = audit("verify", "--head", head)
    assert (found.exit_code, found.stdout) == (0, f"5 entries, none changed; the last is {head}\n")


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE audit SET actor = 'nobody' WHERE number = 2", "entry 2 was changed"),
        ("DELETE FROM audit WHERE number = 3", "entries 3 to 3 are missing"),
        ("UPDATE audit SET previous = sha256 WHERE number = 4", "entry 4 does not follow"),
    ],
)
def test_whatever_was_done_to_the_ledger_is_told(audit, config: Path, statement: str, words: str):
    changed(config, statement)
    found = audit("verify")
    assert found.exit_code == 1
    assert words in found.stderr


def test_an_end_that_was_cut_off_shows_only_against_what_was_kept_elsewhere(audit, config: Path, tmp_path: Path):
    head, kept = audit("head").stdout.strip(), str(tmp_path / "kept.csv")
    assert audit("export", kept).exit_code == 0
    changed(config, "DELETE FROM audit WHERE number >= 5")
    assert audit("verify").exit_code == 0
    for noted in (("--head", head), ("--against", kept)):
        found = audit("verify", *noted)
        assert found.exit_code == 1
        assert "entry 5 was noted and is gone" in found.stderr


def test_a_chain_that_was_made_anew_is_another_one(audit, config: Path):
    head = audit("head").stdout.strip()
    with Ledger(f"sqlite:///{config.parent}/node/ledger.sqlite") as ledger:
        last = ledger.audit_entries(limit=1)[0]
    forged = chained(last.previous, number=5, at=NOW, deed=("mallory", "case.view", "case:4"), detail="{}")
    changed(config, f"UPDATE audit SET actor = 'mallory', detail = '{{}}', sha256 = '{forged}' WHERE number = 5")  # noqa: S608
    assert audit("verify").exit_code == 0
    assert "entry 5 is another than the one that was noted" in audit("verify", "--head", head).stderr


def test_an_export_is_checked_without_the_node(audit, tmp_path: Path):
    kept = tmp_path / "kept.csv"
    assert audit("export", str(kept)).exit_code == 0
    assert audit("export", str(kept)).exit_code == 1, "what is there is not written over"
    whole = audit("check-export", str(kept), settings=False)
    assert (whole.exit_code, "6 entries, none changed; the whole trail" in whole.stdout) == (0, True), whole.output
    text = kept.read_text(encoding="utf-8")
    kept.write_text(text.replace("case:2", "case:9"), encoding="utf-8")
    assert "entry 3 was changed" in audit("check-export", str(kept), settings=False).stderr
    lines = text.splitlines(keepends=True)
    kept.write_text("".join([lines[0], *lines[3:]]), encoding="utf-8")  # two newest are left out
    assert "4 entries" in audit("check-export", str(kept), settings=False).stdout
    kept.write_text("".join([*lines[:2], *lines[3:]]), encoding="utf-8")
    assert "an excerpt" in audit("check-export", str(kept), settings=False).stdout


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "\0", "number,at,actor,action,subject,detail,previous,sha256\nx\n"])
def test_what_is_no_export_is_said_so(audit, tmp_path: Path, text: str):
    (tmp_path / "kept.csv").write_text(text)
    found = audit("check-export", str(tmp_path / "kept.csv"), settings=False)
    assert found.exit_code == 1
    assert "audit trail" in found.stderr


def test_a_head_that_is_none_is_bad_usage(audit):
    assert audit("verify", "--head", "5:xyz").exit_code == 2
    assert audit("verify", "--against", "/nowhere").exit_code == 1
