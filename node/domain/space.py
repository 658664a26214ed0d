"""When the disk will be full, if it goes on as it has: what came in lately, against what may go when."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from node.domain.retention import Candidate, Goods, Hold, RetentionRule

_DAY: Final = timedelta(days=1)
LATELY: Final = timedelta(days=7)
"""What came in since then is taken for what will come in."""
LEAST_HORIZON: Final = timedelta(days=30)
MOST_HORIZON: Final = timedelta(days=400)
_FOR_A_PERSON: Final = frozenset((Hold.UNREVIEWED, Hold.QUARANTINED))  # nobody knows when those end


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """How the room goes.

    Attributes
    ----------
    daily_bytes
        What came in on a day lately.
    full_in
        When the room is gone, if that is before old data makes way for new; None if not.
    lets_go
        Whether the rule ever lets images go.

    """

    daily_bytes: float
    full_in: timedelta | None
    lets_go: bool


def outlook(candidates: Sequence[Candidate], rule: RetentionRule, *, now: datetime, room_bytes: int) -> Outlook:
    """Foresee, day by day, up to the longest time that the rule keeps anything, and 30 days at least.

    ``room_bytes`` may still be filled. Scans without a human read are kept as the rule says; of those that come, as
    many will stay without one as did of those that came more than a week ago.
    """
    daily = _daily(candidates, now)
    unread = _unread(candidates, now)
    leaving = sorted(
        ((when - now) / _DAY, one.size * _likely(one, rule, now, unread))
        for one in candidates
        if (when := _leaves(one, rule, now)) is not None
    )
    image_share = _share(candidates, Goods.IMAGES)
    stays = _stays(rule, unread)
    room, place = float(room_bytes), 0
    for day in range(1, math.ceil(_horizon(rule) / _DAY) + 1):
        room -= daily
        while place < len(leaving) and leaving[place][0] <= day:
            room += leaving[place][1]
            place += 1
        room += daily * image_share * sum(part for part, days in stays if day > days)
        if room < 0:
            return Outlook(daily_bytes=daily, full_in=day * _DAY, lets_go=bool(stays))
    return Outlook(daily_bytes=daily, full_in=None, lets_go=bool(stays))


def _daily(candidates: Sequence[Candidate], now: datetime) -> float:
    """Bytes a day; over the time there are data of, where that is less than a week."""
    lately = [one for one in candidates if now - one.since < LATELY]
    if not lately:
        return 0.0
    oldest = min(one.since for one in candidates)
    days = min(LATELY, max(now - oldest, _DAY)) / _DAY
    return sum(one.size for one in lately) / days


def _unread(candidates: Sequence[Candidate], now: datetime) -> float:
    """The share of images that no human read has come for in a week; 0 while nobody knows."""
    settled = [one for one in candidates if one.goods is Goods.IMAGES and now - one.since >= LATELY]
    total = sum(one.size for one in settled)
    return sum(one.size for one in settled if Hold.NO_READ in one.holds) / total if total else 0.0


def _share(candidates: Sequence[Candidate], goods: Goods) -> float:
    total = sum(one.size for one in candidates)
    return sum(one.size for one in candidates if one.goods is goods) / total if total else 1.0


def _leaves(one: Candidate, rule: RetentionRule, now: datetime) -> datetime | None:
    """When something goes if nothing but time keeps it; None if that cannot be told, or never."""
    if one.holds & _FOR_A_PERSON:
        return None
    if one.goods is Goods.IMAGES and rule.free_bytes and not one.holds:
        return now  # whenever the room is needed
    longest = rule.longest(one.goods)
    if longest is None:
        return None
    waits = rule.awaits_read and Hold.NO_READ in one.holds
    return one.since + (longest if not waits or rule.read_wait is None else max(longest, rule.read_wait))


def _likely(one: Candidate, rule: RetentionRule, now: datetime, unread: float) -> float:
    """How likely something does not wait for a human read without end."""
    if Hold.NO_READ not in one.holds or not rule.awaits_read or rule.read_wait is not None:
        return 1.0
    return 1.0 - unread if now - one.since < LATELY else 0.0


def _stays(rule: RetentionRule, unread: float) -> tuple[tuple[float, float], ...]:
    """Of the images that come, which share goes after how many days; what never goes is left out."""
    longest = timedelta(0) if rule.free_bytes else rule.images
    if longest is None:
        return ()
    found = [(1.0 - unread if rule.awaits_read else 1.0, longest / _DAY)]
    if rule.awaits_read and rule.read_wait is not None:
        found.append((unread, max(longest, rule.read_wait) / _DAY))
    return tuple(found)


def _horizon(rule: RetentionRule) -> timedelta:
    spans = (LEAST_HORIZON, rule.images, rule.read_wait if rule.awaits_read else None)
    return min(max(span for span in spans if span is not None), MOST_HORIZON)
