"""Decodes compressed frames that stand in its input, until that ends: ``python -m node.dicom.codec_program``.

A program of its own, because codecs are: some end the whole process over a damaged stream (``node.dicom.codec``).
"""

from __future__ import annotations

import os
import resource
import signal
import sys
from typing import Any, BinaryIO, Final

from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from node.dicom.codec_wire import received, sent

_MOST_BYTES: Final = 4 << 30
"""Of memory: 16 million pixels are read at most, in a few copies."""


def decoded(asked: dict[str, Any], frame: bytes) -> tuple[dict[str, Any], bytes]:
    """What is answered: shape and kind of the values and the values, or the kind of a fault."""
    try:
        decoder = get_decoder(UID(asked["syntax"]))
        alone = encapsulate([frame], has_bot=False)
        array, _ = decoder.as_array(alone, index=0, raw=True, **asked["options"])
    except Exception as fault:  # noqa: BLE001 - of any codec, about what anybody sent
        return {"fault": type(fault).__name__}, b""
    return {"shape": array.shape, "kind": array.dtype.str}, array.tobytes()


def main() -> None:
    """Answer until nobody asks. Whoever started this ends it by closing the pipe: not every signal is meant for it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_BYTES, _MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    asking: BinaryIO = sys.stdin.buffer
    with os.fdopen(os.dup(1), "wb") as answering, open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - a descriptor
        for stream in (1, 2):  # codecs print what they think of a frame
            os.dup2(nowhere.fileno(), stream)
        while (request := received(asking)) is not None:
            sent(answering, *decoded(*request))


if __name__ == "__main__":
    main()
