"""Stored pixel values of a CT image, as numbers: native or compressed, signed or not, frame by frame."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, cast

import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from node.dicom.codec import DecodeFault, codec
from node.dicom.elements import Elements
from node.dicom.encoding import DEFLATED, EXPLICIT, IMPLICIT
from node.dicom.run_lengths import unpacked
from node.domain.errors import Unreadable

RLE: Final = "1.2.840.10008.1.2.5"
_NATIVE = frozenset((IMPLICIT, EXPLICIT, DEFLATED))
_MOST_PIXELS: Final = 4096 * 4096
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}  # ISO/IEC 10918-1 B.1.1.3; 14495-1: SOF55

Stored = NDArray[np.int16] | NDArray[np.uint16]


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelFormat:
    """How the pixels of an instance are stored (PS3.3 C.7.6.3)."""

    transfer_syntax_uid: str
    rows: int
    columns: int
    frames: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    samples: int
    photometric: str

    @property
    def frame_bytes(self) -> int:
        """Bytes of one native frame."""
        return self.rows * self.columns * self.samples * (self.bits_allocated // 8)

    def decoder_options(self) -> dict[str, Any]:
        """The same in the words of pydicom's decoders."""
        return {
            "rows": self.rows,
            "columns": self.columns,
            "number_of_frames": self.frames,
            "samples_per_pixel": self.samples,
            "photometric_interpretation": self.photometric,
            "bits_allocated": self.bits_allocated,
            "bits_stored": self.bits_stored,
            "pixel_representation": int(self.signed),
            "pixel_keyword": "PixelData",
        }

    def faults(self) -> Iterator[str]:
        """Why no Hounsfield units can be made of such pixels; nothing if they can."""
        if self.rows < 1 or self.columns < 1:
            yield f"the image has {self.rows} rows and {self.columns} columns"
        elif self.rows * self.columns > _MOST_PIXELS:
            yield f"{self.rows} x {self.columns} pixels are more than are read ({_MOST_PIXELS})"
        if self.bits_allocated not in (8, 16):
            yield f"{self.bits_allocated} bits allocated per pixel: only 8 and 16 are read"
        elif not 1 <= self.bits_stored <= self.high_bit + 1 <= self.bits_allocated:
            yield f"{self.bits_stored} bits stored below bit {self.high_bit} do not fit in {self.bits_allocated}"
        if self.samples != 1:
            yield f"{self.samples} samples per pixel: not a grey image"
        if self.photometric not in ("MONOCHROME1", "MONOCHROME2"):
            yield f"photometric interpretation {self.photometric or 'not said'}"
        if not decodable(self.transfer_syntax_uid):
            yield f"no decoder for transfer syntax {UID(self.transfer_syntax_uid).name}"


def pixel_format(elements: Elements, transfer_syntax_uid: str) -> PixelFormat:
    """What the header says of the pixels; attributes that are missing read as 0 and are named by ``faults``."""
    bits = elements.integer("BitsStored") or 0
    high = elements.integer("HighBit")
    return PixelFormat(
        transfer_syntax_uid=transfer_syntax_uid,
        rows=elements.integer("Rows") or 0,
        columns=elements.integer("Columns") or 0,
        frames=elements.integer("NumberOfFrames") or 1,
        bits_allocated=elements.integer("BitsAllocated") or 0,
        bits_stored=bits,
        high_bit=bits - 1 if high is None else high,
        signed=elements.integer("PixelRepresentation") == 1,
        samples=elements.integer("SamplesPerPixel") or 1,
        photometric=elements.text("PhotometricInterpretation"),
    )


class StoredPixels:
    """The stored values of one instance, a frame at a time.

    Raises
    ------
    Unreadable
        If the pixel data are too short for what the header says, or a codestream speaks of another size: a decoder
        would allocate what it says.

    """

    def __init__(self, elements: Elements, form: PixelFormat) -> None:
        self.form = form
        self._native = form.transfer_syntax_uid in _NATIVE
        self._value = elements.raw("PixelData")
        if self._native:
            if len(self._value) < form.frame_bytes * form.frames:
                raise Unreadable(
                    f"the pixel data have {len(self._value)} bytes, but {form.frames} frame(s) of "
                    f"{form.frame_bytes} bytes are declared"
                )
            return
        fragments = elements.fragments()[1:]
        if not fragments:
            raise Unreadable("the pixel data are not encapsulated, though the transfer syntax says so")
        if form.transfer_syntax_uid != RLE:
            each = len(fragments) == form.frames
            for fragment in fragments if each else fragments[:1]:
                _check_codestream(fragment, form)

    def frame(self, number: int) -> Stored:
        """Values (rows, columns) of frame ``number`` (from 0), the bits above the stored ones removed.

        Raises
        ------
        Unreadable
            If there is no such frame or the decoder gives up.

        """
        if not 0 <= number < self.form.frames:
            raise Unreadable(f"there is no frame {number + 1}: the image says it has {self.form.frames}")
        return _stored_bits(self._plain(number) if self._native else self._decoded(number), self.form)

    def _plain(self, number: int) -> Stored:
        form = self.form
        kind = np.dtype(f"<{'i' if form.signed else 'u'}{form.bits_allocated // 8}")
        words = np.frombuffer(self._value, kind, form.rows * form.columns, number * form.frame_bytes)
        words = words.reshape(form.rows, form.columns)
        return _as_words(words, signed=form.signed)

    def _decoded(self, number: int) -> Stored:
        """One frame alone is looked at and handed to the decoder: what is decoded is what was checked."""
        form = self.form
        try:
            frame = get_frame(bytes(self._value), number, number_of_frames=form.frames)
            array = self._of_frame(frame)
        except Unreadable:
            raise
        except DecodeFault as fault:
            raise Unreadable(f"frame {number + 1} cannot be decompressed ({fault})") from fault
        except Exception as fault:
            raise Unreadable(f"frame {number + 1} cannot be decompressed ({type(fault).__name__})") from fault
        if array.shape != (form.rows, form.columns):
            raise Unreadable(f"frame {number + 1} decompresses to {array.shape} pixels")
        return _as_words(array, signed=form.signed)

    def _of_frame(self, frame: bytes) -> NDArray[Any]:
        form = self.form
        if form.transfer_syntax_uid == RLE:
            words = form.bits_allocated // 8
            return unpacked(frame, rows=form.rows, columns=form.columns, words=words, signed=form.signed)
        _check_codestream(memoryview(frame), form)
        return codec.decode(form.transfer_syntax_uid, frame, form.decoder_options() | {"number_of_frames": 1})


def _as_words(array: NDArray[Any], *, signed: bool) -> Stored:
    return cast("Stored", array.astype(np.int16 if signed else np.uint16, copy=False))


def _check_codestream(fragment: memoryview, form: PixelFormat) -> None:
    said = codestream_size(fragment)
    if said is None:
        raise Unreadable("a frame does not begin with a JPEG, JPEG-LS or JPEG 2000 codestream")
    if said != (form.rows, form.columns, form.samples):
        raise Unreadable(
            f"the compressed image has {said[0]} x {said[1]} pixels of {said[2]} sample(s), "
            f"the header says {form.rows} x {form.columns} of {form.samples}"
        )


def codestream_size(stream: memoryview | bytes) -> tuple[int, int, int] | None:
    """(rows, columns, samples) a JPEG, JPEG-LS or JPEG 2000 codestream says it holds; None if it is none of them."""
    head = bytes(stream[:42])
    if head[:4] == b"\xff\x4f\xff\x51" and len(head) >= 42:  # SOC, SIZ: ISO/IEC 15444-1 A.5.1
        right, bottom, left, top = struct.unpack_from(">4I", head, 8)
        return bottom - top, right - left, int.from_bytes(head[40:42], "big")
    if head[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 10 <= len(stream) and stream[at] == 0xFF:
        marker, length = stream[at + 1], int.from_bytes(stream[at + 2 : at + 4], "big")
        if marker in _SOF:
            rows, columns, samples = struct.unpack_from(">HHB", stream, at + 5)
            return rows, columns, samples
        at += 2 + length
    return None


def _stored_bits(words: Stored, form: PixelFormat) -> Stored:
    """Only the stored bits, sign-extended: the bits above may hold overlays."""
    above = 16 - 1 - form.high_bit
    if form.bits_stored == 16:
        return words
    below = form.high_bit + 1 - form.bits_stored
    return _as_words(np.right_shift(np.left_shift(words, above), above + below), signed=form.signed)


def decodable(transfer_syntax_uid: str) -> bool:
    """Whether pixels in this transfer syntax can be read with what is installed."""
    if transfer_syntax_uid in _NATIVE:
        return True
    try:
        return bool(get_decoder(UID(transfer_syntax_uid)).is_available)
    except NotImplementedError:
        return False
