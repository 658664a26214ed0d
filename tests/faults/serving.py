"""A node in a process of its own, which a fault or a signal may end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from node.domain.faults import VARIABLE
from node.settings import Settings
from node.storage.ledger import Ledger
from tests.flow.site import wait_until

REPOSITORY = Path(__file__).parents[2]


class Served:
    """``python -m node serve`` until :meth:`stop`, or until it dies."""

    def __init__(self, config: Path, log: Path, fault: str | None = None) -> None:
        environ = {name: value for name, value in os.environ.items() if not name.startswith("SECOND_READER_")}
        environ["PYTHONPATH"] = str(REPOSITORY)
        environ["SECOND_READER_WEB__PORT"] = "0"  # nodes of several tests run at once
        if fault is not None:
            environ[VARIABLE] = fault
        self._log = log
        with log.open("wb") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "node", "serve", "--config", str(config)], env=environ, stdout=said, stderr=said
            )

    def said(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait_ready(self, seconds: float = 90) -> None:
        wait_until(lambda: "ready" in self.said() or self.process.poll() is not None, seconds)
        assert self.process.poll() is None, self.said()

    def wait_end(self, seconds: float = 60) -> int:
        return self.process.wait(timeout=seconds)

    def stop(self, seconds: float = 30) -> int:
        """SIGTERM, and the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=seconds)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=10)


def run_command(config: Path, table: Path, fault: str | None = None) -> int:
    """`reads import` in a process of its own; its exit status."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SECOND_READER_")}
    environ |= {"PYTHONPATH": str(REPOSITORY)} | ({} if fault is None else {VARIABLE: fault})
    command = [sys.executable, "-m", "node", "reads", "import", str(table), "--config", str(config)]
    return subprocess.run(command, env=environ, capture_output=True, check=False, timeout=200).returncode


def assert_in_order(config: Path, *, declined: bool = False) -> None:
    """What a stopped node leaves: every file named by a row, every row's file there, nothing half made, all done.

    ``declined`` allows work that was declined: a report by a person is no scan.
    """
    settings = Settings.load(config, {})
    root = settings.storage.root
    folders = ("spool", "quarantine", "outbox", "reads")
    present = {
        path.relative_to(root).as_posix()
        for folder in folders
        for under in (folder, f"{folder}.incoming")
        for path in (root / under).rglob("*")
        if path.is_file()
    }
    with Ledger(settings.storage.database_url) as ledger:
        assert present == ledger.known_paths()
        assert all((root / path).stat().st_size > 0 for path in present)
        assert ledger.integrity() == ()
        status = ledger.status()
        assert set(status["series"]) == {"closed"}
        states = {state for states in status["work"].values() for state in states}
        assert states <= ({"done", "declined"} if declined else {"done"})
        assert set(status["deliveries"]) == {"done"}
