"""Reviewing without knowing which read is whose: the order of the two, and words that do not say it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from node.domain.cases import Case
from node.domain.identity import hashed
from node.domain.review import Decision, ReviewOutcome

UNCERTAIN: Final = "another reason, shown after the decision"

_NAMED: Final = re.compile(r"\b(here|human|our|ours|node)\b", re.IGNORECASE)
_BOTH: Final = re.compile(r"(?P<mine>[0-9.e+]+) here, (?P<theirs>[0-9.e+]+) by the human")
_MOVED: Final = re.compile(r"calcium of (?P<lost>.+) by the human is in (?P<gained>.+) here")


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What the two reads are called on the page, and which stands first.

    ``node_is_a`` is drawn once for each case and reviewer, and holds for a form that was opened blind even where the
    names have been shown since.
    """

    blind: bool
    node_is_a: bool

    @property
    def node_first(self) -> bool:
        """Openly the human's read stands first."""
        return self.blind and self.node_is_a

    @property
    def node(self) -> str:
        """Name of our read."""
        return ("A" if self.node_first else "B") if self.blind else "Node"

    @property
    def human(self) -> str:
        """Name of the human's."""
        return ("B" if self.node_first else "A") if self.blind else "Human"

    @property
    def ordered(self) -> tuple[str, str]:
        """Both, in the order they are shown."""
        return (self.node, self.human) if self.node_first else (self.human, self.node)

    def outcome(self, typed: str) -> ReviewOutcome:
        """The outcome that a form means; ``first`` and ``second`` are A and B.

        Raises
        ------
        ValueError
            It means none.

        """
        if typed in ("first", "second"):
            node = (typed == "first") == self.node_is_a
            return ReviewOutcome.NODE_RIGHT if node else ReviewOutcome.HUMAN_RIGHT
        return ReviewOutcome(typed)

    def reason(self, words: str) -> str:
        """A reason of the comparison under these names; what cannot be said without giving them away is left out."""
        if not self.blind:
            return words
        said = words.replace(" (no total was given)", "")
        said = _MOVED.sub(self._moved, said)
        said = _BOTH.sub(self._both, said)
        return UNCERTAIN if _NAMED.search(said) else said

    def _moved(self, found: re.Match[str]) -> str:
        places = {self.node: found["gained"], self.human: found["lost"]}
        return f"calcium of {places['A']} in A is in {places['B']} in B"

    def _both(self, found: re.Match[str]) -> str:
        """Both scores in the order of the names, rounded alike: decimals would tell a program from a person."""
        scores = {self.node: whole(float(found["mine"])), self.human: whole(float(found["theirs"]))}
        return ", ".join(f"{scores[name]} in {name}" for name in ("A", "B"))


def whole(value: float) -> str:
    """A score in whole points that still tells a little from none."""
    return "under 1" if 0 < value < 0.5 else f"{value:.0f}"


def names_for(case: Case, reviewer: str, *, blind: bool) -> Names:
    """The names of a case for a reviewer, the same every time."""
    drawn = int(hashed(f"{case.row.study_uid}/{case.row.id}/{reviewer}")[:8], 16)
    return Names(blind=blind, node_is_a=bool(drawn % 2))


def stays_blind(case: Case, reviewer: str, outcome: ReviewOutcome) -> bool:
    """Whether a later version still rests on a blind decision: the same person, the same outcome."""
    last: Decision | None = case.decisions[-1] if case.decisions else None
    return last is not None and last.blind and last.reviewer == reviewer and last.outcome is outcome
