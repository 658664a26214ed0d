"""A notice as an e-mail. No line of it is made from anything but settings, numbers and one cleaned accession number."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final

from node.domain.notices import Notice, plain_accession

_POLICY: Final = SMTP.clone(cte_type="7bit")  # no server on the way has to understand anything else


def message_of(notice: Notice, *, sender: str, to: Sequence[str], title: str) -> EmailMessage:
    """The message, the same bytes at every attempt.

    Its Message-ID is made from the key of the notice, so that a mail store may drop a second copy. ``title`` is what
    the node calls itself.
    """
    message = EmailMessage(policy=_POLICY)
    message["From"] = Address(addr_spec=sender)
    message["To"] = [Address(addr_spec=one) for one in to]
    message["Subject"] = f"{_one_line(title)}: {_subject(notice)}"
    message["Date"] = format_datetime(notice.made_at)
    message["Message-ID"] = f"<{notice.key}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office replies to this
    message.set_content("\n".join(_lines(notice)) + "\n")
    return message


def _subject(notice: Notice) -> str:
    if notice.silent:
        return f"nothing from {plain_accession(notice.silent)}"
    return "test" if notice.case is None else f"{notice.tier} case {notice.case}"


def _lines(notice: Notice) -> list[str]:
    if notice.silent and notice.silent_since is not None:
        return [
            "A scanner is silent for longer than is usual for it.",
            "",
            f"AE title: {plain_accession(notice.silent)}",
            f"Last study: {notice.silent_since.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
            "",
            "Sent automatically; answers are not read. Research use only.",
        ]
    if notice.case is None:
        return [
            "This is a test. Notices of cases will come to this address.",
            "",
            "Research use only.",
        ]
    facts = [
        f"Case: {notice.case}",
        f"Tier: {notice.tier}",
        f"Compared: {notice.made_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        *([f"Accession number: {notice.accession}"] if notice.accession else []),
        *([f"Open it: {notice.link}"] if notice.link else []),
    ]
    head = "A human read of a calcium scan was compared with the reading of this node."
    return [head, "", *facts, "", "Sent automatically; answers are not read. Research use only."]


def _one_line(text: str) -> str:
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())
