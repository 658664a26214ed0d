"""One HL7 v2 message: its segments, fields and escapes, its encoding, and the acknowledgement of it.

Written here rather than taken from the package ``hl7`` (python-hl7): that one takes text, so that MSH-18 is left to its
caller, builds an object per component before any bound can be kept, and reads escapes by the standard delimiters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from enum import StrEnum
from typing import Final

from node.domain.errors import Malformed, Refused
from node.intake.parsed import quoted

MOST_BYTES: Final = 1_000_000
_MOST_SEGMENTS: Final = 10_000
_CHARSETS: Final[Mapping[str, str]] = {
    "ASCII": "ascii",
    "UNICODE UTF-8": "utf-8",
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
    **{f"8859/{part}": f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
}
_LATIN_CONTROL: Final = re.compile("[\x80-\x9f]")
_TIME: Final = re.compile(r"(\d{4})(\d\d)?(\d\d)?(\d\d)?(\d\d)?(\d\d)?(?:\.\d{1,6})?([+-]\d{4})?")
_LONGEST_ID: Final = 199


class AckCode(StrEnum):
    """How a message is answered (HL7 v2 table 0008; v2.5 chapter 2, 2.9.2)."""

    ACCEPT = "AA"
    ERROR = "AE"  # its content or its format is wrong, its length too
    REJECT = "AR"  # not for this software (MSH-9, MSH-11, MSH-12), or not for the moment: the text then says so


class Problem(StrEnum):
    """What is wrong, by its number (HL7 v2 table 0357)."""

    DATA = "102"
    TYPE = "200"
    PROCESSING = "202"
    VERSION = "203"
    INTERNAL = "207"

    @property
    def words(self) -> str:
        """As the table says."""
        return _WORDS[self]


_WORDS: Final[Mapping[Problem, str]] = {
    Problem.DATA: "Data type error",
    Problem.TYPE: "Unsupported message type",
    Problem.PROCESSING: "Unsupported processing id",
    Problem.VERSION: "Unsupported version id",
    Problem.INTERNAL: "Application internal error",
}


class Unsupported(Refused):
    """A message that by its header is none for this software; its content was not looked at."""

    def __init__(self, reason: str, problem: Problem) -> None:
        super().__init__(reason)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment; fields count from 1 as in the standard, also in MSH, whose first field is the separator itself."""

    name: str
    fields: tuple[str, ...]
    signs: str  # field, component, repetition, escape, subcomponent
    charset: str

    def text(self, field: int, component: int = 1, repetition: int = 0, part: int = 1) -> str:
        """One subcomponent without its escapes; empty where there is none, or where it is deleted ('""')."""
        value = self.raw(field, component, repetition)
        value = _at(value.split(self.signs[4]), part - 1)
        return "" if value == '""' else self.unescaped(value).strip()

    def whole(self, field: int) -> str:
        """A whole field of text: repetitions become lines, components are left as they are."""
        return "\n".join(self.unescaped(one) for one in self._field(field).split(self.signs[2]))

    def raw(self, field: int, component: int = 1, repetition: int = 0) -> str:
        """One component as it stands."""
        # not split further than is asked for: a field may repeat as often as the message is long
        one = _at(self._field(field).split(self.signs[2], repetition + 1), repetition)
        return _at(one.split(self.signs[1], component), component - 1)

    def repetitions(self, field: int) -> int:
        """How many values a field has; 0 where it is empty."""
        return self._field(field).count(self.signs[2]) + 1 if self._field(field) else 0

    def unescaped(self, value: str) -> str:
        """Text with its escape sequences (HL7 v2 section 2.7) resolved; those for the eye alone become spaces."""
        sign = self.signs[3]
        if sign not in value:
            return value
        return re.sub(f"{re.escape(sign)}([^{re.escape(sign)}]{{0,64}}){re.escape(sign)}", self._resolved, value)

    def _resolved(self, match: re.Match[str]) -> str:
        word = match[1]
        plain = dict(zip("FSRET", self.signs, strict=True))
        if word in plain:
            return plain[word]
        if re.fullmatch(r"X(?:[0-9A-Fa-f]{2})+", word):
            return bytes.fromhex(word[1:]).decode(self.charset, errors="replace")
        return "\n" if word.startswith((".br", ".sp", ".ce")) else " "

    def _field(self, field: int) -> str:
        return self.fields[field - 1] if 1 <= field <= len(self.fields) else ""


@dataclass(frozen=True, slots=True)
class Message:
    """A message, its header first."""

    segments: tuple[Segment, ...]

    @property
    def header(self) -> Segment:
        """MSH."""
        return self.segments[0]

    @property
    def kind(self) -> str:
        """Message code and trigger event, such as ``ORU^R01``."""
        return f"{self.header.text(9)}^{self.header.text(9, 2)}"


def knows_charset(name: str) -> bool:
    """Whether messages in an encoding of MSH-18 can be read; empty is ASCII or UTF-8."""
    return not name or name.upper() in _CHARSETS


def parse(data: bytes, *, assumed_charset: str = "", most_bytes: int = MOST_BYTES) -> Message:
    """Take a message apart.

    Parameters
    ----------
    assumed_charset
        The encoding, in the words of MSH-18, of messages that name none; where this is empty too, UTF-8, of which
        ASCII is a part.

    Raises
    ------
    Refused
        If it is too large, or in an encoding that is not read.
    Malformed
        If it is no HL7 v2 message, or not in the encoding it names.

    """
    if len(data) > most_bytes:
        raise Refused(f"the message has {len(data)} bytes; up to {most_bytes} are read")
    if data[:3] != b"MSH" or len(data) < 8:
        raise Malformed("no HL7 v2 message: it does not begin with MSH and its separators")
    signs = data[3:8].decode("latin-1")
    if len(set(signs)) < 5 or any(sign.isalnum() or not sign.isprintable() or sign == " " for sign in signs):
        raise Malformed("MSH-1 and MSH-2 do not name five different separators")
    text, charset = _decoded(data, signs, assumed_charset)
    lines = [line for line in re.split(r"[\r\n]+", text) if line.strip()]
    if len(lines) > _MOST_SEGMENTS:
        raise Refused(f"the message has {len(lines)} segments; up to {_MOST_SEGMENTS} are read")
    return Message(tuple(_segment(number, line, signs, charset) for number, line in enumerate(lines, start=1)))


def _segment(number: int, line: str, signs: str, charset: str) -> Segment:
    name, *fields = line.split(signs[0])
    if re.fullmatch(r"[A-Z][A-Z0-9]{2}", name) is None:
        raise Malformed(f"segment {number}: {quoted(name)} is no name of a segment")
    held = (signs[0], *fields) if name == "MSH" else tuple(fields)
    return Segment(name, held, signs, charset)


def _decoded(data: bytes, signs: str, assumed: str) -> tuple[str, str]:
    head = re.split(rb"[\r\n]", data, maxsplit=1)[0].decode("latin-1").split(signs[0])
    said = _at(head, 17).split(signs[2])[0].strip()
    named = said or assumed
    charset = _CHARSETS.get(named.upper(), "") if named else "utf-8"
    if not charset:
        raise Refused(f"MSH-18: the encoding {quoted(named)} is not read; there are {', '.join(_CHARSETS)}")
    who = f"MSH-18 says {named}" if said else f"MSH-18 is empty, which is {named or 'ASCII or UTF-8'} here"
    try:
        text = data.decode(charset)
    except UnicodeDecodeError as error:
        raise Malformed(f"{who}, but byte {error.start} of the message is none of it") from error
    if charset.startswith("iso8859") and _LATIN_CONTROL.search(text):
        raise Malformed(f"{who}, but the message holds bytes of another encoding (UTF-8 or Windows-1252)")
    return text, charset


def time_of(text: str, zone: tzinfo) -> datetime | None:
    """An HL7 time; one without a zone is the site's. None where there is none.

    Raises
    ------
    Malformed
        If it is no time.

    """
    if not text:
        return None
    found = _TIME.fullmatch(text)
    if found is None:
        raise Malformed(f"{quoted(text)} is no time")
    year, month, day, hour, minute, second = (
        int(part or least) for part, least in zip(found.groups(), (0, 1, 1, 0, 0, 0), strict=False)
    )
    try:
        where = zone if found[7] is None else _offset(found[7])
        time = datetime(year, month, day, hour, minute, second, tzinfo=where)
        time.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Malformed(f"{quoted(text)} is no time") from error
    return time


def _offset(text: str) -> timezone:
    minutes = int(text[1:3]) * 60 + int(text[3:])
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def ack(
    message: bytes, code: AckCode, text: str = "", *, problem: Problem | None = None, now: datetime | None = None
) -> bytes:
    """The acknowledgement of a message, whatever it is: MSA with its control id, and ERR with the reason.

    In ASCII with the standard separators, so that any sender can read it. ``problem`` is what follows from the code
    if it is not given.
    """
    head = re.split(rb"[\r\n]", message[:4096], maxsplit=1)[0].decode("latin-1")
    separator = head[3:4] if head.startswith("MSH") and len(head) > 8 else "|"
    fields = head.split(separator) if head.startswith("MSH") else []
    names = [_echo(fields, at) for at in (4, 5, 2, 3)]
    control, processing, version = _echo(fields, 9), _echo(fields, 10) or "P", _echo(fields, 11) or "2.5.1"
    time = (now or datetime.now(UTC)).astimezone(UTC).strftime("%Y%m%d%H%M%S.%f")[:-2] + "+0000"
    kind = "ACK^R01^ACK" if version[:3] >= "2.4" else "ACK^R01"
    ours = f"C2R{time[:14]}{time[15:19]}"
    segments = [
        f"MSH|^~\\&|{'|'.join(names)}|{time}||{kind}|{ours}|{processing}|{version}",
        f"MSA|{code}|{control}" + (f"|{_plain(text, 80)}" if text else ""),
    ]
    if code is not AckCode.ACCEPT:
        segments += _errors(problem or (Problem.INTERNAL if code is AckCode.REJECT else Problem.DATA), text, version)
    return ("\r".join(segments) + "\r").encode("ascii", errors="replace")


def _errors(problem: Problem, text: str, version: str) -> list[str]:
    if version[:3] < "2.5":
        return [f"ERR|^^^{problem}&{problem.words}&HL70357"]
    return [
        f"ERR|||{problem}^{problem.words}^HL70357|E||||{_plain(line, 250)}" for line in text.splitlines()[:10] or [""]
    ]


def _echo(fields: list[str], at: int) -> str:
    value = _at(fields, at).strip()[:_LONGEST_ID]
    return "".join(sign if sign.isprintable() and sign not in "|\\" else "?" for sign in value)


def _plain(text: str, longest: int) -> str:
    """Text that can stand in a field: one line, no separators."""
    flat = " ".join(text.split())[:longest]
    escapes = {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"}
    return "".join(escapes.get(sign, sign) for sign in flat if sign.isprintable())


def _at(values: list[str], index: int) -> str:
    return values[index] if 0 <= index < len(values) else ""
