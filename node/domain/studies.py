"""What a study says of itself: the facts a human read is matched by, and those the page shows.

These name a patient: they are kept in the ledger and never reach a log line or a metric.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from node.domain.human_read import StudyKey


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFacts:
    """One study, as its headers say. Everything but the UID may be empty.

    Attributes
    ----------
    issuer, accession_issuer
        Who gave out the patient id, and who the accession number.
    age, study_date
        As in DICOM: ``063Y`` and ``20260301``.
    birth_year
        The year alone: the page needs no more.
    manufacturer, model, station
        Of the scanner, from an image of it.
    ae_title
        Who sent it.

    """

    study_uid: str
    accession: str = ""
    accession_issuer: str = ""
    issuer: str = ""
    patient_id: str = ""
    sex: str = ""
    age: str = ""
    birth_year: str = ""
    study_date: str = ""
    description: str = ""
    manufacturer: str = ""
    model: str = ""
    station: str = ""
    ae_title: str = ""

    @property
    def scanner(self) -> str:
        """The scanner in a few words."""
        made = " ".join(part for part in (self.manufacturer, self.model) if part)
        return f"{made} ({self.station})" if made and self.station else made or self.station

    def completed_by(self, other: StudyFacts) -> StudyFacts:
        """These facts, with what they lack taken from another series of the study. What is there stays."""
        missing = {
            one.name: getattr(other, one.name)
            for one in fields(self)
            if not getattr(self, one.name) and getattr(other, one.name)
        }
        return replace(self, **missing)


def contradiction(key: StudyKey, study: StudyFacts) -> str:
    """Why a read that names this study by its UID is not taken for it, in words; empty where nothing speaks against.

    A patient id that differs is a slip that would put one patient's score into another's case.
    """
    if key.patient_id and study.patient_id and key.patient_id.strip() != study.patient_id.strip():
        return "the study it names belongs to another patient id"
    return ""


def same_issuer(key: StudyKey, study: StudyFacts) -> bool:
    """Whether the issuers allow a match: one that is not given says nothing against it."""
    given = {one.strip() for one in (study.issuer, study.accession_issuer) if one.strip()}
    return not key.issuer.strip() or not given or key.issuer.strip() in given
