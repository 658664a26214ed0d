"""The measurement report anew, once a person has settled the case: TID 1500 with what was found and how it was settled.

The new version holds all of the earlier one, so it is made of its bytes: neither the scan nor the settings it was read
by are needed any more. Our measurements stay as they were made; scores that a person chose stand in groups of their own
and are marked as chosen (Selection Status, TID 300). A verified report is one whose numbers a person answers for, so
only one that was found to be right can be verified (PS3.3 C.17.2).
"""

from __future__ import annotations

from datetime import datetime
from io import BytesIO
from typing import Final

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.sequence import Sequence

from node.dicom import codes
from node.dicom.codes import SITES, private
from node.dicom.content import (
    DATE_TIME,
    HAS_CONCEPT_MOD,
    HAS_OBS_CONTEXT,
    HAS_PROPERTIES,
    code,
    container,
    date_time,
    number,
    person_name,
    plain_name,
    predecessor_item,
    text,
    uid_reference,
)
from node.dicom.envelope import finished, plain, stamp
from node.dicom.headers import SOFTWARE_NAME
from node.dicom.impression import shown
from node.dicom.request import PredecessorRef, Role, StoredObject
from node.domain.errors import Unreadable
from node.domain.human_read import CORONARIES
from node.domain.identity import derived_uid
from node.domain.review import Assessment, ReviewOutcome
from node.domain.settlement import ScoresFrom, Settlement

_AFTER_MEASUREMENTS: Final = 3  # how far behind the series of the measurements that of the outcome is numbered
_LARGEST_IS: Final = 2**31 - 1
_WITHDRAWN: Final = private("WITHDRAWN", "The decision was withdrawn; nothing is settled")
_OUTCOMES: Final = {
    ReviewOutcome.HUMAN_RIGHT: private("HUMAN-RIGHT", "The human read is right"),
    ReviewOutcome.NODE_RIGHT: private("NODE-RIGHT", "This result is right"),
    ReviewOutcome.BOTH_WRONG: private("BOTH-WRONG", "Neither read is right"),
    ReviewOutcome.EQUIVALENT: private("EQUIVALENT", "Both reads are equally right"),
}
_ASSESSMENTS: Final = {
    Assessment.ACCEPTED: private("ACCEPTED", "Accepted"),
    Assessment.REJECTED: private("REJECTED", "Rejected"),
    Assessment.SUPPLEMENTED: private("SUPPLEMENTED", "Supplemented"),
}
_SOURCES: Final = {
    ScoresFrom.NODE: private("NODE", "The read of this software"),
    ScoresFrom.HUMAN: private("HUMAN", "The human read"),
}
_CORONARY: Final = frozenset((*CORONARIES, "CAC"))


def build_outcome(
    report: bytes, settlement: Settlement, predecessor: PredecessorRef, *, model_sha256: str, software_version: str
) -> StoredObject:
    """The next version of a report.

    Parameters
    ----------
    report
        The file of the measurement report that was made of the reading.
    predecessor
        The version before: that report, or what told of an earlier decision.

    Raises
    ------
    Unreadable
        If the file is no measurement report of this software.

    """
    dataset = _read(report)
    base = str(dataset.SOPInstanceUID)

    def uid(name: str) -> str:
        """The same report, settled in the same way after the same version, has the same UIDs."""
        sources = (base, predecessor.sop_uid)
        return derived_uid(sources=sources, model_sha256=model_sha256, settings_sha256=settlement.sha256, role=name)

    _measurements(dataset).ContentSequence.extend(
        _settled_group(base, region, settlement) for region in settlement.scores
    )
    dataset.SOPInstanceUID, dataset.SeriesInstanceUID = uid(Role.OUTCOME), uid(f"series:{Role.OUTCOME}")
    dataset.SeriesDescription = f"Calcium outcome ({SOFTWARE_NAME})"
    dataset.SeriesNumber = min(int(dataset.SeriesNumber) + _AFTER_MEASUREMENTS, _LARGEST_IS)
    dataset.SoftwareVersions = [plain(software_version, 64), *list(dataset.SoftwareVersions)[1:]]
    dataset.PredecessorDocumentsSequence = [predecessor_item(str(dataset.StudyInstanceUID), predecessor)]
    zone = dataset.get_item("TimezoneOffsetFromUTC")
    written = zone.value if zone is not None and isinstance(zone.value, bytes) else b""
    settled_at = stamp(dataset, settlement.settled_at, written)
    dataset.ContentSequence.append(_evaluations(settlement, settled_at))
    _sign(dataset, settlement, settled_at)
    return finished(dataset, Role.OUTCOME)


def sentence(settlement: Settlement) -> str:
    """How it was settled, for whoever reads the tree."""
    if settlement.outcome is None or settlement.assessment is None:
        return "The decision on this disagreement was withdrawn: nothing is settled."
    outcome = _OUTCOMES[settlement.outcome].meaning
    said = [f"Settled after a disagreement with a human read: {outcome[:1].lower()}{outcome[1:]}"]
    said.append(f"this result is {settlement.assessment}")
    if settlement.scores:
        scores = ", ".join(f"{region} {shown(score)}" for region, score in settlement.scores.items())
        said.append(f"Agatston scores that hold: {scores}")
    return "; ".join(said) + "."


def _read(report: bytes) -> Dataset:
    try:
        dataset = dcmread(BytesIO(report))
        _measurements(dataset)
    except (InvalidDicomError, AttributeError, StopIteration, EOFError) as error:
        raise Unreadable("the report that is to be settled is no measurement report of this software") from error
    return dataset


def _measurements(dataset: Dataset) -> Dataset:
    wanted = codes.IMAGING_MEASUREMENTS.value
    items: Sequence = dataset.ContentSequence
    return next(item for item in items if item.ConceptNameCodeSequence[0].CodeValue == wanted)


def _settled_group(base: str, region: str, settlement: Settlement) -> Dataset:
    tracking = derived_uid(sources=(base,), model_sha256="", settings_sha256="", role=f"settled:{region}")
    method = code(codes.MEASUREMENT_METHOD, codes.AGATSTON_METHOD, HAS_CONCEPT_MOD)
    chosen = code(codes.SELECTION_STATUS, codes.USER_CHOSEN, HAS_PROPERTIES)
    concept = codes.CORONARY_SCORE if region in _CORONARY else codes.CALCIUM_SCORE
    items = [
        text(codes.TRACKING_IDENTIFIER, f"Settled calcium {region}", HAS_OBS_CONTEXT),
        uid_reference(codes.TRACKING_UID, tracking, HAS_OBS_CONTEXT),
        code(codes.FINDING_CATEGORY, codes.ABNORMAL_STRUCTURE),
        code(codes.FINDING, codes.CALCIFICATION),
        code(codes.FINDING_SITE, SITES[region].site, HAS_CONCEPT_MOD),
        number(concept, settlement.scores[region], codes.NO_UNITS, [method, chosen]),
    ]
    if settlement.scores_from is not None:
        items.append(code(codes.SCORE_OF, _SOURCES[settlement.scores_from]))
    return container(codes.MEASUREMENT_GROUP, items, template="1501")


def _evaluations(settlement: Settlement, settled_at: datetime) -> Dataset:
    outcome, assessment = settlement.outcome, settlement.assessment
    items = [code(codes.OUTCOME, _WITHDRAWN if outcome is None else _OUTCOMES[outcome])]
    if assessment is not None:
        items.append(code(codes.ASSESSMENT, _ASSESSMENTS[assessment]))
    if settlement.radpeer is not None:
        grade = private(f"RADPEER-{settlement.radpeer.upper()}", f"RADPEER {settlement.radpeer}")
        items.append(code(codes.RADPEER, grade))
    if settlement.role:
        items.append(code(codes.SETTLED_BY, private(settlement.role.upper(), settlement.role.capitalize())))
    if settlement.reviewer:
        items.append(person_name(codes.PERSON_NAME, settlement.reviewer))
    items += [
        date_time(codes.SETTLED_AT, settled_at),
        number(codes.DECISION_VERSION, settlement.version, codes.NO_UNITS),
        text(codes.COMMENT, sentence(settlement)),
    ]
    return container(codes.QUALITATIVE_EVALUATIONS, items)


def _sign(dataset: Dataset, settlement: Settlement, settled_at: datetime) -> None:
    """Complete, as the report was; verified only by a named person, and only what was found to be right."""
    dataset.CompletionFlag = "COMPLETE"
    dataset.VerificationFlag = "VERIFIED" if settlement.verified else "UNVERIFIED"
    if settlement.verified:
        observer = Dataset()
        observer.VerifyingOrganization = plain(settlement.organization, 64)
        observer.VerificationDateTime = settled_at.strftime(DATE_TIME)
        observer.VerifyingObserverName = plain_name(settlement.reviewer)
        observer.VerifyingObserverIdentificationCodeSequence = Sequence()
        dataset.VerifyingObserverSequence = [observer]
