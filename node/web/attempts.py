"""How often log-ins may fail: per account with a growing delay, and per address with a budget that refills."""

from __future__ import annotations

import threading
from collections import OrderedDict
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv6Network, ip_address
from typing import Final

FREE_FAILURES: Final = 5
_FIRST_LOCK: Final = timedelta(minutes=1)
_LONGEST_LOCK: Final = timedelta(minutes=15)
_MOST_ADDRESSES: Final = 10_000


def lock_after(failures: int) -> timedelta | None:
    """How long an account is locked after so many failures in a row; None for the first few."""
    if failures < FREE_FAILURES:
        return None
    return min(_FIRST_LOCK * (1 << min(failures - FREE_FAILURES, 10)), _LONGEST_LOCK)


class AddressBudget:
    """How many tries each address has left; one comes back every ``refill``. In memory: a restart forgives.

    May be used by any number of threads.
    """

    def __init__(self, tries: int = 20, refill: timedelta = timedelta(seconds=15)) -> None:
        self._tries = tries
        self._refill = refill
        self._used: OrderedDict[str, tuple[float, datetime]] = OrderedDict()
        self._turn = threading.Lock()

    def spend(self, address: str, now: datetime) -> bool:
        """Take one try; False if none is left."""
        address = _neighbourhood(address)
        with self._turn:
            used, since = self._used.pop(address, (0.0, now))
            used = max(0.0, used - max(now - since, timedelta()) / self._refill)
            allowed = used + 1 <= self._tries
            self._used[address] = (used + 1 if allowed else used, now)
            while len(self._used) > _MOST_ADDRESSES:
                self._used.popitem(last=False)
        return allowed

    def forgive(self, address: str) -> None:
        """After a good log-in: the address has all its tries again."""
        with self._turn:
            self._used.pop(_neighbourhood(address), None)


def _neighbourhood(address: str) -> str:
    """An IPv6 address by its network of 64 bits, of which every host has all the addresses; others as they are."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if isinstance(found, IPv4Address):
        return address
    return str(found.ipv4_mapped or IPv6Network((found.packed[:8] + bytes(8), 64)))
