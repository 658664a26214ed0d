"""Processes that a fault may kill, forked from one that has imported everything: a start costs no second of its own.

What is forked has sockets, files and an end of its own, like a process started anew; it shares nothing but the modules
that were loaded before anything ran.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from node.domain import faults

_CONTEXT = multiprocessing.get_context("forkserver")
_PRELOADED = ("tests.forked", "node.cli", "node.service", "node.page", "uvicorn", "tests.faults.reads_program")
_CONTEXT.set_forkserver_preload([*_PRELOADED])
REPOSITORY = Path(__file__).parents[1]


def environment(fault: str | None = None, **more: str) -> dict[str, str]:
    """The environment of a process: none of the settings of this one, and perhaps a fault."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SECOND_READER_")}
    return environ | {"PYTHONPATH": str(REPOSITORY)} | ({} if fault is None else {faults.VARIABLE: fault}) | more


class Forked:
    """``module:function`` called with ``arguments`` in a process of its own, as far as used like ``subprocess.Popen``.

    Parameters
    ----------
    said, complained
        Where its standard output and standard error go; the same file, if only one is named.

    """

    def __init__(
        self,
        what: str,
        arguments: tuple[object, ...],
        *,
        environ: Mapping[str, str],
        said: Path,
        complained: Path | None = None,
    ) -> None:
        given = (what, arguments, dict(environ), said, complained or said)
        self._process = _CONTEXT.Process(target=_live, args=given)
        self._process.start()

    @property
    def pid(self) -> int:
        pid = self._process.pid
        assert pid is not None
        return pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        ended = self._process.exitcode
        if ended is None:
            raise subprocess.TimeoutExpired(str(self._process), timeout or 0.0)
        return ended

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        if self.poll() is None:
            self.send_signal(signal.SIGKILL)


def _live(what: str, arguments: tuple[object, ...], environ: dict[str, str], said: Path, complained: Path) -> None:
    for descriptor, path in ((1, said), (2, complained)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environ)
    faults._ARMED = faults._fuse(os.environ)  # read at import, which was before the fork
    module, _, function = what.partition(":")
    getattr(importlib.import_module(module), function)(*arguments)


def command_line(*arguments: str) -> None:
    """`second-reader` with these arguments."""
    importlib.import_module("node.cli").app(list(arguments), prog_name="second-reader")
