"""A node in a process of its own, which a fault or a signal may end."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from node.settings import Settings
from node.storage.ledger import Ledger
from tests.flow.site import wait_until
from tests.forked import Forked, environment


class Served:
    """``second-reader serve`` until :meth:`stop`, or until it dies.

    ``forked`` saves the time in which a new interpreter imports what every node needs.
    """

    def __init__(self, config: Path, log: Path, fault: str | None = None, *, forked: bool = False) -> None:
        environ = environment(fault, SECOND_READER_WEB__PORT="0")  # nodes of several tests run at once
        self._log = log
        log.write_bytes(b"")
        self.process: Forked | subprocess.Popen[bytes]
        if forked:
            arguments = ("serve", "--config", str(config))
            self.process = Forked("tests.forked:command_line", arguments, environ=environ, said=log)
        else:
            with log.open("wb") as said:
                command = [sys.executable, "-m", "node", "serve", "--config", str(config)]
                self.process = subprocess.Popen(command, env=environ, stdout=said, stderr=said)

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
    arguments = ("reads", "import", str(table), "--config", str(config))
    said = table.with_suffix(".said")
    return Forked("tests.forked:command_line", arguments, environ=environment(fault), said=said).wait(200)


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
