"""`second-reader reload` and SIGHUP, to a node in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from node.cli import app
from node.settings import Settings
from node.storage.ledger import Ledger
from node.storage.spool import StorageLock
from tests.faults.serving import Served
from tests.flow.site import destination, free_port, scanner, wait_until, write_config


def reload(config):
    return CliRunner(env={}).invoke(app, ["reload", "--config", str(config)])


def trail(settings):
    with Ledger(settings.storage.database_url) as ledger:
        return [one.action for one in ledger.audit_entries(subject="settings")]


def test_a_running_node_is_found_told_and_answers(tmp_path, bundle):
    tables = {"scp": {"port": free_port()}, "reader": {"bundle": str(bundle)}}
    config = write_config(tmp_path, **tables)
    settings = Settings.load(config, {})
    assert "no node runs" in reload(config).output
    served = Served(config, tmp_path / "log")
    try:
        served.wait_ready()
        write_config(tmp_path, [destination(free_port(), "late")], **tables, series={"quiet_seconds": 3.0})
        result = reload(config)
        assert result.exit_code == 0, result.output
        assert "changed: destination late added" in result.output
        assert "waits for a restart: series.quiet_seconds" in result.output

        config.write_text("[scp]\nport = 'x'\n[web]\nport = 'y'\n", encoding="utf-8")
        result = reload(config)
        assert result.exit_code == 2
        assert "scp.port" in result.output
        assert "web.port" in result.output
        served.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "nothing is changed" in served.said())
        wait_until(lambda: trail(settings) == ["settings.reload-failed", "settings.reload"])
        scanner(tables["scp"]["port"]).echo()
        assert served.stop() == 0, served.said()
        assert "Traceback" not in served.said()
    finally:
        served.kill()


@pytest.mark.parametrize("holds", ["lock", "handler"])
def test_a_process_that_is_no_such_node_gets_no_signal(tmp_path, holds):
    """SIGHUP ends whoever does not expect it: the lock alone, or a handler alone, do not make a node."""
    config = write_config(tmp_path)
    root = tmp_path / "node"
    program = "import fcntl, signal, sys, time\n"
    if holds == "lock":
        program += "file = open(sys.argv[1], 'r+'); fcntl.flock(file, fcntl.LOCK_EX)\n"
    else:
        program += "signal.signal(signal.SIGHUP, lambda *_: sys.exit(7))\n"
    program += "print('up', flush=True); time.sleep(60)\n"
    with StorageLock(root):
        pass  # so that there is a lock
    with subprocess.Popen([sys.executable, "-c", program, str(root / "node.lock")], stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout.readline() == b"up\n"
            if holds == "lock":
                (root / "node.lock").write_text(f"{other.pid}\n")
                result = reload(config)
            else:
                with StorageLock(root):
                    (root / "node.lock").write_text(f"{other.pid}\n")
                    result = reload(config)
            assert result.exit_code == 1
            assert "is not to be had here" in result.output
            assert other.poll() is None
        finally:
            other.kill()
