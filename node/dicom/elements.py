"""The elements of a data set by keyword. Values are decoded only when asked for."""

from __future__ import annotations

import struct
from functools import cache

from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_VR, tag_for_keyword

from node.dicom.encoding import BIG_ENDIAN, IMPLICIT, Span, counted_items, elements_of, items_of
from node.domain.errors import Malformed

_MOST_ITEMS = 4096
_MOST_NUMBERS = 1024
_LONGEST_TEXT = 4096
_BINARY = {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d"}


@cache
def tag_of(keyword: str) -> int:
    """The tag of a keyword of the data dictionary (PS3.6)."""
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise ValueError(f"{keyword} is not in the data dictionary")
    return tag


@cache
def _vr_of(keyword: str) -> str:
    return dictionary_VR(tag_of(keyword)).split(" or ", maxsplit=1)[0]


class Elements:
    """The elements of one data set or item by keyword; absent and undecodable values read as empty or None."""

    __slots__ = ("_charset", "_data", "_explicit", "_spans")

    def __init__(self, data: memoryview, spans: dict[int, Span], *, explicit: bool, charset: str = "") -> None:
        self._data = data
        self._spans = spans
        self._explicit = explicit
        self._charset = charset or self._declared_charset()

    @classmethod
    def of(cls, data: memoryview, transfer_syntax_uid: str, *, last: int | None = None) -> Elements:
        """All elements of a data set (not deflated); with ``last``, only up to that tag.

        Raises
        ------
        Malformed
            If an element runs past the end, a sequence is not closed, or the bytes are no data set.

        """
        if transfer_syntax_uid == BIG_ENDIAN:
            raise Malformed("Explicit VR Big Endian was retired in 2006 and is not read")
        explicit = transfer_syntax_uid != IMPLICIT
        spans: dict[int, Span] = {}
        for tag, span, _ in elements_of(data, 0, len(data), explicit=explicit):
            spans.setdefault(tag, span)
            if last is not None and tag >= last:
                break
        return cls(data, spans, explicit=explicit)

    def _declared_charset(self) -> str:
        # The first of several ISO 2022 sets is enough for words that are only compared (PS3.5 6.1.2.3).
        span = self._spans.get(tag_of("SpecificCharacterSet"))
        term = (
            "" if span is None else bytes(self._data[span.start : span.stop]).split(b"\\")[0].decode("latin-1").strip()
        )
        encoding = python_encoding.get(term, "latin-1") if term else "latin-1"
        return "latin-1" if encoding == "iso8859" else encoding

    def __contains__(self, keyword: str) -> bool:
        return tag_of(keyword) in self._spans

    def span(self, keyword: str) -> Span | None:
        """Where the value of an element lies."""
        return self._spans.get(tag_of(keyword))

    def raw(self, keyword: str) -> memoryview:
        """The value as it stands."""
        span = self.span(keyword)
        return self._data[:0] if span is None else self._data[span.start : span.stop]

    def text(self, keyword: str) -> str:
        """The first value as text, without padding; at most 4096 bytes are looked at."""
        values = self.texts(keyword)
        return values[0] if values else ""

    def texts(self, keyword: str) -> tuple[str, ...]:
        """All values as text."""
        value = bytes(self.raw(keyword)[:_LONGEST_TEXT])
        if not value.strip(b" \0"):
            return ()
        try:
            text = value.decode(self._charset, errors="replace")
        except LookupError:
            text = value.decode("latin-1")
        return tuple(part.strip(" \0") for part in text.split("\\"))

    def uid(self, keyword: str) -> str:
        """A UID as sent, valid or not."""
        return bytes(self.raw(keyword)[:128]).decode("latin-1").strip(" \0")

    def numbers(self, keyword: str) -> tuple[float, ...] | None:
        """All values as numbers; None where the element is absent, empty or holds something else."""
        span = self.span(keyword)
        if span is None or span.stop == span.start:
            return None
        vr = span.vr.decode("ascii") if span.vr not in (b"", b"UN") else _vr_of(keyword)
        if vr in _BINARY:
            form = _BINARY[vr]
            count = min((span.stop - span.start) // struct.calcsize(form), _MOST_NUMBERS)
            return struct.unpack_from(f"<{count}{form}", self._data, span.start) or None
        try:
            return tuple(_number(part) for part in bytes(self.raw(keyword)[:_LONGEST_TEXT]).split(b"\\"))
        except ValueError:
            return None

    def number(self, keyword: str) -> float | None:
        """The first value as a number."""
        values = self.numbers(keyword)
        return values[0] if values else None

    def integer(self, keyword: str) -> int | None:
        """The first value as a whole number."""
        value = self.number(keyword)
        return int(value) if value is not None and abs(value) < 2**53 else None

    def items(self, keyword: str, most: int = _MOST_ITEMS) -> list[Elements]:
        """The items of a sequence.

        Raises
        ------
        Malformed
            If the sequence is broken or has more than ``most`` items.

        """
        span = self.span(keyword)
        if span is None or (span.vr not in (b"SQ", b"UN", b"") and not span.undefined):
            return []
        explicit = self._explicit and span.vr != b"UN"
        if span.undefined:
            spans, _ = items_of(self._data, span.start, span.stop, explicit=explicit)
        else:
            spans = list(counted_items(self._data, span, explicit=explicit))
        if len(spans) > most:
            raise Malformed(f"{keyword} has {len(spans)} items; more than {most} are not read")
        return [self._item(start, stop, explicit=explicit) for start, stop in spans]

    def first(self, keyword: str) -> Elements | None:
        """The first item of a sequence, if there is one."""
        items = self.items(keyword)
        return items[0] if items else None

    def fragments(self) -> list[memoryview]:
        """The items of encapsulated pixel data, the offset table first (PS3.5 A.4); [] if they are not encapsulated."""
        span = self.span("PixelData")
        if span is None or not span.undefined:
            return []
        spans, _ = items_of(self._data, span.start, span.stop, explicit=True, fragments=True)
        return [self._data[start:stop] for start, stop in spans]

    def _item(self, start: int, stop: int, *, explicit: bool) -> Elements:
        spans: dict[int, Span] = {}
        for tag, span, _ in elements_of(self._data, start, stop, explicit=explicit, depth=1):
            spans.setdefault(tag, span)
        return Elements(self._data, spans, explicit=explicit, charset=self._charset)


def _number(part: bytes) -> float:
    text = part.strip(b" \0")
    if b"_" in text:  # Python would read 1_0 as ten
        raise ValueError
    return float(text)
