"""What a parser hands back: the reads that can be taken, and everything that is wrong with the others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from node.domain.human_read import HumanRead

MOST_FAULTS: Final = 100
_LONGEST_QUOTE: Final = 24


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong, and where it stands in what was sent.

    The words are for whoever sent it. They may quote a value, so they are never logged.
    """

    place: str
    words: str

    def __str__(self) -> str:
        return f"{self.place}: {self.words}" if self.place else self.words


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """The reads of one file or message.

    Attributes
    ----------
    faults
        The first :data:`MOST_FAULTS`, in order; a read with a fault is not among ``reads``.
    more_faults
        How many were found beyond those.
    notes
        What was put up with or left aside, and is no fault.

    """

    reads: tuple[HumanRead, ...]
    faults: tuple[Fault, ...] = ()
    more_faults: int = 0
    notes: tuple[str, ...] = ()

    @property
    def refusal(self) -> str:
        """All faults in one text, a line each; empty where there is none."""
        lines = [str(one) for one in self.faults]
        if self.more_faults:
            lines.append(f"and {self.more_faults} more")
        return "\n".join(lines)


@dataclass(slots=True)
class Faults:
    """Faults as they are found; only the first :data:`MOST_FAULTS` are kept, all are counted.

    Beside them stand notes: what is no fault, and the sender should know. As many are kept.
    """

    kept: list[Fault] = field(default_factory=list)
    count: int = 0
    notes: list[str] = field(default_factory=list)

    def add(self, place: str, words: str) -> None:
        """Note one more."""
        self.count += 1
        if len(self.kept) < MOST_FAULTS:
            self.kept.append(Fault(place, words))

    def note(self, place: str, words: str) -> None:
        """Note what is put up with."""
        if len(self.notes) < MOST_FAULTS:
            self.notes.append(str(Fault(place, words)))

    def note_totals(self, place: str, read: HumanRead) -> None:
        """Note totals of a read that do not add up: it is compared as it was reported."""
        for words in read.inconsistencies:
            self.note(place, f"{words}; it is taken as it was reported")

    def parsed(self, reads: list[HumanRead], notes: list[str]) -> Parsed:
        """The result of a parser that noted its faults here."""
        return Parsed(
            reads=tuple(reads),
            faults=tuple(self.kept),
            more_faults=self.count - len(self.kept),
            notes=tuple(dict.fromkeys((*notes, *self.notes))),
        )


def quoted(text: str) -> str:
    """A value as it may stand in a fault: short, and without what would break a line."""
    shown = "".join(sign if sign.isprintable() else "?" for sign in text[: _LONGEST_QUOTE + 1])
    return f"'{shown[:_LONGEST_QUOTE]}...'" if len(shown) > _LONGEST_QUOTE else f"'{shown}'"
