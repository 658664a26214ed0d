"""What the page may ask of the watch over a node, and who may ask it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Final

from node.domain.silence import Silence
from node.domain.space import Outlook
from node.monitor.readiness import Readiness

LOOPBACK: Final = ("127.0.0.0/8", "::1/128")


def _unseen() -> Outlook | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Everything here answers at once.

    Attributes
    ----------
    exposition
        All metrics, in the text format of Prometheus.
    readiness
        Whether the node is ready.
    silences
        Scanners that are silent for longer than is usual for them.
    space
        How the room on the disk goes; None: not seen yet.
    allow
        Addresses and networks that may ask.

    """

    exposition: Callable[[], bytes]
    readiness: Callable[[], Readiness]
    silences: Callable[[], Sequence[Silence]]
    space: Callable[[], Outlook | None] = _unseen
    allow: tuple[str, ...] = LOOPBACK


def admits(allow: Sequence[str], address: str) -> bool:
    """Whether an address lies in one of the networks; what is no address lies in none."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    found = getattr(found, "ipv4_mapped", None) or found  # how a dual-stack socket shows IPv4
    return any(found in ip_network(network, strict=False) for network in allow)
