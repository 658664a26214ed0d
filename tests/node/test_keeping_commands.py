"""`outbox`, `restore` and the dry run of `db upgrade` from the command line."""

from __future__ import annotations

import json
import sqlite3

import pytest

from node.domain.records import NewWork, Outcome
from node.domain.work import Stage, WorkState
from node.storage.spool import StorageLock
from tests.dicom_series import ct_series, thorax
from tests.node.command_line import run


@pytest.fixture
def config(rig, tmp_path):
    """A node with three deliveries to a destination that left, one of them at the new one already."""
    uid = rig.close(ct_series(thorax(3)))
    wanted = [("1", "gone"), ("2", "gone"), ("3", "gone"), ("3", "pacs")]
    followers = tuple(
        NewWork(stage=Stage.DELIVER, series_uid=uid, generation=1, object_uid=sop, destination=name)
        for sop, name in wanted
    )
    rig.finish(rig.claim(Stage.QUALIFY), Outcome(followers=followers))
    rig.ledger.park(rig.claim(Stage.DELIVER, "gone"), rig.clock.now, "refused by the peer")
    rig.finish(rig.claim(Stage.DELIVER, "pacs"), Outcome())
    path = tmp_path / "node.toml"
    path.write_text(
        f'[storage]\nroot = "{rig.root}"\nreserve_gib = 0\n'
        '[[destinations]]\nname = "pacs"\nae_title = "PACS"\nhost = "127.0.0.1"\nport = 104\n',
        encoding="utf-8",
    )
    return path


def states(rig, destination):
    (uid,) = (one.series.series_uid for one in rig.ledger.recent_series(10))
    rows = [row for row in rig.ledger.series_work(uid, 1) if row.work.destination == destination]
    return {row.work.object_uid: row.state for row in rows}


def test_what_waits_is_listed(config):
    assert json.loads(run("outbox", "list", "--json", "--config", config).stdout) == [
        {"destination": "gone", "deliveries": 3, "known": False}
    ]
    assert "gone" in run("outbox", "list", "--config", config).stdout


def test_drop_asks_first_and_is_in_the_trail(config, rig):
    no = run("outbox", "drop", "--destination", "gone", "--config", config, answer="n\n")
    assert no.exit_code == 1
    assert "3 deliveries to gone will never go out" in no.stdout
    assert WorkState.DECLINED not in states(rig, "gone").values()
    yes = run("outbox", "drop", "--destination", "gone", "--config", config, answer="y\n")
    assert yes.exit_code == 0
    assert set(states(rig, "gone").values()) == {WorkState.DECLINED}
    (entry,) = rig.ledger.audit_entries(subject="destination:gone")
    assert (entry.actor, entry.action, entry.detail) == ("command line", "outbox.drop", {"deliveries": 3})
    assert run("outbox", "drop", "--destination", "gone", "--yes", "--config", config).exit_code == 1
    assert len(rig.ledger.audit_entries(subject="destination:gone")) == 1
    assert rig.ledger.awaited_destinations() == frozenset()


def test_redirect_sends_each_object_once(config, rig):
    done = run("outbox", "redirect", "--destination", "gone", "--to", "pacs", "--yes", "--config", config)
    assert (done.exit_code, done.stdout) == (0, "3 deliveries for gone go to pacs\n")
    assert states(rig, "gone") == {"3": WorkState.DECLINED}
    assert states(rig, "pacs") == {"1": WorkState.PENDING, "2": WorkState.PENDING, "3": WorkState.DONE}
    (entry,) = rig.ledger.audit_entries(subject="destination:gone")
    assert (entry.action, entry.detail) == ("outbox.redirect", {"deliveries": 3, "to": "pacs"})


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["drop", "--destination", "pacs"], "still being delivered to"),
        (["redirect", "--destination", "pacs", "--to", "pacs"], "still being delivered to"),
        (["redirect", "--destination", "gone", "--to", "elsewhere"], "no destination 'elsewhere'"),
    ],
)
def test_what_the_settings_name_is_not_dropped_and_what_they_do_not_name_gets_nothing(arguments, why, config, rig):
    result = run("outbox", *arguments, "--yes", "--config", config)
    assert result.exit_code == 1
    assert why in result.stderr
    assert rig.ledger.audit_entries() == ()


def test_backup_and_restore(config, rig, tmp_path):
    copy = tmp_path / "copy.sqlite"
    assert run("backup", copy, "--config", config).exit_code == 0
    rig.clock.advance(60)
    rig.ledger.drop_deliveries("gone", "somebody", rig.clock.now)
    rig.ledger.close()
    newer = run("restore", copy, "--config", config)
    assert newer.exit_code == 1
    assert "--over-newer" in newer.stderr
    dry = run("restore", copy, "--over-newer", "--dry-run", "--config", config)
    assert "the copy is whole; nothing was changed" in dry.stdout
    with StorageLock(rig.root):
        live = run("restore", copy, "--over-newer", "--config", config)
        assert live.exit_code == 1
        assert "already runs" in live.stderr
    done = run("restore", copy, "--over-newer", "--config", config)
    assert done.exit_code == 0, done.stderr
    assert "0 files that the copy names are missing" in done.stdout
    waiting = json.loads(run("outbox", "list", "--json", "--config", config).stdout)
    assert waiting[0]["deliveries"] == 3


def test_an_upgrade_says_which_migrations_run_and_over_how_many_rows(config, rig):
    rig.ledger.close()
    assert run("db", "upgrade", "--dry-run", "--config", config).stdout.count("\n") == 1
    ledger = sqlite3.connect(rig.root / "ledger.sqlite")
    for table in ("removals", "case_blocks"):
        ledger.execute(f"DROP TABLE {table}")
    ledger.execute("CREATE TABLE notices (sent_at INTEGER, not_before INTEGER)")
    ledger.execute("CREATE INDEX ix_notices_sent_at_not_before ON notices (sent_at)")
    ledger.execute("UPDATE alembic_version SET version_num = '0003'")
    ledger.execute("PRAGMA foreign_keys = OFF")
    columns = [row[1] for row in ledger.execute("PRAGMA table_info(comparisons)")]
    for number in range(1, 8):
        marks = ", ".join("?" for _ in columns)
        values = [number if name in {"id", "generation", "read_id"} else 0 for name in columns]
        ledger.execute(f"INSERT INTO comparisons VALUES ({marks})", values)  # noqa: S608 - question marks
    ledger.commit()
    ledger.close()
    said = run("db", "upgrade", "--dry-run", "--config", config).stdout.splitlines()
    assert said[0].startswith("from 0003 to ")
    assert [line.partition(":")[0] for line in said[1:5]] == ["0004", "0005", "0006", "0007"]
    assert "7 rows" in said[1]
    assert "rows" not in said[3]
    assert "make a `backup` before" in said[-1]
    again = sqlite3.connect(rig.root / "ledger.sqlite")
    assert again.execute("SELECT version_num FROM alembic_version").fetchone() == ("0003",)
    again.close()
