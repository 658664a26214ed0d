"""What an instance says of its study and of the scanner: by what human reads are matched, and what the page shows.

The pixels are not looked at. What is found here names a patient and goes into the ledger only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from node.dicom.elements import Elements, tag_of
from node.dicom.encoding import DEFLATED, inflated
from node.dicom.files import content_of
from node.domain.studies import StudyFacts

_LAST: Final = tag_of("AccessionNumber"), tag_of("StudyID")
_LONGEST: Final = 256  # no value representation that is read here is longer; a longer one is no identifier


def study_facts(path: Path, ae_title: str) -> StudyFacts:
    """Facts from one file of a study, which ``ae_title`` sent.

    Raises
    ------
    Malformed
        It is no DICOM file, or its header is broken.
    OSError
        It cannot be read.

    """
    content = content_of(path.read_bytes())
    syntax = content.transfer_syntax_uid
    data = inflated(content.dataset, syntax) if syntax == DEFLATED else content.dataset
    return facts_of(Elements.of(data, syntax, last=max(_LAST)), ae_title)


def facts_of(elements: Elements, ae_title: str) -> StudyFacts:
    """The same from elements that are parsed already.

    Identifiers by PS3.3 C.7.1.1, C.7.2.1 and C.7.2.2; an issuer of the accession number is its local namespace, or
    else its universal id (HL7v2 hierarchic designator, PS3.3 10.14).
    """
    scans = elements.text("Modality") == "CT"
    return StudyFacts(
        study_uid=elements.uid("StudyInstanceUID"),
        accession=_text(elements, "AccessionNumber"),
        accession_issuer=_issuer(elements),
        issuer=_text(elements, "IssuerOfPatientID"),
        patient_id=_text(elements, "PatientID"),
        sex=_text(elements, "PatientSex"),
        age=_text(elements, "PatientAge"),
        birth_year=_text(elements, "PatientBirthDate")[:4],
        study_date=_text(elements, "StudyDate"),
        description=_text(elements, "StudyDescription"),
        manufacturer=_text(elements, "Manufacturer") if scans else "",
        model=_text(elements, "ManufacturerModelName") if scans else "",
        station=_text(elements, "StationName") if scans else "",
        ae_title=ae_title if scans else "",
    )


def _text(elements: Elements, keyword: str) -> str:
    """One line of text, without what cannot be kept or shown."""
    text = elements.text(keyword)[:_LONGEST]
    return "".join(sign for sign in text if sign.isprintable()).strip()


def _issuer(elements: Elements) -> str:
    item = elements.first("IssuerOfAccessionNumberSequence")
    return "" if item is None else _text(item, "LocalNamespaceEntityID") or _text(item, "UniversalEntityID")
