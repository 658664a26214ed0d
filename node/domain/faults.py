"""Labelled steps at which a test can kill the process, to show that nothing acknowledged is lost there.

With ``SECOND_READER_FAULT=name`` or ``name:n`` the process sends itself SIGKILL at the n-th passage of that step: no
handler runs, no buffer is flushed, as in a power cut seen from inside. Unset, a passage costs one comparison.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

VARIABLE = "SECOND_READER_FAULT"

_STAGES = ("qualify", "read", "publish", "deliver", "compare", "write-back", "notify")

FAULT_POINTS: Mapping[str, str] = MappingProxyType(
    {
        "receive.temp-written": "the bytes of an instance are in a temporary file, not yet synced",
        "receive.temp-synced": "the temporary file is synced, not yet renamed",
        "receive.renamed": "the file has its final name, its directory is not yet synced",
        "receive.directory-synced": "the file is durable, its ledger row is not yet written",
        "receive.row-uncommitted": "the ledger row is written, not yet committed",
        "receive.row-committed": "the ledger row is committed, success is not yet answered",
        "assemble.before-commit": "a series is closed and its work added, not yet committed",
        "assemble.after-commit": "the closed series is committed",
        "intake.temp-written": "the original of a human read is in a temporary file, not yet synced",
        "intake.temp-synced": "the temporary file of the original is synced, not yet renamed",
        "intake.renamed": "the original has its final name, its directory is not yet synced",
        "intake.directory-synced": "the original is durable, no row names it yet",
        "intake.row-uncommitted": "the row of a human read is written, not yet committed",
        "intake.row-committed": "the row of a human read is committed, its receipt is not yet acknowledged",
        "outbox.temp-written": "a made object is in a temporary file, not yet synced",
        "outbox.temp-synced": "the temporary file of a made object is synced, not yet renamed",
        "outbox.renamed": "the made object has its final name, its directory is not yet synced",
        "outbox.directory-synced": "the made object is durable, no ledger row names it yet",
        "commitment.row-uncommitted": "a request for storage commitment is written, not yet committed",
        "commitment.row-committed": "a request for storage commitment is committed, success is not yet answered",
        "retention.mark-uncommitted": "what is let go is marked, not yet committed",
        "retention.mark-committed": "what is let go is marked, its files are all there",
        "retention.file-removed": "a file that is let go is removed, its mark is still there",
        "retention.files-removed": "every file that is let go is removed, their marks are still there",
        "retention.marks-cleared": "the marks of removed files are cleared",
    }
    | {
        f"{stage}.{step}": text.format(stage=stage)
        for stage in _STAGES
        for step, text in {
            "before-effect": "{stage} has claimed its work and done nothing yet",
            "after-effect": "{stage} has done its work, the ledger does not know",
            "before-commit": "the outcome of {stage} is written to the ledger, not yet committed",
            "after-commit": "the outcome of {stage} is committed",
        }.items()
    }
)


@dataclass(frozen=True, slots=True)
class _Fuse:
    """The one armed step and the count of its passages (``next`` on a count is atomic under the interpreter lock)."""

    name: str
    passage: int
    passages: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def burn(self, name: str) -> None:
        if name == self.name and next(self.passages) == self.passage:
            os.kill(os.getpid(), signal.SIGKILL)


def parse_fault(setting: str) -> tuple[str, int]:
    """``name[:n]`` as (name, n).

    Raises
    ------
    ValueError
        The name is not registered, or n is no whole number from 1.

    """
    name, _, count = setting.partition(":")
    if name not in FAULT_POINTS:
        raise ValueError(f"{VARIABLE}: there is no fault point {name!r}")
    if count and not (count.isascii() and count.isdigit() and int(count) >= 1):
        raise ValueError(f"{VARIABLE}: {count!r} is not a passage number from 1")
    return name, int(count or 1)


def _fuse(environ: Mapping[str, str]) -> _Fuse | None:
    try:
        return _Fuse(*parse_fault(environ[VARIABLE]))
    except (KeyError, ValueError):  # a wrong setting is reported by check_fault_setting, not by an import
        return None


# The environment is read once, at import: a fault is set for the life of a process, and a passage must cost nothing.
_ARMED = _fuse(os.environ)


def fault(name: str) -> None:
    """Pass the step ``name``; the process dies here if that is what its environment asks for."""
    if _ARMED is not None:
        _ARMED.burn(name)


def check_fault_setting(environ: Mapping[str, str]) -> str | None:
    """The armed fault as ``name:n``, None if there is none; to be called, and said loudly, at start.

    Raises
    ------
    ValueError
        The setting names no fault point or no passage: better refused than silently without effect.

    """
    if VARIABLE not in environ:
        return None
    name, passage = parse_fault(environ[VARIABLE])
    return f"{name}:{passage}"
