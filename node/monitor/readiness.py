"""Whether the node can take a scan now, judged by what was last seen: asking waits for nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

LEDGER_SECONDS: Final = 15.0
"""The ledger is taken for away when nothing could be written for so long. Asked every few seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was last seen of a node.

    Attributes
    ----------
    listening
        Whether the DICOM port is bound and served.
    ledger_age
        Seconds since the ledger could last be written; None: not yet.
    free, reserve
        Bytes of the disk that the storage lies on; None: it could not be asked.
    model
        Whether a model is loaded.
    space
        What is to be known of the room on the disk in days to come; "" where there is nothing.

    """

    listening: bool
    ledger_age: float | None
    free: int | None
    reserve: int
    model: bool
    space: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """For each thing that is needed, why it is missing; "" where it is there.

    ``warnings`` are of what will be missing some day; the node is ready all the same.
    """

    checks: Mapping[str, str]
    warnings: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether nothing is missing."""
        return not any(self.checks.values())


def readiness_of(seen: Seen) -> Readiness:
    """Whether a node is ready, and every reason why not."""
    return Readiness(
        checks={
            "listener": "" if seen.listening else "the DICOM listener is not bound",
            "ledger": _ledger(seen.ledger_age),
            "disk": _disk(seen.free, seen.reserve),
            "model": "" if seen.model else "the model is not loaded yet",
        },
        warnings=(seen.space,) if seen.space else (),
    )


def _ledger(age: float | None) -> str:
    if age is None:
        return "the ledger has not been written yet"
    return f"the ledger could not be written for {age:.0f} s" if age > LEDGER_SECONDS else ""


def _disk(free: int | None, reserve: int) -> str:
    if free is None:
        return "the disk of the storage does not answer"
    return "less disk space is free than is held in reserve" if free < reserve else ""
