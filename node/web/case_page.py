"""What the template of a case is given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote

from node.domain.cases import CaseState
from node.domain.discrepancy import Comparison
from node.domain.people import Role
from node.domain.read_history import StoredRead
from node.domain.review import Decision, Radpeer, ReviewOutcome, proposed_radpeer
from node.stages.human_marks import DRAWN
from node.web import case_view
from node.web.accounts import Visitor
from node.web.blindness import Names
from node.web.case_files import CaseFile, neighbours, person
from node.web.house import House
from node.web.slices import VESSEL_COLOURS

_SHOWN_SCORES: Final = ("CAC", "LM", "LAD", "LCX", "RCA", "AC", "AV", "TA")


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One of the outcomes to choose from, and the RADPEER grade that is proposed with it."""

    value: str
    words: str
    proposed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PastDecision:
    """A version of the decision, for the history."""

    version: int
    words: str
    radpeer: str
    comment: str
    who: str
    at: datetime
    blind: bool
    withdrawn: bool
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRead:
    """A version of a human read, for the history."""

    counts: bool
    source: str
    version: int
    status: str
    state: str
    reader: str
    read_at: datetime | None
    received_at: datetime
    scores: str
    reason: str


def case_content(house: House, visitor: Visitor, file: CaseFile) -> dict[str, object]:
    """Everything ``case.html`` finds, beside what every template finds."""
    case, names = file.case, file.names
    before, after = neighbours(house, case.row.id)
    past = _decisions(house, visitor, file)
    return {
        "case": case,
        "names": names,
        "study": file.study,
        "viewer_url": viewer_url(house, file),
        "previous": before,
        "next": after,
        "rows": case_view.region_rows(case.comparison.differences, names),
        "tier_words": case_view.TIER_WORDS[case.comparison.tier],
        "reasons": case_view.reasons(case, names),
        "only_human": case_view.only_here(case, names),
        "borderline": () if names.blind else case.comparison.borderline,
        "scan_remarks": case_view.scan_remarks(file.findings),
        "read_remarks": () if names.blind else case_view.read_remarks(file.read, case, file.findings),
        "findings": file.findings,
        "lesions": _lesions(file),
        "drawn": file.read is not None and file.read.read.source in DRAWN,
        "vessels": tuple(VESSEL_COLOURS),
        "may_decide": visitor.may(Role.REVIEWER) and case.latest,
        "may_withdraw": visitor.may(Role.REVIEWER) and case.latest and case.row.state is CaseState.DECIDED,
        "options": options(case.comparison, names),
        "grades": tuple((str(one), case_view.RADPEER_WORDS[one]) for one in Radpeer),
        "version_next": len(case.decisions) + 1,
        "standing": past[0] if past and not past[0].withdrawn else None,
        "decisions": past,
        "reads": () if names.blind else _reads(house, visitor, file),
        "current": None if names.blind else house.ledger.case_of_study(case.row.study_uid),
    }


def options(comparison: Comparison, names: Names) -> tuple[Option, ...]:
    """The outcomes in the order of the reads; blind, none comes with a grade: it would say which read is whose."""
    if names.blind:
        return (
            Option(value="first", words="A is right", proposed=""),
            Option(value="second", words="B is right", proposed=""),
            Option(value=str(ReviewOutcome.BOTH_WRONG), words="Both are wrong", proposed=""),
            Option(value=str(ReviewOutcome.EQUIVALENT), words="Both are equally right", proposed=""),
        )
    return tuple(
        Option(value=str(one), words=words, proposed=str(proposed_radpeer(comparison, one)))
        for one, words in case_view.OUTCOME_WORDS.items()
    )


def viewer_url(house: House, file: CaseFile) -> str:
    """Where the study opens in the site's own viewer; empty if there is none, or not enough is known."""
    template = house.settings.viewer_url
    accession = file.case.row.accession
    if not template or ("{accession}" in template and not accession):
        return ""
    return template.format(study_uid=quote(file.case.row.study_uid, safe=""), accession=quote(accession, safe=""))


def _lesions(file: CaseFile) -> tuple[dict[str, object], ...]:
    """Those of the viewer's document, in its order: the causes first, then by size. Blind none: they are all ours."""
    if file.findings is None or file.names.blind:
        return ()
    found = file.findings.lesions
    causal = list(dict.fromkeys(at for at in file.case.comparison.lesions if 0 <= at < len(found)))
    rest = sorted(set(range(len(found))) - set(causal), key=lambda at: -found[at].agatston)
    return tuple(
        {
            "vessel": found[at].vessel,
            "agatston": found[at].agatston,
            "peak_hu": found[at].peak_hu,
            "slices": found[at].slices,
            "causal": at in causal,
        }
        for at in (*causal, *rest)
    )


def _decisions(house: House, visitor: Visitor, file: CaseFile) -> tuple[PastDecision, ...]:
    """Every version, the latest first."""
    sent = house.ledger.outcome_deliveries(file.case.row.id)
    return tuple(
        _past(house, visitor, one, case_view.told_to(sent.get(one.version, ())))
        for one in reversed(file.case.decisions)
    )


def _past(house: House, visitor: Visitor, one: Decision, told: str) -> PastDecision:
    return PastDecision(
        version=one.version,
        words="Withdrawn" if one.outcome is None else case_view.OUTCOME_WORDS[one.outcome],
        radpeer="" if one.radpeer is None else f"RADPEER {one.radpeer}: {case_view.RADPEER_WORDS[one.radpeer]}",
        comment=one.comment,
        who=person(house, visitor, one.reviewer),
        at=one.decided_at,
        blind=one.blind,
        withdrawn=one.withdrawn,
        told=told,
    )


def _reads(house: House, visitor: Visitor, file: CaseFile) -> tuple[PastRead, ...]:
    reads = house.ledger.reads_of(file.case.row.study_uid)
    return tuple(_past_read(house, visitor, one, counts=one.id == file.case.row.read_id) for one in reversed(reads))


def _past_read(house: House, visitor: Visitor, one: StoredRead, *, counts: bool) -> PastRead:
    read = one.read
    told = ((region, read.scores.get(region)) for region in _SHOWN_SCORES)
    scores = [f"{region} {held.agatston:g}" for region, held in told if held is not None and held.agatston is not None]
    return PastRead(
        counts=counts,
        source=str(read.source),
        version=read.version,
        status=str(read.status),
        state=str(one.state),
        reader=person(house, visitor, read.reader),
        read_at=read.read_at,
        received_at=one.received_at,
        scores=", ".join(scores),
        reason=one.reason,
    )
