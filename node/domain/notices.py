"""What somebody is told of a case: that it is there, and where to look. Nothing of the patient unless the site asks."""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from node.domain.identity import hashed, short
from node.domain.tiers import Tier

CASE: Final = "case"
"""The one name that can stand in braces in the address of a case."""
_LONGEST_ACCESSION: Final = 64
_KEY_DIGITS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One message to one channel.

    Attributes
    ----------
    key
        The same at every attempt to send this message, and never that of another: 32 hexadecimal digits.
    made_at
        When the reads were compared.
    tier, case
        How much the reads differ, and the number of the case; None: this is a test, and there is no case.
    link
        Where the case opens, or "".
    accession
        Accession number of the study, or "" where the site does not want it sent.
    silent, silent_since
        AE title of a scanner that is silent for longer than is usual, and since when, for a message about that; then
        there is no case either.

    """

    key: str
    made_at: datetime
    tier: Tier | None = None
    case: int | None = None
    link: str = ""
    accession: str = ""
    silent: str = ""
    silent_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A message was taken. ``failed`` are the marks of recipients that did not get it, ``note`` says why."""

    note: str = ""
    failed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NoticeSubject:
    """What one piece of NOTIFY work is about: a case, and the mark of the one recipient meant; "" means all."""

    case: int
    recipient: str = ""

    def __str__(self) -> str:
        return f"{self.case}/{self.recipient}" if self.recipient else str(self.case)

    @classmethod
    def of(cls, text: str) -> NoticeSubject:
        """The subject that ``str`` gave this text. Raises ValueError if it gave no such text."""
        number, _, recipient = text.partition("/")
        return cls(int(number), recipient)


def recipient_mark(address: str) -> str:
    """12 hexadecimal digits that stand for an address in the ledger."""
    return short(address)


def notice_key(*, node: str, channel: str, case: int, made_at: datetime) -> str:
    """The key of the message about a case to a channel.

    ``made_at`` is part of it because numbers of cases come again when a ledger is put back from an older copy.
    """
    return hashed("\n".join((node, channel, str(case), made_at.isoformat())))[:_KEY_DIGITS]


def silence_key(*, node: str, channel: str, sender: str, since: datetime) -> str:
    """The key of the message to a channel about a scanner that is silent since then."""
    return hashed(f"{node}\n{channel}\nsilent\n{sender}\n{since.isoformat()}")[:_KEY_DIGITS]


def channels_for(tier: Tier, wanted: Mapping[str, frozenset[Tier]]) -> tuple[str, ...]:
    """Names of the channels that are told of cases of a tier, in their order."""
    return tuple(name for name, tiers in wanted.items() if tier in tiers)


def check_link(template: str) -> None:
    """Accept an address with ``{case}`` in it, and nothing else in braces; "" is no address and is accepted.

    Raises
    ------
    ValueError
        In the terms of whoever wrote it.

    """
    if not template:
        return
    if not template.startswith(("http://", "https://")):
        raise ValueError("it must start with http:// or https://")
    if not (template.isascii() and template.isprintable() and " " not in template):
        raise ValueError("an address has no spaces, line breaks or letters beyond ASCII")
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError:
        raise ValueError("a brace is not closed, or not opened") from None
    names = [(name, spec, conversion) for _, name, spec, conversion in parts if name is not None]
    if any(one != (CASE, "", None) for one in names):
        raise ValueError("only {case} can stand in braces")
    if not names:
        raise ValueError("it names no case: {case} is needed")


def link_to(template: str, case: int) -> str:
    """The address of a case, "" without a template."""
    return template.format_map({CASE: case}) if template else ""


def plain_accession(text: str) -> str:
    """An accession number on one line, as it may stand in a message: it came from outside and may hold anything."""
    seen = "".join(" " if unicodedata.category(letter)[0] in "CZ" else letter for letter in text)
    return " ".join(seen.split())[:_LONGEST_ACCESSION]
