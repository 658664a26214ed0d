"""What is kept, and what is let go: by age, by room on the disk, and never while somebody still needs it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final


class Goods(StrEnum):
    """What is kept for a time of its own."""

    IMAGES = "images"  # the received files of a series
    ANSWERS = "answers"  # all that is left of a series: what was made of it, and its rows
    READS = "reads"  # the original of human reads


class Hold(StrEnum):
    """Why something stays."""

    OPEN = "slices are still expected"
    UNREAD = "not read yet"
    UNDELIVERED = "not delivered yet"
    UNCOMPARED = "not compared yet"
    UNTOLD = "somebody is still to be told"
    NO_READ = "no human read has come to compare it with"
    UNREVIEWED = "a flagged case of its study is open"
    QUARANTINED = "in quarantine, where a person is to look at it"
    YOUNG = "its time has not come"
    FOR_EVER = "the settings keep it for ever"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Something that may go.

    Attributes
    ----------
    subject
        UID of the series; for READS, the path of the original.
    since
        When the last of it came in.
    files, size
        How many files, and their bytes together.
    holds
        Who needs it, whatever its age.

    """

    goods: Goods
    subject: str
    since: datetime
    files: int
    size: int
    holds: frozenset[Hold] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRule:
    """How long a site keeps what.

    Attributes
    ----------
    images, answers, reads
        For how long; None for ever.
    free_bytes
        Where less than this is free, images that nobody needs go before their time, the oldest first; 0 never.
    awaits_read
        Whether a scan stays until a human read of it was compared.
    read_wait
        For how long at most; None for ever. What is not delivered, or belongs to a flagged case, stays all the same.

    """

    images: timedelta | None = None
    answers: timedelta | None = None
    reads: timedelta | None = None
    free_bytes: int = 0
    awaits_read: bool = True
    read_wait: timedelta | None = None

    def ignored(self, since: datetime, now: datetime) -> frozenset[Hold]:
        """Holds that do not count at this site for what came in then."""
        waited = self.read_wait is not None and now - since >= self.read_wait
        return frozenset() if self.awaits_read and not waited else frozenset((Hold.NO_READ,))

    def longest(self, goods: Goods) -> timedelta | None:
        """How long these goods are kept; None for ever."""
        return {Goods.IMAGES: self.images, Goods.ANSWERS: self.answers, Goods.READS: self.reads}[goods]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Whether a candidate goes; ``holds`` says why it stays, and is empty for what goes."""

    candidate: Candidate
    holds: tuple[Hold, ...] = ()
    for_room: bool = False

    @property
    def goes(self) -> bool:
        """Whether it is let go."""
        return not self.holds


_ORDER: Final = {hold: number for number, hold in enumerate(Hold)}


def judge(
    candidates: Iterable[Candidate], rule: RetentionRule, *, now: datetime, free_bytes: int
) -> tuple[Judged, ...]:
    """What goes now and what stays, oldest first.

    What has had its time goes first; only where that makes too little room, images go before their time.
    """
    oldest_first = sorted(candidates, key=lambda one: (one.since, one.goods, one.subject))
    judged = [_by_age(one, rule, now) for one in oldest_first]
    lacking = rule.free_bytes - free_bytes - sum(one.candidate.size for one in judged if one.goes)
    for place, one in enumerate(judged):
        if lacking <= 0:
            break
        if one.candidate.goods is Goods.IMAGES and set(one.holds) in ({Hold.YOUNG}, {Hold.FOR_EVER}):
            judged[place] = Judged(candidate=one.candidate, for_room=True)
            lacking -= one.candidate.size
    return tuple(judged)


def _by_age(candidate: Candidate, rule: RetentionRule, now: datetime) -> Judged:
    needed = set(candidate.holds - rule.ignored(candidate.since, now))
    longest = rule.longest(candidate.goods)
    if longest is None:
        needed.add(Hold.FOR_EVER)
    elif now - candidate.since < longest:
        needed.add(Hold.YOUNG)
    return Judged(candidate=candidate, holds=tuple(sorted(needed, key=_ORDER.__getitem__)))
