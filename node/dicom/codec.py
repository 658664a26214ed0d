"""Compressed frames, decoded in a process of their own: a codec that breaks takes nothing with it.

The decoder of JPEG Lossless (gdcm) ends its process over some damaged streams, by an exception in C++ that nothing can
catch. One image would end the node, and again after every start, since what was received is read again.
"""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import Any, BinaryIO, Final, cast

import numpy as np
from numpy.typing import NDArray

from node.dicom.codec_wire import received, sent

_SECONDS: Final = 60.0
"""For one frame; a good one takes hundredths of one."""
_TRIES: Final = 2
"""Whoever ended the process may not have meant this frame: the memory was needed elsewhere, say."""


class DecodeFault(Exception):
    """The codec gave up on a frame, or broke on it."""


class Codec:
    """The process, started when first needed and after it broke. May be used by any number of threads."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def decode(self, syntax: str, frame: bytes, options: Mapping[str, object]) -> NDArray[Any]:
        """The values of one frame, by pydicom's decoder of the transfer syntax. Raises :class:`DecodeFault`."""
        with self._turn:
            answer = None
            for _ in range(_TRIES):
                answer = self._asked({"syntax": syntax, "options": dict(options)}, frame)
                if answer is not None:
                    break
                self._end()
        if answer is None:
            raise DecodeFault("the codec breaks on it")
        words, data = answer
        if "fault" in words:
            raise DecodeFault(words["fault"])
        return np.frombuffer(data, np.dtype(words["kind"])).reshape(words["shape"])

    def close(self) -> None:
        """End the process, also under a thread that waits for it."""
        process = self._process
        if process is not None and self._owner == os.getpid():
            process.kill()
        with self._turn:
            self._end()

    def _asked(self, words: dict[str, Any], frame: bytes) -> tuple[dict[str, Any], bytes] | None:
        process = self._running()
        late = threading.Timer(_SECONDS, process.kill)
        late.daemon = True
        late.start()
        try:
            sent(cast("BinaryIO", process.stdin), words, frame)
            return received(cast("BinaryIO", process.stdout))
        except Exception:  # noqa: BLE001 - whatever it was: what is left in the pipe must never answer for the next frame
            return None
        finally:
            late.cancel()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._owner != os.getpid():  # a process that was forked starts its own
            self._process = subprocess.Popen(
                [sys.executable, "-m", "node.dicom.codec_program"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"},
            )
            self._owner = os.getpid()
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                _closed(pipe)


def _closed(pipe: Any) -> None:  # noqa: ANN401 - a pipe, with or without something left to send
    try:
        pipe.close()
    except OSError:
        return


codec: Final = Codec()
atexit.register(codec.close)
