"""What is wrong with a chain of audit entries, whether it lies in a ledger or was taken out of one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from node.domain.people import GENESIS


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An entry of the chain: the hash it says it has, and the one its content has (``found``)."""

    number: int
    previous: str
    sha256: str
    found: str


def chain_faults(links: Iterable[Link], *, whole: bool = True) -> Iterator[str]:
    """Every break of a chain, in words; links rise by number.

    A ``whole`` chain has every entry from the first on. Of another, neighbours alone are held against each other.
    """
    last, previous = 0, GENESIS
    for link in links:
        if whole and link.number != last + 1:
            yield f"entries {last + 1} to {link.number - 1} are missing"
        if (whole or link.number == last + 1) and link.previous != previous:
            yield f"entry {link.number} does not follow the one before it"
        if link.sha256 != link.found:
            yield f"entry {link.number} was changed"
        last, previous = link.number, link.sha256


def contradictions(noted: Mapping[int, str], held: Mapping[int, str]) -> Iterator[str]:
    """Where hashes that were noted elsewhere, by number, are not those of the entries that are held."""
    for number, sha256 in sorted(noted.items()):
        if number not in held:
            yield f"entry {number} was noted and is gone"
        elif held[number] != sha256:
            yield f"entry {number} is another than the one that was noted"
