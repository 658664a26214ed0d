"""What the headers of a stack say for or against a calcium scan. They often say nothing, and real ones lie."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from node.domain.grouping import SliceGroup
from node.domain.kernels import KernelGrade, kernel_grade
from node.domain.policy import Policy, found
from node.domain.series import Acquisition
from node.domain.verdict import Finding, Reason

_KVP_TOLERANCE = 0.5
_SHOWN = 60  # characters of a header value in a sentence
_UNCONTRASTED = ("", "NO", "NONE", "N", "NO CONTRAST", "WITHOUT")


def header_findings(group: SliceGroup, policy: Policy) -> Iterator[Finding]:
    """Every finding about the headers of one stack, each distinct one once."""
    seen: set[tuple[Reason, str]] = set()
    for acquisition in dict.fromkeys(group.acquisitions):
        for finding in _of_one(acquisition, policy):
            if (finding.reason, finding.text) not in seen:
                seen.add((finding.reason, finding.text))
                yield finding
    yield from _voltage(group, policy)


def _of_one(acquisition: Acquisition, policy: Policy) -> Iterator[Finding]:
    yield from _contrast(acquisition)
    yield from _text(acquisition, policy)
    yield from _kernel(acquisition, policy)
    yield from _gating(acquisition, policy)
    elsewhere = found(policy.text.elsewhere, plain(acquisition.body_part))
    if elsewhere:
        text = f"body part examined is '{elsewhere}'"
        yield Finding(reason=Reason.BODY_PART, text=text, weight=policy.weights.body_part)
    elsewhere = found(policy.text.elsewhere, plain(acquisition.series_description))
    if elsewhere:
        text = f"the series description says '{elsewhere}'"
        yield Finding(reason=Reason.BODY_PART, text=text, weight=policy.weights.body_part)


def plain(text: str) -> str:
    """A description as the patterns see it: lower case, one space for every run of separators."""
    return " ".join(re.sub(r"[_\-()\[\],;:]", " ", text.lower()).split())


def _contrast(acquisition: Acquisition) -> Iterator[Finding]:
    # What the field says is typed by people and is not repeated: reasons are logged.
    if " ".join(acquisition.contrast.upper().split()) not in _UNCONTRASTED:
        text = "a contrast agent is named in the header (Contrast/Bolus Agent)"
        yield Finding(reason=Reason.CONTRAST, text=text, decisive=True)


def _text(acquisition: Acquisition, policy: Policy) -> Iterator[Finding]:
    """Descriptions, nearest first: a study's name must not speak against a series that names itself."""
    named_by = ""
    decided = False
    for where, text in (
        ("series description", acquisition.series_description),
        ("protocol name", acquisition.protocol),
        ("study description", acquisition.study_description),
    ):
        words = plain(text)
        calcium = found(policy.text.calcium, words)
        for pattern in policy.text.not_contrast:
            words = re.sub(pattern, " ", words)
        contrast = found(policy.text.contrast, words)
        if calcium and not named_by:
            named_by = where
            credit = 0.0 if decided else policy.weights.calcium_text
            yield Finding(reason=Reason.CALCIUM_TEXT, text=f"the {where} says '{calcium}'", weight=credit)
        if contrast:
            weight = policy.weights.contrast_text
            if named_by:
                weight = policy.weights.contrast_and_calcium_text if named_by == where else 0.0
            said = f"the {where} says '{contrast}', a contrast phase"
            yield Finding(reason=Reason.CONTRAST, text=said, weight=0.0 if decided else weight)
        decided = decided or bool(calcium or contrast)


def _kernel(acquisition: Acquisition, policy: Policy) -> Iterator[Finding]:
    name = " ".join(acquisition.kernel.upper().split())
    grade = kernel_grade(name, policy.kernel)
    if grade is KernelGrade.SHARP:
        text = f"reconstruction kernel {name[:_SHOWN]} is a sharp one"
        yield Finding(reason=Reason.KERNEL, text=text, decisive=True)
    elif grade is KernelGrade.FIRM:
        text = f"reconstruction kernel {name[:_SHOWN]} is firmer than calcium scores are read with"
        yield Finding(reason=Reason.KERNEL, text=text, weight=policy.weights.kernel_firm)
    elif not name:
        yield Finding(reason=Reason.KERNEL, text="reconstruction kernel is not given")
    elif grade is KernelGrade.UNKNOWN:
        yield Finding(reason=Reason.KERNEL, text=f"reconstruction kernel {name[:_SHOWN]} is not known here")


def _gating(acquisition: Acquisition, policy: Policy) -> Iterator[Finding]:
    if acquisition.gating.strip().upper().startswith("NONE") and acquisition.cardiac_phase_percent is None:
        text = "the header says that the scan was not ECG-gated"
        yield Finding(reason=Reason.GATING, text=text, weight=policy.weights.not_gated)
        return
    options = " ".join(acquisition.scan_options).upper()
    told = acquisition.gating or acquisition.cardiac_phase_percent is not None
    if told or re.search(r"CARD|ECG|EKG|GATE|TRIG|PROSP|HEART|\bTP\b", options):
        return
    text = "gating: unknown (the header does not say whether the scan was ECG-gated)"
    yield Finding(reason=Reason.GATING, text=text, weight=policy.weights.gating_unknown)


def _voltage(group: SliceGroup, policy: Policy) -> Iterator[Finding]:
    said = {one.kvp if one.kvp is not None and math.isfinite(one.kvp) else None for one in group.acquisitions}
    known = sorted(value for value in said if value is not None and value > 0)
    tables = ", ".join(f"{value:g}" for value in policy.kvp)
    if len(known) > 1:
        text = f"tube voltage changes within the stack: {', '.join(f'{value:g}' for value in known)} kV"
        yield Finding(reason=Reason.KVP, text=text, decisive=True)
    for value in known:
        if all(abs(value - table) > _KVP_TOLERANCE for table in policy.kvp):
            text = f"tube voltage {value:g} kV has no score table; {tables} kV have one"
            yield Finding(reason=Reason.KVP, text=text, decisive=True)
        elif abs(value - 120.0) > _KVP_TOLERANCE:
            yield Finding(reason=Reason.KVP, text=f"tube voltage {value:g} kV: the score is kVp-adapted")
    if len(known) == len(said):
        return
    if policy.assume_kvp is None:
        text = "tube voltage is not given, and the site assumes none"
        yield Finding(reason=Reason.KVP, text=text, decisive=True)
    else:
        text = f"tube voltage is not given; {policy.assume_kvp:g} kV is assumed by the site's setting"
        yield Finding(reason=Reason.KVP, text=text)
