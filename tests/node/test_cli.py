"""Commands as a whole: help, bad usage, check, send and serve."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from node.cli import app
from node.domain.faults import FAULT_POINTS
from tests.dicom_series import ct_series, thorax, write_series
from tests.node.command_line import run
from tests.node.rig import Rig

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = [
    "serve",
    "reload",
    "score",
    "demo",
    "check",
    "send",
    "status",
    "retry",
    "backup",
    "restore",
    "retention",
    "db",
    "db upgrade",
    "outbox",
    "outbox list",
    "outbox drop",
    "outbox redirect",
    "user",
    "user add",
    "reads",
    "reads import",
    "notify",
    "notify test",
    "trace",
]


def test_version_and_help():
    assert run("--version").stdout.startswith("calcium-second-reader 0.")
    for command in ["", *COMMANDS]:
        result = run(*command.split(), "--help")
        assert result.exit_code == 0, command
        assert "Usage" in result.stdout


def test_every_command_is_tested_for_its_help():
    names = {command.callback.__name__ for command in app.registered_commands}
    assert names | {"db", "outbox", "user", "reads", "notify"} == {command.split()[0] for command in COMMANDS}


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["score"],
        ["score", "/nowhere/at/all"],
        ["score", ".", "--profile", "nonsense"],
        ["score", ".", "--nonsense"],
        ["score", ".", "--config", "/nowhere.toml"],
        ["status", "--config", "/nowhere.toml"],
        ["retry"],
        ["send", ".", "--port", "0"],
        ["backup"],
        ["db", "nonsense"],
        ["reads", "import"],
        ["reads", "import", "/nowhere.csv"],
    ],
)
def test_bad_usage_is_2(arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stderr.strip()
    assert "Traceback" not in result.stderr


def test_settings_that_cannot_be_used_are_2_and_say_why(tmp_path):
    path = tmp_path / "node.toml"
    path.write_text('[scp]\nport = "high"\n[nonsense]\n', encoding="utf-8")
    for command in (["score", tmp_path], ["check"], ["status"], ["serve"], ["db", "upgrade"], ["retry", "--all"]):
        result = run(*command, "--config", path)
        assert result.exit_code == 2
        assert "scp.port" in result.stderr
        assert "nonsense" in result.stderr


def test_a_database_url_that_is_none_is_one_clear_line(config_of, tmp_path):
    path = config_of(tmp_path, 'database = "nonsense:hunter2"\n')
    result = run("status", "--config", path)
    assert result.exit_code in (1, 2)
    assert isinstance(result.exception, SystemExit)
    assert "hunter2" not in result.stderr


def closed_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def test_check_lists_every_fault_point():
    result = run("check", "--faults")
    assert result.exit_code == 0
    assert [line.split("\t")[0] for line in result.stdout.splitlines()] == list(FAULT_POINTS)


def test_check_looks_at_everything_and_changes_nothing(config, tmp_path):
    result = run("check", "--config", config)
    assert result.exit_code == 0, result.stdout
    for named in ("settings", "allow-list: empty", "storage", "ledger: none yet", "bundle: tiny 0"):
        assert named in result.stdout
    assert not (tmp_path / "node").exists()


def test_check_fails_with_every_fault_at_once(tmp_path, bundle):
    (tmp_path / "file").write_text("", encoding="utf-8")
    path = tmp_path / "node.toml"
    path.write_text(
        f'[reader]\nbundle = "{tmp_path}/nowhere"\n[storage]\nroot = "{tmp_path}/file/node"\n'
        f'[[destinations]]\nname = "pacs"\nae_title = "P"\nhost = "127.0.0.1"\nport = {closed_port()}\n',
        encoding="utf-8",
    )
    result = run("check", "--config", path)
    assert result.exit_code == 1
    failed = [line.split(":")[0] for line in result.stdout.splitlines() if line.startswith("FAIL")]
    assert failed == ["FAIL  storage", "FAIL  bundle", "FAIL  destination pacs"]


def test_check_alive_asks_the_node(config_of, tmp_path):
    path = config_of(tmp_path / "node", f"[scp]\nport = {closed_port()}\n")
    result = run("check", "--alive", "--config", path)
    assert result.exit_code == 1
    assert len(result.stderr.strip().splitlines()) == 1


def test_send_to_nobody_is_1_with_one_clear_line(scan_folder):
    port = closed_port()
    result = run("send", scan_folder / "few", "--port", port)
    assert result.exit_code == 1
    (line,) = result.stdout.splitlines()
    assert line == f"3 not taken at 127.0.0.1:{port}: CALCIUM2R cannot be reached or does not answer"
    assert result.stderr.strip() == ""


def test_send_without_dicom_files_is_1(tmp_path):
    (tmp_path / "notes.txt").write_text("no DICOM", encoding="utf-8")
    result = run("send", tmp_path)
    assert result.exit_code == 1
    assert "skipped notes.txt" in result.stderr
    assert "no DICOM files found" in result.stderr


@pytest.mark.parametrize("command", ["send", "score"])
def test_a_file_that_cannot_be_read_is_skipped_and_said(command, tmp_path, monkeypatch):
    (path,) = write_series(ct_series(thorax(3))[:1], tmp_path)
    read = Path.read_bytes

    def failing(self: Path) -> bytes:
        if self == path:
            raise PermissionError(13, "Permission denied")
        return read(self)

    monkeypatch.setattr(Path, "read_bytes", failing)
    result = run(command, tmp_path)
    assert result.exit_code == (1 if command == "send" else 3)
    assert "skipped 0000.dcm: Permission denied" in result.stderr


def test_serve_ends_cleanly_on_sigterm_and_runs_once_per_root(config_of, tmp_path):
    path = config_of(
        tmp_path / "node", '[scp]\nport = 0\nhost = "127.0.0.1"\n[web]\nport = 0\n[log]\nformat = "json"\n'
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SECOND_READER_")}
    command = [sys.executable, "-m", "node", "serve", "--config", path]
    node = subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True)
    try:
        said = []
        for line in node.stderr:
            said.append(json.loads(line))
            if said[-1]["event"] == "ready":
                break
        assert said, "the node said nothing"
        assert said[-1]["event"] == "ready"
        assert said[-1]["port"] > 0
        assert said[-1]["page"].startswith("http://127.0.0.1:")
        second = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
        assert second.returncode == 1
        assert "another node" in second.stderr
        node.send_signal(signal.SIGTERM)
        assert node.wait(60) == 0
    finally:
        node.kill()
        node.wait()
        node.stderr.close()
    assert json.loads(run("status", "--config", path, "--json").stdout)["instances"] == 0
    assert Rig(tmp_path / "node", None).ledger.integrity() == ()
