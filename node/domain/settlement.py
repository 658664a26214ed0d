"""What is told outside of this node of a case that a person has settled: who was right, which scores hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from node.domain.discrepancy import Comparison
from node.domain.findings import REGIONS
from node.domain.review import ASSESSMENT_OF, Assessment, Decision, Radpeer, ReviewOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosure:
    """What a site lets out beside the outcome itself.

    ``radpeer``: the grade of the human read; ``reviewer``: the reviewer's name instead of the role only;
    ``organization``: what the reviewer verifies the report for, empty where nobody verifies.
    """

    radpeer: bool = False
    reviewer: bool = False
    organization: str = ""

    def __post_init__(self) -> None:
        if self.organization and not self.reviewer:
            raise ValueError("a report is verified by somebody: the reviewer has to be named")


class ScoresFrom(StrEnum):
    """Whose scores hold."""

    NODE = "node"
    HUMAN = "human"


_SCORES_FROM: Final = {
    ReviewOutcome.NODE_RIGHT: ScoresFrom.NODE,
    ReviewOutcome.EQUIVALENT: ScoresFrom.NODE,
    ReviewOutcome.HUMAN_RIGHT: ScoresFrom.HUMAN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """One version of a decision as it is told.

    Attributes
    ----------
    version
        Of the decision, from 1.
    outcome
        None where the decision before was withdrawn: nothing is settled any more.
    scores, scores_from
        Agatston score by region of :data:`node.domain.findings.REGIONS`, as far as the read that holds reports it,
        and whose; none where both reads are wrong.
    radpeer
        None where it was not assigned or is not told.
    role
        Of who settled it; empty where that user is not known any more.
    reviewer
        Their name; empty where it is not told.
    organization
        For which they verify; empty where nobody does.

    """

    version: int
    outcome: ReviewOutcome | None
    settled_at: datetime
    scores: Mapping[str, float] = field(default_factory=dict)
    scores_from: ScoresFrom | None = None
    radpeer: Radpeer | None = None
    role: str = ""
    reviewer: str = ""
    organization: str = ""

    @property
    def assessment(self) -> Assessment | None:
        """What it means for our result."""
        return None if self.outcome is None else ASSESSMENT_OF[self.outcome]

    @property
    def verified(self) -> bool:
        """Whether a person answers for the content of our report: never where it was found to be wrong."""
        named = bool(self.organization and self.reviewer)
        return named and self.assessment is Assessment.ACCEPTED

    @property
    def sha256(self) -> str:
        """What makes two settlements the same."""
        text = json.dumps(asdict(self), sort_keys=True, default=datetime.isoformat)
        return hashlib.sha256(text.encode("ascii")).hexdigest()


def settlement_of(comparison: Comparison, decision: Decision, role: str, disclosure: Disclosure) -> Settlement:
    """What is told of a decision; what the site does not let out is not in it."""
    source = None if decision.outcome is None else _SCORES_FROM.get(decision.outcome)
    return Settlement(
        version=decision.version,
        outcome=decision.outcome,
        settled_at=decision.decided_at,
        scores={} if source is None else _scores(comparison, source),
        scores_from=source,
        radpeer=decision.radpeer if disclosure.radpeer else None,
        role=role,
        reviewer=decision.reviewer if disclosure.reviewer else "",
        organization=disclosure.organization,
    )


def _scores(comparison: Comparison, source: ScoresFrom) -> dict[str, float]:
    by_region = {one.region: one for one in comparison.differences}
    found = {
        region: by_region[region].ours if source is ScoresFrom.NODE else by_region[region].human
        for region in REGIONS
        if region in by_region
    }
    return {region: score for region, score in found.items() if score is not None}
