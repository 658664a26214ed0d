"""The results of an ORU message: groups of segments, and the values in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from node.domain.errors import Malformed
from node.intake.code_map import Target, in_unit
from node.intake.figures import figure
from node.intake.hl7_message import Message, Segment
from node.intake.parsed import quoted


@dataclass(slots=True)
class Group:
    """An OBR with what belongs to it; segments carry their number in the message."""

    header: Segment
    patient: Segment | None
    order: Segment | None
    request: Segment
    number: int
    rest: list[tuple[int, Segment]] = field(default_factory=list)

    @property
    def observations(self) -> Iterator[tuple[int, Segment]]:
        """OBX segments with their numbers."""
        return ((number, one) for number, one in self.rest if one.name == "OBX")


def groups_of(message: Message) -> list[Group]:
    """The results in a message, one per OBR."""
    groups: list[Group] = []
    patient: Segment | None = None
    order: Segment | None = None
    for number, segment in enumerate(message.segments, start=1):
        if segment.name == "PID":
            patient, order = segment, None
        elif segment.name == "ORC":
            order = segment
        elif segment.name == "OBR":
            groups.append(Group(message.header, patient, order, segment, number))
            order = None
        elif groups:
            groups[-1].rest.append((number, segment))
    return groups


def person_named(parts: Iterator[str]) -> str:
    """A person by what is known: id, family name, given name."""
    return " ".join(part for part in parts if part)


def value_of(one: Segment, target: Target) -> float | None:
    """The value of an observation in the unit of its quantity; None where it is empty."""
    kind = one.text(2).upper()
    if one.repetitions(5) > 1:
        raise Malformed("OBX-5 has several values")
    if kind == "SN":
        parts: Sequence[str] = [one.text(5, at) for at in (1, 2, 3, 4)]
        if parts[0] not in ("", "=") or parts[2] or parts[3]:
            raise Malformed(f"{quoted(' '.join(parts).strip())} is a limit or a ratio, not a score")
        text = parts[1]
    else:
        text = one.text(5)
    if not text:
        return None
    return in_unit(figure(text, comma_is_common=kind != "NM"), target.quantity, one.text(6))
