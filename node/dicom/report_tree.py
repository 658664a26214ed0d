"""Calcium scores in the content tree of a structured report, by the codes and names around each number."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Final

from node.dicom.codes import PRIVATE_SCHEME
from node.dicom.elements import Elements
from node.dicom.headers import SOFTWARE_NAME
from node.dicom.read_regions import CodeKey, code_of, region_of_codes
from node.domain.errors import Malformed, Refused
from node.domain.human_read import ReadScore
from node.domain.region_names import region_named

_MOST_ITEMS: Final = 20_000
_DEEPEST: Final = 12

_SITE: Final = frozenset((("SCT", "363698007"), ("SRT", "G-C0E3")))
_LESION: Final = ("DCM", "121151")
_TRACKING: Final = ("DCM", "112039")
_METHOD: Final = frozenset((("SCT", "370129005"), ("SRT", "G-C036")))
_METHODS: Final = {("DCM", "112055"): "agatston", ("DCM", "112056"): "volume_mm3", ("DCM", "112057"): "mass_mg"}
_CALCIUM: Final = {
    ("SCT", "450360000"): "agatston",
    ("SCT", "450734004"): "agatston",
    ("DCM", "112058"): "agatston",
    ("DCM", "122660"): "volume_mm3",
    ("DCM", "122661"): "mass_mg",
}
_GENERAL: Final = {  # volume and mass of anything: taken only beside a calcium score of the same region
    ("SCT", "118565006"): "volume_mm3",
    ("SRT", "G-D705"): "volume_mm3",
    ("SCT", "118538004"): "mass_mg",
    ("SRT", "G-D701"): "mass_mg",
}
_WORDS: Final = (("agatston", "agatston"), ("calcium score", "agatston"), ("volume", "volume_mm3"), ("mass", "mass_mg"))
_CORONARY: Final = frozenset((("SCT", "450360000"), ("SCT", "450734004")))
_KVP: Final = ("DCM", "113733")
_PERSON: Final = ("DCM", "121008")
_OBSERVER_MODEL: Final = ("DCM", "121015")
_FACTORS: Final = {
    "volume_mm3": {"mm3": 1.0, "cm3": 1000.0, "ml": 1000.0},
    "mass_mg": {"mg": 1.0, "g": 1000.0, "ug": 0.001},
}


@dataclass(frozen=True, slots=True)
class _Context:
    """What holds where a number stands: its region, what names it, and whether that is a Lesion Identifier."""

    region: str | None = None
    name: str = ""
    lesion: bool = False


@dataclass(slots=True)
class ReportTree:
    """What is found on a walk through the content of a report."""

    amounts: dict[tuple[str, str], set[float]] = field(default_factory=dict)
    general: dict[tuple[str, str], set[float]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    items: int = 0
    numbers: int = 0
    ours: bool = False
    person: str = ""
    kvp: float | None = None

    def walk(self, document: Elements) -> None:
        """Look at every content item of a document, in order.

        Raises
        ------
        Malformed, Refused
            If it is nested too deep, or has too many items.

        """
        self._walk(document, _Context(), 0)

    def _walk(self, parent: Elements, context: _Context, depth: int) -> None:
        if depth > _DEEPEST:
            raise Malformed("the content of the report is nested too deep")
        children = parent.items("ContentSequence", _MOST_ITEMS)
        self.items += len(children)
        if self.items > _MOST_ITEMS:
            raise Refused(f"the report has more than {_MOST_ITEMS} content items")
        here = _named_by(children, context)
        for child in children:
            concept = code_of(child.first("ConceptNameCodeSequence"))
            kind = child.text("ValueType")
            self._note(child, concept)
            if concept == _LESION:
                # in the flat layout what follows belongs to it, up to the next one
                here = _by_name(child.text("TextValue"))
            if kind == "NUM":
                self._take(child, concept, here)
            else:
                self._walk(child, here, depth + 1)

    def scores(self) -> dict[str, ReadScore]:
        """Scores by region; what stands twice with different values is left out, and said."""
        for key, values in self.general.items():
            if (key[0], "agatston") in self.amounts and key not in self.amounts:
                self.amounts[key] = values
        found: dict[str, dict[str, float]] = {}
        for (region, quantity), values in self.amounts.items():
            if len(values) > 1:
                self.remarks.append(f"{region} has {len(values)} different values of {quantity}: none of them is taken")
            else:
                found.setdefault(region, {})[quantity] = next(iter(values))
        scores = {}
        for region, held in found.items():
            try:
                scores[region] = ReadScore(**held)
            except Malformed as error:
                self.faults.append(f"{region}: {error}")
        return scores

    def _note(self, child: Elements, concept: CodeKey) -> None:
        self.ours |= concept[0] == PRIVATE_SCHEME
        if concept == _OBSERVER_MODEL:
            self.ours |= child.text("TextValue").lower() == SOFTWARE_NAME
        if concept == _PERSON and not self.person:
            self.person = child.text("PersonName")

    def _take(self, item: Elements, concept: CodeKey, context: _Context) -> None:
        self.numbers += 1
        children = item.items("ContentSequence", _MOST_ITEMS)
        self.items += len(children)
        here = _named_by(children, context)
        quantity, general = _quantity(item, concept, children, here)
        value, unit = _measured(item)
        if concept == _KVP and value is not None and 40 <= value <= 200:
            self.kvp = value
        if quantity is not None and value is None and not general and (written := _written(item)):
            self.faults.append(f"{here.region or 'a calcium score'}: '{written[:16]}' is no number")
        if quantity is None or value is None:
            return
        region = here.region or ("CAC" if concept in _CORONARY and not here.name else None)
        if region is None:
            who = f"'{here.name[:24]}'" if here.name else "a site that is not said"
            self.remarks.append(f"{who} has a calcium {quantity} of {value:g} and is no known region: not compared")
            return
        factor = _FACTORS.get(quantity, {}).get(unit.lower(), None if quantity in _FACTORS else 1.0)
        if factor is None or (quantity == "agatston" and unit.lower() in {"mm3", "mg", "ml", "cm3", "g"}):
            if not general:
                self.faults.append(f"{region}: '{unit[:16]}' is no unit of {quantity}")
            return
        kept = self.general if general else self.amounts
        kept.setdefault((region, quantity), set()).add(value * factor)


def _named_by(children: list[Elements], context: _Context) -> _Context:
    """The context that an item's own children set: its Finding Site, else its Tracking Identifier."""
    fallback = None
    for child in children:
        concept = code_of(child.first("ConceptNameCodeSequence"))
        if concept in _SITE:
            codes = child.items("ConceptCodeSequence")
            name = codes[0].text("CodeMeaning") if codes else child.text("TextValue")
            return _Context(region_of_codes(codes) or region_named(child.text("TextValue")), name or "a site")
        if concept == _TRACKING and fallback is None:
            named = _by_name(child.text("TextValue"))
            fallback = replace(named, lesion=False) if named.region else None
    return fallback if fallback is not None and context.region is None else context


def _by_name(text: str) -> _Context:
    words = text.strip()
    region = region_named(words) or region_named(words.removeprefix("Calcium "))
    return _Context(region, words or "a site", lesion=True)


def _quantity(item: Elements, concept: CodeKey, children: list[Elements], context: _Context) -> tuple[str | None, bool]:
    """(what a number measures, whether its code is a general one); None for what is no calcium score."""
    if concept in _CALCIUM:
        return _method_of(children) or _CALCIUM[concept], False
    if concept in _GENERAL:
        return _GENERAL[concept], True
    if context.lesion:
        coded = item.first("ConceptNameCodeSequence")
        meaning = "" if coded is None else coded.text("CodeMeaning").lower()
        return next((quantity for word, quantity in _WORDS if word in meaning), None), False
    return None, False


def _method_of(children: list[Elements]) -> str | None:
    for child in children:
        if code_of(child.first("ConceptNameCodeSequence")) in _METHOD:
            return _METHODS.get(code_of(child.first("ConceptCodeSequence")))
    return None


def _written(item: Elements) -> str:
    """What stands where a number should."""
    measured = item.first("MeasuredValueSequence")
    return "" if measured is None else measured.text("NumericValue")


def _measured(item: Elements) -> tuple[float | None, str]:
    measured = item.first("MeasuredValueSequence")
    if measured is None:
        return None, ""
    exact, shown = measured.number("FloatingPointValue"), measured.number("NumericValue")
    value = shown if exact is None or not math.isfinite(exact) else exact
    return value, code_of(measured.first("MeasurementUnitsCodeSequence"))[1]
