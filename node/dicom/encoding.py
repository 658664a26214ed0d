"""A bounded walk over the elements of an encoded data set (PS3.5 section 7), little endian.

Nothing is copied and nothing is allocated because a length field says so: an element is a pair of offsets that was
checked against the end of the data first.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

from node.domain.errors import Malformed

IMPLICIT: Final = "1.2.840.10008.1.2"
EXPLICIT: Final = "1.2.840.10008.1.2.1"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"

PIXEL_DATA: Final = 0x7FE00010
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_DEEPEST = 16
_MOST_INFLATED = 1 << 30
_INFLATED_FREELY = 64 << 20
_MOST_RATIO = 64  # images deflate to a third; only small ones of nothing at all to less than a hundredth
_ITEM_END_BYTES = b"\xfe\xff\x0d\xe0"
_LONG_VRS = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_SHORT_VRS = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()  # PS3.5 table 7.1-2
)
_UID = re.compile(r"[0-9][0-9.]{0,63}")  # beginning so, it is no way to another folder either

_tag = struct.Struct("<HH")
_implicit = struct.Struct("<HHI")
_explicit = struct.Struct("<HH2sH")
_long = struct.Struct("<I")


class Span(NamedTuple):
    """Where a value lies; ``undefined`` when it is delimited instead of counted."""

    vr: bytes
    start: int
    stop: int
    undefined: bool


def is_uid(text: str) -> bool:
    """Whether the text may stand where a UID must: digits and dots, a digit first, at most 64 (PS3.5 9.1)."""
    return _UID.fullmatch(text) is not None


def inflated(data: bytes | memoryview, transfer_syntax_uid: str, most: int = _MOST_INFLATED) -> memoryview:
    """The data set as it reads before the Deflated transfer syntax (PS3.5 A.5) packed it; others are untouched."""
    if transfer_syntax_uid != DEFLATED:
        return memoryview(data)
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    most = min(most, max(_INFLATED_FREELY, _MOST_RATIO * len(data)))
    try:
        plain = stream.decompress(data, most)
    except zlib.error as fault:
        raise Malformed("the deflated data set cannot be inflated") from fault
    if stream.unconsumed_tail:
        raise Malformed(f"the deflated data set inflates to more than {most} bytes")
    if not stream.eof:
        raise Malformed("the deflated data set ends before its end")
    return memoryview(plain)


def name_of(tag: int) -> str:
    """(gggg,eeee)."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def elements_of(
    data: memoryview, at: int, stop: int, *, explicit: bool, depth: int = 0
) -> Iterator[tuple[int, Span, int]]:
    """(tag, span, offset behind) of each element up to ``stop``, or up to the delimiter of the item they are in."""
    while at < stop:
        if stop - at < 8:
            if not any(data[at:stop]):
                return
            raise Malformed("the data end in the middle of an element")
        group, number = _tag.unpack_from(data, at)
        tag = group << 16 | number
        if tag == _ITEM_END and depth:
            return
        vr, length, value = _head(data, at, tag, stop, explicit=explicit)
        if length == _UNDEFINED:
            if vr not in (b"SQ", b"UN", b"OB", b"OW", b""):
                raise Malformed(f"element {name_of(tag)} must not have an undefined length")
            inside = explicit and vr != b"UN"  # PS3.5 6.2.2: UN of undefined length is implicit inside
            _, after = items_of(data, value, stop, explicit=inside, depth=depth, fragments=tag == PIXEL_DATA)
            yield tag, Span(vr, value, after, undefined=True), after
        else:
            after = value + length
            if after > stop:
                raise Malformed(
                    f"element {name_of(tag)} says it has {length} bytes, but {stop - value} are left: "
                    "the data are cut off or are not DICOM"
                )
            yield tag, Span(vr, value, after, undefined=False), after
        at = after


def _head(data: memoryview, at: int, tag: int, stop: int, *, explicit: bool) -> tuple[bytes, int, int]:
    """(vr, length, offset of the value)."""
    if not explicit or tag >> 16 == 0xFFFE:
        return b"", _long.unpack_from(data, at + 4)[0], at + 8
    _, _, vr, length = _explicit.unpack_from(data, at)
    if vr in _SHORT_VRS:
        return vr, length, at + 8
    if vr not in _LONG_VRS and not (vr.isalpha() and vr.isupper()):
        raise Malformed(f"element {name_of(tag)} has no valid value representation")
    if stop - at < 12:
        raise Malformed("the data end in the middle of an element")
    return vr, _long.unpack_from(data, at + 8)[0], at + 12


def items_of(
    data: memoryview, at: int, stop: int, *, explicit: bool, depth: int = 0, fragments: bool = False
) -> tuple[list[tuple[int, int]], int]:
    """Spans of the items of a sequence (or fragments of pixel data) and the offset behind its delimiter."""
    if depth >= _DEEPEST:
        raise Malformed("sequences are nested too deep")
    spans: list[tuple[int, int]] = []
    while stop - at >= 8:
        group, number, length = _implicit.unpack_from(data, at)
        tag = group << 16 | number
        at += 8
        if tag == _SEQUENCE_END:
            return spans, at
        if tag != _ITEM:
            raise Malformed(f"{name_of(tag)} stands where an item must begin")
        if length == _UNDEFINED:
            if fragments:
                raise Malformed("a pixel data fragment must not have an undefined length")
            end = at
            for _, _, after in elements_of(data, at, stop, explicit=explicit, depth=depth + 1):
                end = after
            if data[end : end + 4] != _ITEM_END_BYTES or stop - end < 8:
                raise Malformed("the data end inside of a sequence item")
            spans.append((at, end))
            at = end + 8
        elif length > stop - at:
            raise Malformed(f"an item says it has {length} bytes, but {stop - at} are left: the data are cut off")
        else:
            spans.append((at, at + length))
            at += length
    raise Malformed("the data end inside of a sequence or of encapsulated pixel data")


def counted_items(data: memoryview, span: Span, *, explicit: bool) -> Iterator[tuple[int, int]]:
    """Items of a sequence whose length is counted: it ends without a delimiter."""
    at = span.start
    while at < span.stop:
        if span.stop - at < 8:
            raise Malformed("a sequence ends in the middle of an item")
        group, number, length = _implicit.unpack_from(data, at)
        if group << 16 | number != _ITEM:
            raise Malformed(f"{name_of(group << 16 | number)} stands where an item must begin")
        at += 8
        stop = at + length
        if length == _UNDEFINED:
            stop = at
            for _, _, after in elements_of(data, at, span.stop, explicit=explicit, depth=1):
                stop = after
            yield at, stop
            at = stop + 8
        else:
            if stop > span.stop:
                raise Malformed(f"an item says it has {length} bytes, but {span.stop - at} are left")
            yield at, stop
            at = stop
