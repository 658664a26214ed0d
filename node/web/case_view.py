"""A case as the page shows it: both reads side by side, why they disagree, and what was decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from node.domain.cases import Case
from node.domain.discrepancy import Difference
from node.domain.findings import Findings
from node.domain.read_history import StoredRead
from node.domain.records import WorkRecord
from node.domain.review import Radpeer, ReviewOutcome
from node.domain.tiers import Tier
from node.domain.work import WorkState
from node.web.blindness import Names, whole
from node.web.rendering import score

ORDER: Final = ("CAC", "LM", "LAD", "LM+LAD", "LCX", "RCA", "AC", "AV", "TA")
REGION_WORDS: Final[Mapping[str, str]] = {
    "LM": "Left main",
    "LAD": "Left anterior descending",
    "LM+LAD": "Left main and LAD",
    "LCX": "Left circumflex",
    "RCA": "Right coronary artery",
    "CAC": "Coronary total",
    "AV": "Aortic valve",
    "TA": "Thoracic aorta",
    "AC": "Aortic total",
}
TIER_WORDS: Final[Mapping[Tier, str]] = {
    Tier.CONCORDANT: "The reads agree",
    Tier.MINOR: "A minor difference",
    Tier.REVIEW: "To be reviewed",
    Tier.PRIORITY: "To be reviewed first",
    Tier.NOT_COMPARABLE: "Cannot be compared",
}
OUTCOME_WORDS: Final[Mapping[ReviewOutcome, str]] = {
    ReviewOutcome.HUMAN_RIGHT: "The human read is right",
    ReviewOutcome.NODE_RIGHT: "The node is right",
    ReviewOutcome.BOTH_WRONG: "Both are wrong",
    ReviewOutcome.EQUIVALENT: "Both are equally right",
}
RADPEER_WORDS: Final[Mapping[Radpeer, str]] = {
    Radpeer.CONCUR: "concur with the human read",
    Radpeer.UNDERSTANDABLE: "understandable miss, unlikely to be significant",
    Radpeer.UNDERSTANDABLE_SIGNIFICANT: "understandable miss, likely to be significant",
    Radpeer.MISS: "should be made most of the time, unlikely to be significant",
    Radpeer.MISS_SIGNIFICANT: "should be made most of the time, likely to be significant",
}
_NEVER: Final = "–"
_TOTALS: Final = frozenset(("CAC", "AC"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionRow:
    """One region: both scores as text in the order of the names, and the difference in a number and in words."""

    region: str
    name: str
    total: bool
    scores: tuple[str, str]
    difference: str
    words: str
    beyond: bool


def told_to(deliveries: Sequence[WorkRecord]) -> str:
    """Who was told of a decision, who is still to be, and who could not be; empty where nobody asked."""
    parts = (
        ("sent to", (WorkState.DONE,)),
        ("on its way to", (WorkState.PENDING, WorkState.CLAIMED)),
        ("could not be sent to", (WorkState.PARKED,)),
    )
    found = ((words, [one.work.destination for one in deliveries if one.state in states]) for words, states in parts)
    said = "; ".join(f"{words} {', '.join(sorted(names))}" for words, names in found if names)
    return f"Outcome {said}." if said else ""


def region_rows(differences: Sequence[Difference], names: Names) -> tuple[RegionRow, ...]:
    """The rows of the table. Blind, a region that the human did not report is left out: its gap would tell."""
    by_region = {one.region: one for one in differences}
    shown = [by_region[region] for region in ORDER if region in by_region]
    return tuple(_row(one, names) for one in shown if one.human is not None or not names.blind)


def _row(one: Difference, names: Names) -> RegionRow:
    shown = whole if names.blind else score
    mine, theirs = shown(one.ours), _NEVER if one.human is None else shown(one.human)
    return RegionRow(
        region=one.region,
        name=REGION_WORDS[one.region],
        total=one.region in _TOTALS,
        scores=(mine, theirs) if names.node_first else (theirs, mine),
        difference=_size(one, names),
        words=_words(one, names),
        beyond=one.beyond,
    )


def _size(one: Difference, names: Names) -> str:
    if one.signed is None:
        return _NEVER
    size = abs(one.signed)
    return whole(size) if names.blind else score(size)


def _words(one: Difference, names: Names) -> str:
    if one.signed is None:
        return "not reported by the human"
    if one.signed == 0:
        return "the same"
    higher = names.node if one.signed > 0 else names.human
    return f"{higher} higher{', beyond normal variation' if one.beyond else ''}"


def reasons(case: Case, names: Names) -> tuple[str, ...]:
    """Why the case has its tier, each once; what another one says with more words is left out."""
    told = tuple(dict.fromkeys(names.reason(words) for words in case.comparison.reasons))
    return tuple(one for one in told if not any(other.startswith(f"{one}:") for other in told))


def only_here(case: Case, names: Names) -> str:
    """What the human saw and we can point at nothing for, in a sentence; empty if nothing, or if it would tell."""
    if names.blind or not case.comparison.absent:
        return ""
    words = ", ".join(REGION_WORDS.get(region, region) for region in case.comparison.absent)
    return f"The human reports more calcium than was found here: {words}. No mark of ours points to it."


def scan_remarks(findings: Findings | None) -> tuple[str, ...]:
    """What was noticed of the scan itself: true of it whoever reads it."""
    if findings is None:
        return ()
    doubts = findings.quality.get("doubts")
    told = [str(one) for one in doubts] if isinstance(doubts, list) else []
    truncated = findings.quality.get("truncated")
    if isinstance(truncated, list) and truncated:
        told.append(f"the heart is cut off ({', '.join(str(one) for one in truncated)})")
    return tuple(dict.fromkeys(told))


def read_remarks(read: StoredRead | None, case: Case, findings: Findings | None) -> tuple[str, ...]:
    """What a person must know of the human read: guessed from text, totals that do not add up."""
    told = list(case.comparison.remarks)
    if read is not None and read.read.confidence == "guessed":
        told.insert(0, "the numbers were found in free text: compare them with the report")
    ours = set(scan_remarks(findings))
    return tuple(dict.fromkeys(one for one in told if one not in ours))


def guessed_from_text(read: StoredRead | None) -> bool:
    """Whether the numbers were found in free text."""
    return read is not None and read.read.confidence == "guessed"
