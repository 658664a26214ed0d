"""What a reading says in words a radiologist can read. Pure text from findings."""

from __future__ import annotations

from typing import Final

from node.domain.findings import Findings, RegionScore

DISCLAIMER: Final = "Research use only; not for primary diagnosis."
_VESSEL_NAMES: Final = (("LM", "LM"), ("LAD", "LAD"), ("LCX", "LCx"), ("RCA", "RCA"))
_AORTIC_NAMES: Final = (("AV", "aortic valve"), ("TA", "thoracic aorta"))
_WORDS: Final = {
    "0": "no coronary calcium",
    "1-99": "mild coronary calcium",
    "100-399": "moderate coronary calcium",
    ">=400": "severe coronary calcium",
}
_LIMITS: Final = (100.0, 400.0)


def impression(findings: Findings) -> str:
    """The reading in a few sentences, one thought a line."""
    model = findings.model
    lines = [
        coronary_sentence(findings),
        aortic_sentence(findings),
        *filter(None, (borderline_sentence(findings), kvp_sentence(findings))),
        *(_sentence(note) for note in findings.notes),
        f"Read by {model.name} {model.version}. Training data: {_sentence(model.trained_on)}",
        DISCLAIMER,
    ]
    return "\n".join(lines)


def shown(score: float) -> str:
    """A score as people write it: whole numbers, tenths below ten, and never 0 for what is not 0."""
    if 0 < score < 0.1:
        return "<0.1"
    return f"{score:.1f}" if 0 < score < 9.95 else f"{score:.0f}"


def category_word(findings: Findings) -> str:
    """The category of the total in words."""
    return _WORDS.get(findings.category, f"category {findings.category}").capitalize()


def coronary_sentence(findings: Findings) -> str:
    """Total, category, CAC-DRS and the vessels behind it."""
    total = findings.scores["CAC"]
    if total.agatston == 0:
        return f"Coronary artery calcium score (Agatston) 0: {_WORDS['0']}. CAC-DRS {findings.cac_drs}."
    vessels = ", ".join(f"{name} {shown(findings.scores[key].agatston)}" for key, name in _VESSEL_NAMES)
    return (
        f"Coronary artery calcium score (Agatston) {shown(total.agatston)}{_interval(findings, 'CAC')}: "
        f"{category_word(findings).lower()}, category {findings.category}, CAC-DRS {findings.cac_drs}. "
        f"{vessels}. {_amounts(total)}."
    )


def aortic_sentence(findings: Findings) -> str:
    """Aortic calcium, which is never part of the coronary score."""
    total = findings.scores["AC"]
    if total.agatston == 0:
        return "No calcium of the aortic valve or thoracic aorta in the field of view."
    parts = ", ".join(f"{name} {shown(findings.scores[key].agatston)}" for key, name in _AORTIC_NAMES)
    return f"Aortic calcium score {shown(total.agatston)} ({parts}); not part of the coronary score."


def borderline_sentence(findings: Findings) -> str:
    """Says so when the interval of the total straddles a category limit; empty if it does not."""
    low, high = findings.interval.get("CAC", (0.0, 0.0))
    crossed = [f"{limit:.0f}" for limit in _LIMITS if low < limit <= high]
    if low <= 0 < high:
        crossed.insert(0, "0")
    return (
        f"Borderline: the interval of the score includes the category limit {' and '.join(crossed)}." if crossed else ""
    )


def kvp_sentence(findings: Findings) -> str:
    """Says so when thresholds other than those at 120 kVp were used; empty if not."""
    definition = findings.definition
    if not definition.kvp_adapted:
        return ""
    at = f"{definition.kvp:g} kVp" if definition.kvp is not None else "the tube voltage"
    return f"kVp-adapted: thresholds for {at} were used ({definition.threshold_hu:g} HU instead of 130 HU)."


def _interval(findings: Findings, region: str) -> str:
    if region not in findings.interval:
        return ""
    low, high = findings.interval[region]
    return f" (5-95 % interval {shown(low)} to {shown(high)})"


def _amounts(score: RegionScore) -> str:
    lesions = "1 lesion" if score.lesions == 1 else f"{score.lesions} lesions"
    mass = "mass not calibrated" if score.mass_mg is None else f"mass {score.mass_mg:.1f} mg"
    return f"{lesions}, volume {score.volume_mm3:.0f} mm3, {mass}"


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
