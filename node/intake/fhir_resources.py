"""The resources of a FHIR document, what refers to what, and elements of theirs with their shape checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from node.domain.errors import Malformed, Refused
from node.intake.drafts import LONGEST_FIELD

MOST_RESOURCES: Final = 5_000
Resource = Mapping[str, Any]


def list_of(owner: Resource, name: str) -> list[Any]:
    """The list under a name; [] where there is none. This and its like raise :class:`Malformed` for another shape."""
    value = owner.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Malformed(f"{name}: a list is needed")
    return value


def objects_of(owner: Resource, name: str) -> list[Resource]:
    """The objects in the list under a name."""
    held = list_of(owner, name)
    if not all(isinstance(one, dict) for one in held):
        raise Malformed(f"{name}: a list of objects is needed")
    return held


def object_of(owner: Resource, name: str) -> Resource:
    """The object under a name; empty where there is none."""
    value = owner.get(name)
    if value is not None and not isinstance(value, dict):
        raise Malformed(f"{name}: an object is needed")
    return value or {}


def text_of(owner: Resource, name: str) -> str:
    """The text under a name, of bounded length; empty where there is none."""
    value = owner.get(name)
    if value is not None and not isinstance(value, str):
        raise Malformed(f"{name}: a text is needed")
    return (value or "").strip()[:LONGEST_FIELD]


@dataclass(frozen=True, slots=True)
class Resources:
    """All resources of a document: in order with their place, and by what refers to them."""

    ordered: list[tuple[str, Resource]]
    by_reference: Mapping[str, Resource]
    contained: Mapping[tuple[int, object], Resource]  # by the identity of what contains it, and its own id

    @classmethod
    def of(cls, document: Resource) -> Resources:
        """The resource itself and what it contains, or all entries of a Bundle."""
        ordered: list[tuple[str, Resource]] = []
        known: dict[str, Resource] = {}
        held: dict[tuple[int, object], Resource] = {}
        entries = objects_of(document, "entry") if document.get("resourceType") == "Bundle" else []
        tops = [("", document, "")] if not entries else []
        tops += [
            (f"entry[{at}]", object_of(one, "resource"), text_of(one, "fullUrl")) for at, one in enumerate(entries)
        ]
        for place, one, url in tops:
            inner = [(f"{place}.contained[{at}]", each) for at, each in enumerate(objects_of(one, "contained"))]
            for _, each in inner:
                held.setdefault((id(one), text_of(each, "id")), each)
            ordered += [(place, one), *((where.strip("."), each) for where, each in inner)]
            known.update({url: one, f"{text_of(one, 'resourceType')}/{text_of(one, 'id')}": one})
        if len(ordered) > MOST_RESOURCES:
            raise Refused(f"{len(ordered)} resources; up to {MOST_RESOURCES} are read")
        return cls(ordered, known, held)

    def reports(self) -> Iterator[tuple[str, Resource, list[tuple[str, Resource]]]]:
        """(place, report or lone observation, its observations with their places)."""
        told: set[int] = set()
        places = {id(each): where for where, each in self.ordered}
        for place, one in self.ordered:
            if one.get("resourceType") != "DiagnosticReport":
                continue
            results = one.get("result")
            referred = [each for each in results if isinstance(each, dict)] if isinstance(results, list) else []
            found = {id(each): each for reference in referred if (each := self.find(reference, one)) is not None}
            told |= found.keys()
            yield place, one, [(places.get(at, place), each) for at, each in found.items()]
        for place, one in self.ordered:
            if one.get("resourceType") == "Observation" and id(one) not in told:
                yield place, one, [(place, one)]

    def find(self, reference: Resource, owner: Resource) -> Resource | None:
        """What a Reference of ``owner`` points to, if it is in the document; '#' names what the owner contains."""
        name = reference.get("reference")
        if not isinstance(name, str) or not name:
            return None
        if name.startswith("#"):
            return self.contained.get((id(owner), name[1:]))
        return self.by_reference.get(name)


def typed(identifier: Resource, code: str) -> bool:
    """Whether an identifier is of a type, such as MR or ACSN (HL7 table 0203)."""
    return any(text_of(one, "code") == code for one in objects_of(object_of(identifier, "type"), "coding"))
