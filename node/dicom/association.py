"""What the listener tells others of its associations, and what counts them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from node.domain.series import Peer


class Closed(StrEnum):
    """How an association ended."""

    RELEASED = "released"
    ABORTED = "aborted"  # by an A-ABORT of either side
    LOST = "lost"  # the connection broke or fell silent


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRequest:
    """A C-STORE request, without its data set."""

    sop_class_uid: str
    sop_uid: str
    transfer_syntax_uid: str
    peer: Peer


class Tally(Protocol):
    """Counts what the listener does. Called from many threads at once; must not raise, and must not wait."""

    def association(self, refusal: tuple[int, int, int] | None) -> None:
        """An association was asked for: (result, source, reason) of its rejection (PS3.8 9.3.4), None: accepted."""
        ...

    def answered(self, status: int) -> None:
        """A C-STORE was answered with this status."""
        ...


class NoTally:
    """Counts nothing."""

    def association(self, refusal: tuple[int, int, int] | None) -> None:
        """Nothing."""

    def answered(self, status: int) -> None:
        """Nothing."""
