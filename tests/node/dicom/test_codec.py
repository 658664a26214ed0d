"""Codecs that break on a frame, run on or take too much end their own process: the node says so and goes on."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
from pydicom.pixels.encoders.base import get_encoder
from pydicom.uid import JPEGLosslessSV1, JPEGLSLossless

from node.dicom import codec as module
from node.dicom.codec import Codec, DecodeFault

OPTIONS = {
    "rows": 32,
    "columns": 32,
    "number_of_frames": 1,
    "samples_per_pixel": 1,
    "photometric_interpretation": "MONOCHROME2",
    "bits_allocated": 16,
    "bits_stored": 16,
    "pixel_representation": 0,
    "pixel_keyword": "PixelData",
}
VALUES = np.arange(1024, dtype=np.uint16).reshape(32, 32)
GOOD = get_encoder(JPEGLSLossless).encode(VALUES.tobytes(), encoding_plugin="pyjpegls", **OPTIONS)
DEADLY = {  # found by mutation: gdcm 3.2.6 aborts on the first and the third, the second is a segmentation fault
    "abort": (JPEGLosslessSV1, "ffd8ffc3000b10002000200102000b10ffda"),
    "fault": (JPEGLosslessSV1, "ffd8ffc3000b120020002001011110ffda000801010001aaaa"),
    "JPEG-LS": (JPEGLSLossless, "ffd8fff7000b900020011100fff8000d01ffff0012004301140040ffda0801010b00e0"),
}


@pytest.fixture(scope="module")
def codec() -> Iterator[Codec]:
    made = Codec()
    yield made
    made.close()


def good(codec: Codec) -> bool:
    return np.array_equal(codec.decode(JPEGLSLossless, GOOD, OPTIONS), VALUES)


@pytest.mark.parametrize("name", list(DEADLY))
def test_a_frame_that_ends_the_codec_is_a_frame_that_cannot_be_decoded(codec: Codec, name: str):
    syntax, frame = DEADLY[name]
    with pytest.raises(DecodeFault):
        codec.decode(syntax, bytes.fromhex(frame), OPTIONS)
    assert good(codec)


def test_a_codec_that_gives_up_says_how_and_lives(codec: Codec):
    assert good(codec)
    before = codec._process
    with pytest.raises(DecodeFault, match="Error"):
        codec.decode(JPEGLSLossless, b"nonsense", OPTIONS)
    assert codec._process is before


def test_one_that_was_ended_from_outside_is_started_again(codec: Codec):
    assert good(codec)
    os.kill(codec._process.pid, signal.SIGKILL)
    assert good(codec)


def test_what_stops_the_node_does_not_fail_a_frame(codec: Codec):
    assert good(codec)
    before = codec._process
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(before.pid, number)
    assert good(codec)
    assert codec._process is before


def test_one_that_runs_on_is_ended(codec: Codec, monkeypatch: pytest.MonkeyPatch):
    assert good(codec)
    monkeypatch.setattr(module, "_SECONDS", 0.3)
    monkeypatch.setattr(module, "_TRIES", 1)
    os.kill(codec._process.pid, signal.SIGSTOP)
    began = time.monotonic()
    with pytest.raises(DecodeFault, match="breaks on it"):
        good(codec)
    assert time.monotonic() - began < 10
    monkeypatch.undo()
    assert good(codec)


def test_an_end_does_not_wait_for_a_codec_that_hangs():
    codec = Codec()
    assert good(codec)
    os.kill(codec._process.pid, signal.SIGSTOP)
    waiting = threading.Thread(target=good, args=(codec,))
    waiting.start()
    while not codec._turn.locked():
        time.sleep(0.01)
    began = time.monotonic()
    codec.close()
    assert time.monotonic() - began < 10
    waiting.join(10)
    assert not waiting.is_alive()
    codec.close()


def test_threads_take_turns(codec: Codec):
    found: list[bool] = []
    threads = [threading.Thread(target=lambda: found.append(good(codec))) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert found == [True] * 8


def test_it_ends_with_whoever_started_it(codec: Codec):
    assert good(codec)
    process = codec._process
    process.stdin.close()
    assert process.wait(10) == 0
    process.stdout.close()
    codec._process = None


@pytest.mark.parametrize("error", [MemoryError, OverflowError, ValueError])
def test_an_answer_that_is_not_read_to_its_end_never_stands_for_another_frame(
    codec: Codec, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
):
    other = get_encoder(JPEGLSLossless).encode((VALUES + 7).tobytes(), encoding_plugin="pyjpegls", **OPTIONS)
    assert good(codec)
    read, failing = module.received, iter([True])

    def cut_short(pipe):
        if next(failing, False):
            pipe.read(5)
            raise error
        return read(pipe)

    monkeypatch.setattr(module, "received", cut_short)
    np.testing.assert_array_equal(codec.decode(JPEGLSLossless, other, OPTIONS), VALUES + 7)
    assert good(codec)
