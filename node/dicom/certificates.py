"""How long certificates are good for, read from their files: enough DER (X.690, RFC 5280 4.1) for two dates.

The standard library reads a certificate only while it talks to somebody who shows it.
"""

from __future__ import annotations

import re
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

WARN_BEFORE: Final = timedelta(days=30)
_BLOCK: Final = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_MOST_BYTES: Final = 4 << 20  # all public authorities together are a quarter of this
_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18
_LONG_FORM: Final = 0x80


def validity(file: Path) -> tuple[datetime, datetime]:
    """From when until when all certificates in a PEM file are good.

    Raises
    ------
    ValueError
        If the file cannot be read or holds no certificate; the message names it.

    """
    try:
        with file.open("rb") as opened:
            text = opened.read(_MOST_BYTES).decode("ascii", "replace")
    except OSError as error:
        raise ValueError(f"cannot read {file}: {error.strerror}") from None
    try:
        dates = [_dates(ssl.PEM_cert_to_DER_cert(block)) for block in _BLOCK.findall(text)]
    except (ValueError, IndexError):
        raise ValueError(f"{file} holds a certificate that cannot be read") from None
    if not dates:
        raise ValueError(f"{file} holds no certificate (PEM)")
    return max(first for first, _ in dates), min(last for _, last in dates)


def state(file: Path, now: datetime) -> tuple[str, bool]:
    """How a file's certificates stand, in words, and whether they are good now. Raises ValueError as above."""
    first, last = validity(file)
    if now < first:
        return f"not valid before {first:%Y-%m-%d %H:%M} UTC", False
    return until(last, now), last > now


def until(last: datetime, now: datetime) -> str:
    """How long a certificate that ends at ``last`` is good for, in words; a warning in the last 30 days."""
    if last <= now:
        return f"expired on {last:%Y-%m-%d}"
    if last - now < WARN_BEFORE:
        return f"WARNING: expires on {last:%Y-%m-%d}, in {(last - now).days} days"
    return f"good until {last:%Y-%m-%d}"


def _dates(der: bytes) -> tuple[datetime, datetime]:
    """The dates between which a certificate is good. Raises ValueError or IndexError for what is none."""
    _, certificate, _ = _element(der)
    _, signed, _ = _element(certificate)
    tag, _, rest = _element(signed)
    if tag == _VERSION:
        _, _, rest = _element(rest)  # the serial number comes after it, or is the first
    for _ in ("signature", "issuer"):
        _, _, rest = _element(rest)
    tag, both, _ = _element(rest)
    if tag != _SEQUENCE:
        raise ValueError("no validity where it should be")
    kind, first, rest = _element(both)
    other, last, _ = _element(rest)
    return _time(kind, first), _time(other, last)


def _element(data: bytes) -> tuple[int, bytes, bytes]:
    """(tag, content, what follows) of the element that ``data`` begins with."""
    tag, length, start = data[0], data[1], 2
    if length >= _LONG_FORM:
        start += length - _LONG_FORM
        length = int.from_bytes(data[2:start], "big")
    if start + length > len(data):
        raise ValueError("an element is longer than the data")
    return tag, data[start : start + length], data[start + length :]


def _time(tag: int, value: bytes) -> datetime:
    text = value.decode("ascii")
    if tag == _UTC_TIME:  # RFC 5280 4.1.2.5.1: 50 to 99 are of the last century
        text = ("19" if text[:2] >= "50" else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError("no time where one should be")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
