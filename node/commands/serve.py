"""`serve` and `reload`: the node, and having it read its settings again."""

from __future__ import annotations

import os
import queue
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import structlog
import typer

from node import service
from node.commands.options import FAILED, ConfigFile, complain, explained, load_settings
from node.commands.stores import storage_of
from node.domain.errors import Refused
from node.domain.people import AuditEntry
from node.rereading import NOT_TAKEN, TAKEN, usable
from node.settings import Settings
from node.storage.ledger import Ledger
from node.storage.spool import StorageLock

_log = structlog.get_logger(__name__)
_LOOK_SECONDS: Final = 0.2
_PROCESSES: Final = Path("/proc")


def serve(config: ConfigFile = None) -> None:
    """Run the node: listen, read, answer. Ends cleanly on SIGTERM or Ctrl-C; SIGHUP reads the settings again."""
    settings = load_settings(config)
    told: queue.SimpleQueue[int] = queue.SimpleQueue()  # which a signal may put into at any moment
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda given, _: told.put(given))
    with explained(), service.Node(settings, page=settings.web.enabled) as node:
        _log.info(
            "ready",
            ae_title=settings.scp.ae_title,
            port=node.port,
            destinations=len(settings.destinations),
            page=node.page.address if node.page is not None else "off",
        )
        at_terminal = _has_terminal()
        while told.get() == signal.SIGHUP and _has_terminal() == at_terminal:  # else its window was closed
            node.reload(lambda: Settings.load(config, os.environ), str(config or ""))
        _log.info("stopping")


def reload(
    config: ConfigFile = None,
    wait: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for the node's answer.")] = 30.0,
) -> None:
    """Have the running node read its settings again: allow-lists and destinations change, the rest waits for a restart.

    The settings are checked first. Exits with 2 if they cannot be used, 1 if no node runs or it did not take them.
    """
    settings = load_settings(config)
    with explained():
        usable(settings)
        node = _running(settings.storage.root)
        with storage_of(settings) as storage:
            before, _ = storage.ledger.audit_head()
            os.kill(node, signal.SIGHUP)
            answer = _answer(storage.ledger, before, wait)
    if answer is None:
        complain(f"the node (process {node}) has not said within {wait:g} s what became of it; see its log")
        raise typer.Exit(FAILED)
    for line in _in_words(answer):
        typer.echo(line)
    _say_if_another(config, str(answer.detail.get("file", "")))
    if answer.action == NOT_TAKEN:
        raise typer.Exit(FAILED)


def _running(root: Path) -> int:
    """Process id of the node on a storage root.

    Raises
    ------
    Refused
        None runs there, or it cannot be told.

    """
    node = StorageLock.holder(root)
    if node is None:
        raise Refused(f"no node runs on {root}")
    if _PROCESSES.is_dir() and not _takes_signals(node, root / "node.lock"):
        raise Refused(
            f"the node on {root} calls itself process {node}, which is not to be had here: "
            "it runs in another container, as another user, or takes no settings while it runs"
        )
    return node


def _takes_signals(process: int, lock: Path) -> bool:
    """Whether a process has the lock open and handles SIGHUP, which would else end it, or end somebody else."""
    folder = _PROCESSES / str(process)
    try:
        said = (folder / "status").read_text(encoding="ascii", errors="replace")
        has_lock = any(_same(each, lock) for each in (folder / "fd").iterdir())
    except OSError:
        return False
    caught = next((line.split()[1] for line in said.splitlines() if line.startswith("SigCgt:")), "0")
    return has_lock and bool(int(caught, 16) >> (signal.SIGHUP - 1) & 1)


def _same(one: Path, other: Path) -> bool:
    with suppress(OSError):
        return one.samefile(other)
    return False


def _answer(ledger: Ledger, before: int, seconds: float) -> AuditEntry | None:
    """What the node has entered in the audit trail since then; None if it does not in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for entry in ledger.audit_entries(subject="settings", limit=10):
            if entry.number > before and entry.action in (TAKEN, NOT_TAKEN):
                return entry
        time.sleep(_LOOK_SECONDS)
    return None


def _in_words(answer: AuditEntry) -> Iterator[str]:
    detail = answer.detail
    if answer.action == NOT_TAKEN:
        yield "the node could not use its settings, nothing is changed:"
        yield f"  {detail.get('faults', '')}"
        return
    yield f"changed: {detail.get('changed', 'nothing')}"
    if "waits_for_restart" in detail:
        yield f"waits for a restart: {detail['waits_for_restart']}"


def _say_if_another(config: Path | None, read: str) -> None:
    """The node reads its own file: another one may have been meant."""
    if read and (config is None or not _same(Path(read), config)):
        complain(f"the node has read {read}, which is another file than the one that was checked")


def _has_terminal() -> bool:
    return sys.stdin is not None and not sys.stdin.closed and os.isatty(0)
