"""Commands that look at a node's ledger, or change what waits in it."""

from __future__ import annotations

import json
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from node.domain.records import Outcome
from node.domain.work import Stage, WorkState
from tests.dicom_series import ct_series, thorax
from tests.node.command_line import run


def test_before_any_run_there_is_no_ledger_and_none_is_made(config, tmp_path):
    for command in (["status"], ["retry", "--all"], ["backup", tmp_path / "copy"]):
        result = run(*command, "--config", config)
        assert result.exit_code == 1
        assert "there is no ledger yet" in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "node").exists()
    assert not (tmp_path / "copy").exists()


def test_status_counts_by_state(used):
    result = run("status", "--config", used, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "instances": 3,
        "series": {"closed": 1},
        "work": {"qualify": {"parked": 1}},
        "deliveries": {},
        "discrepancies": {},
        "reads": {},
    }
    table = run("status", "--config", used)
    assert "parked 1: qualify: a fault of this program: KeyError" in table.stdout


@pytest.fixture
def table(used, rig, tmp_path) -> Path:
    """Two reads of the study of ``used``'s series, one of which has two faults, and one of another study."""
    study = ct_series(thorax(3))[0].StudyInstanceUID
    lines = ("study_uid;read_id;LAD;RCA", f"{study};r1;12,5;0", f"{study};r2;many;-1", "1.2.3;r3;1;1")
    path = tmp_path / "reads.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_reads_are_taken_once_and_every_fault_is_told(used, rig, table):
    words = " ".join(run("reads", "import", table, "--config", used, "--reader", "R1").stdout.split())
    assert "line 3" in words
    assert "quarantined" in words
    stored = {one.read.source_id: one.read for one in rig.ledger.quarantined_reads()}
    assert set(stored) == {"r1", "r3"}
    assert stored["r1"].reader == "R1"
    assert stored["r1"].scores["LAD"].agatston == 12.5
    again = run("reads", "import", table, "--config", used, "--reader", "R1")
    assert again.exit_code == 0
    assert again.stdout.count("the same") == 2
    assert len(rig.ledger.quarantined_reads()) == 2


def test_a_dry_run_takes_nothing_and_needs_no_ledger(config_of, table, tmp_path):
    result = run("reads", "import", table, "--config", config_of(tmp_path / "new"), "--dry-run")
    assert result.exit_code == 0
    assert result.stdout.count("can be taken") == 2
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("text", ["", "{", "LAD;RCA\n1;2", "study_uid;LAD\nx;1", "[]"])
def test_where_nothing_can_be_taken_it_is_3_with_the_reason(text, used, tmp_path):
    path = tmp_path / "reads.csv"
    path.write_text(text, encoding="utf-8")
    assert run("reads", "import", path, "--config", used).exit_code == 3


def test_without_a_ledger_no_read_is_taken(config_of, table, tmp_path):
    result = run("reads", "import", table, "--config", config_of(tmp_path / "new"))
    assert result.exit_code == 1
    assert "no ledger yet" in result.stderr


def test_retry_takes_parked_work_up_again(used, rig):
    assert run("retry", "99", "--config", used).exit_code == 1
    result = run("retry", "1", "--config", used)
    assert (result.exit_code, result.stdout) == (0, "1 taken up again\n")
    rig.clock.advance(3600 * 24 * 3650)
    work = rig.ledger.claim(rig.clock.now, timedelta(minutes=1), (Stage.QUALIFY,))
    assert (work.id, work.attempts) == (1, 1)
    assert run("retry", "--all", "--config", used).exit_code == 1


def test_backup_is_a_whole_copy_and_overwrites_nothing(used, rig, tmp_path):
    target = tmp_path / "copy.sqlite"
    assert run("backup", target, "--config", used).exit_code == 0
    copy = sqlite3.connect(target)
    assert copy.execute("SELECT count(*) FROM instances").fetchone() == (3,)
    copy.close()
    for taken in (target, rig.root / "ledger.sqlite"):
        before = taken.stat().st_ino
        again = run("backup", taken, "--config", used)
        assert again.exit_code == 1
        assert "exists" in again.stderr
        assert taken.stat().st_ino == before


def test_retention_says_first_what_would_go(rig, config_of):
    uid = rig.close(ct_series(thorax(3)))
    rig.finish(rig.claim(Stage.QUALIFY), Outcome(state=WorkState.DECLINED, reasons=("contrast",)))
    config = config_of(rig.root, "[retention]\nimages_days = 30\n")
    dry = run("retention", "--dry-run", "--config", config)
    assert dry.exit_code == 0, dry.stderr
    assert "its time has come" in dry.stdout
    assert "stays: answers 1: the settings keep it for ever" in dry.stdout
    assert uid not in dry.stdout
    assert len(rig.files("spool")) == 3
    as_json = json.loads(run("retention", "--dry-run", "--json", "--config", config).stdout)
    assert [(one["what"], one["goes"], one["files"]) for one in as_json] == [("answers", False, 0), ("images", True, 3)]
    done = run("retention", "--config", config)
    assert (done.exit_code, done.stdout.split(";")[0]) == (
        0,
        "let go: images of 1 series, answers of 0 series, 0 originals of reads",
    )
    assert rig.files("spool") == set()


def test_db_upgrade_says_first_what_it_would_do(config, tmp_path):
    dry = run("db", "upgrade", "--dry-run", "--config", config)
    assert dry.exit_code == 0
    assert dry.stdout.startswith("from an empty database to ")
    assert not (tmp_path / "node").exists()
    newest = dry.stdout.split()[-1]
    assert run("db", "upgrade", "--config", config).stdout == f"the ledger is at {newest}\n"
    assert run("db", "upgrade", "--dry-run", "--config", config).stdout == f"from {newest} to {newest}\n"
    assert json.loads(run("status", "--config", config, "--json").stdout)["instances"] == 0


def test_an_outdated_ledger_is_not_opened(used, rig):
    ledger = sqlite3.connect(rig.root / "ledger.sqlite")
    ledger.execute("UPDATE alembic_version SET version_num = '0000'")
    ledger.commit()
    ledger.close()
    result = run("status", "--config", used)
    assert result.exit_code == 1
    assert "db upgrade" in result.stderr
