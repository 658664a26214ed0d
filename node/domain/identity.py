"""Names that are the same every time: deterministic UIDs, and hashes that stand for identifiers in logs and paths."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

_UID_BITS = 128


def hashed(identifier: str) -> str:
    """64 hexadecimal digits that stand for an identifier wherever it must not be read (paths, logs)."""
    return hashlib.sha256(identifier.encode("utf-8")).hexdigest()


def short(identifier: str) -> str:
    """The first 12 digits of :func:`hashed`, for log lines."""
    return hashed(identifier)[:12]


def derived_uid(*, sources: Iterable[str], model_sha256: str, settings_sha256: str, role: str) -> str:
    """UID of an object made from ``sources``: the same scan, model and settings always give the same one.

    A UUID-derived UID (``2.25.``, PS3.5 B.2) from the SHA-256 of the sorted source SOP Instance UIDs, the hash of the
    model, the hash of the settings that shape the answer, and the object's role ("seg", "sr", "series:seg", ...).
    """
    parts = [*sorted(sources), model_sha256, settings_sha256, role]
    digest = hashlib.sha256("\n".join(parts).encode("utf-8")).digest()
    return f"2.25.{int.from_bytes(digest[: _UID_BITS // 8], 'big')}"
