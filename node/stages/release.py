"""Release: which made objects go out at once, which are held, and what lets them go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from node.domain.records import Released
from node.domain.release import Release, ReleasePolicy, release
from node.domain.tiers import Tier
from node.storage.ledger import Ledger

_log = structlog.get_logger(__name__)
_AT_ONCE = 500  # held deliveries that are looked at in one go


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRule:
    """When one destination gets our result; ``longest`` is how long it waits for a human read, None for ever."""

    policy: ReleasePolicy = ReleasePolicy.IMMEDIATE
    longest: timedelta | None = None


class Releaser:
    """Applies the rules of the destinations. What is not named here gets everything at once."""

    def __init__(self, ledger: Ledger, rules: Mapping[str, ReleaseRule]) -> None:
        self._ledger = ledger
        self._rules = {name: rule for name, rule in rules.items() if rule.policy is not ReleasePolicy.IMMEDIATE}

    @property
    def holds(self) -> bool:
        """Whether any destination is kept waiting."""
        return bool(self._rules)

    def at_making(self, destination: str, now: datetime) -> Release:
        """Whether an object that has just been made is held.

        A comparison follows in any case, and takes into account what was compared before.
        """
        return self._decide(self._rules.get(destination, ReleaseRule()), now, now, None)

    def after_comparison(self, tier: Tier, now: datetime) -> tuple[Released, ...]:
        """What the comparison of a generation means to the deliveries of it."""
        return tuple(_released(name, self._decide(rule, now, now, tier), tier) for name, rule in self._rules.items())

    def after_withdrawal(self, now: datetime) -> tuple[Released, ...]:
        """The read that let deliveries go was taken back: those that have not left yet wait for the next one.

        What has left cannot be called back.
        """
        held = ((name, self._decide(rule, now, now, None)) for name, rule in self._rules.items())
        return tuple(
            replace(_released(name, one, None), again=True, reason=f"{one.reason}; the one before was withdrawn")
            for name, one in held
        )

    def tick(self, now: datetime) -> int:
        """Let go of what has waited long enough; how many deliveries there were."""
        count = self._ledger.release_due(now)
        if count:
            _log.info("deliveries released: no human read came in time", deliveries=count)
        return count

    def reconsider(self, now: datetime) -> None:
        """At start: the settings may have changed since deliveries were held."""
        last = 0
        while held := self._ledger.held(_AT_ONCE, last):
            last = held[-1].work.id
            for record in held:
                name = record.work.destination
                tier = self._ledger.tier_of(record.work.series_uid, record.work.generation)
                decision = self._decide(self._rules.get(name, ReleaseRule()), record.changed_at, now, tier)
                self._ledger.release_held(record.work, _released(name, decision, tier), now)

    @staticmethod
    def _decide(rule: ReleaseRule, made_at: datetime, now: datetime, tier: Tier | None) -> Release:
        return release(rule.policy, made_at=made_at, now=now, tier=tier, longest=rule.longest)


def _released(destination: str, decision: Release, tier: Tier | None) -> Released:
    return Released(
        destination=destination,
        send=decision.send,
        ended=not decision.send and tier is not None,
        until=decision.until,
        reason=decision.reason,
    )
