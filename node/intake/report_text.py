"""Scores out of the free text of a report, in English and German. What is found is a guess, and marked as one.

Only sentences after a word for the score ('Agatston', 'calcium score', 'Kalk-Score') are looked at, and none that
speaks of an earlier scan. A region that the text gives two figures for is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from node.domain.region_names import REGION_NAMES, region_named

_LONGEST: Final = 64_000
_REACH: Final = 1_500  # signs after a word for the score in which its figures stand
_ANCHOR: Final = re.compile(
    r"agatston|ca(?:lcium)?[ -]?scor(?:e|ing)|kal[kz](?:ium)?[ -]?scor(?:e|ing)|calcium scores?|\bcacs\b|\bcac[ -]score"
    r"|koronarkalk|coronary (?:artery )?calcium",
    re.IGNORECASE,
)
_EARLIER: Final = re.compile(
    r"\b(?:prior|previous(?:ly)?|earlier|compar(?:ed|ison)|formerly|last (?:scan|exam\w*|study)"
    r"|vor(?:befund|untersuchung|aufnahme)\w*|zuvor|früher\w*|vergleich\w*|damals"
    r"|reference|referenz\w*|normal range)\b",
    re.IGNORECASE,
)
_SENTENCE: Final = re.compile(r"(?<=[.;!?])[ \t]+(?=[^\W\d_])|[\r\n]+")
_WIDE: Final = re.compile(r"[ \t]{2,}|\t|(?:[ \t]*-){3,}")
_VOLUME: Final = re.compile(r"\b(?:volume|volumen|mass|masse)\b", re.IGNORECASE)
# what may be a word in any text is no name of a vessel here
_PLAIN_WORDS: Final = frozenset(
    ("sum", "coronary", "coronary arteries", "coronary artery", "ac", "av", "ta", "cac", "cacs")
)
_NAMES: Final = sorted(
    (name for names in REGION_NAMES.values() for name in names if name not in _PLAIN_WORDS), key=len, reverse=True
)
_NAME: Final = "|".join(re.escape(name).replace("\\ ", "[ -]") for name in _NAMES)
_FIGURE: Final = r"(?P<figure>\d{1,3}(?:[.,'’\u00a0\u202f]\d{3})+(?:[.,]\d{1,2})?|\d{1,6}(?:[.,]\d{1,2})?)"
_IS: Final = r"[ \t]*(?:is|of|was|von|beträgt|liegt bei|war)?[ \t]*[:=]?[ \t]*"
_LINK: Final = rf"(?:[ \t]*\([^\d()]{{1,24}}\))?[ \t]*(?:agatston)?[ \t-]*(?:score)?{_IS}"
# what may follow a score; another figure, a unit or 'lesions' may not
_AFTER: Final = (
    r"(?![.,'’]?\d)(?=[ \t]*(?:$|[,;.)(\]]|[-–][ \t](?!\d)|"
    rf"(?:and|und|points?|punkte|agatston|au|which|corresponding|consistent|indicat\w+|entspr\w+|{_NAME})\b))"
)
_VALUE: Final = re.compile(rf"(?<![^\W_])(?P<name>{_NAME})(?![^\W_]){_LINK}{_FIGURE}{_AFTER}", re.IGNORECASE)
_ALONE: Final = re.compile(
    r"(?:agatston(?:[ -]?score)?|(?:calcium|kalzium|kalk|cac)[ -]?score|\bcacs)(?:[ \t]+\(agatston\))?"
    rf"{_IS}{_FIGURE}{_AFTER}",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class TextScores:
    """Agatston scores by region as a text gives them, and what a person must know of how they were found."""

    agatston: Mapping[str, float]
    remarks: tuple[str, ...]


def scores_in(text: str) -> TextScores:
    """What a report says of calcium; nothing if it says nothing that is surely meant so."""
    found: dict[str, set[float]] = {}
    remarks: list[str] = []
    # columns set apart by blanks or dashes: between a name and its figure every blank could be any of several's
    for sentence in _sentences(_WIDE.sub(_narrow, text[:_LONGEST])):
        for region, figure in _figures(sentence):
            value, doubt = _number(figure)
            found.setdefault(region, set()).add(value)
            remarks += [doubt] if doubt else []
    for region, values in found.items():
        if len(values) > 1:
            shown = ", ".join(f"{value:g}" for value in sorted(values)[:5])
            remarks.append(f"the text gives {region} as {shown}: none of them is taken")
    clear = {region: next(iter(values)) for region, values in found.items() if len(values) == 1}
    if clear:
        remarks.insert(0, "found in the free text of a report")
    return TextScores(clear, tuple(dict.fromkeys(remarks)))


def _narrow(gap: re.Match[str]) -> str:
    return " - " if "-" in gap[0] else " "


def _sentences(text: str) -> Iterator[str]:
    """Sentences that speak of the score of this scan: those with a word for it, and those soon after."""
    until, at = 0, 0
    for sentence in _SENTENCE.split(text):
        at = text.find(sentence, at)
        if _ANCHOR.search(sentence):
            until = at + len(sentence) + _REACH
        if at < until and not _EARLIER.search(sentence):
            yield _without_amounts(sentence)
        at += len(sentence)


def _without_amounts(sentence: str) -> str:
    """The sentence up to where it goes on about volume or mass."""
    return _VOLUME.split(sentence, maxsplit=1)[0]


def _figures(sentence: str) -> Iterator[tuple[str, str]]:
    for match in _VALUE.finditer(sentence):
        region = region_named(match["name"])
        if region is not None:
            yield region, match["figure"]
    for match in _ALONE.finditer(sentence):
        yield "CAC", match["figure"]


def _number(figure: str) -> tuple[float, str]:
    """The value of a figure with thousands separators, and what is doubtful of it."""
    plain = re.sub(r"['’\u00a0\u202f]", "", figure)
    marks = re.findall(r"[.,]", plain)
    if not marks:
        return float(plain), ""
    whole, last = plain[: plain.rfind(marks[-1])], plain[plain.rfind(marks[-1]) + 1 :]
    if len(last) == 3 and len(set(marks)) == 1:
        value = float(re.sub("[.,]", "", plain))
        return value, f"'{figure}' was read as {value:.0f}"
    return float(f"{re.sub('[.,]', '', whole)}.{last}"), ""
