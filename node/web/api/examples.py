"""What bodies and answers look like, for the OpenAPI document; tests send and parse them."""

from __future__ import annotations

from typing import Any, Final

READ: Final[dict[str, Any]] = {
    "study_uid": "1.2.840.99999.1",
    "patient_id": "P1",
    "read_id": "ris-4711",
    "version": 1,
    "status": "final",
    "reader": "reader-7",
    "read_at": "2026-03-04T10:15:00+01:00",
    "scores": {"LM": 0, "LAD": 120.5, "LCX": 0, "RCA": {"agatston": 7, "volume_mm3": 11}, "CAC": 127.5},
}
TABLE: Final = (
    "study_uid;read_id;version;reader;LM;LAD;LCX;RCA;CAC\n1.2.840.99999.1;ris-4711;1;reader-7;0;120,5;0;7;127,5\n"
)
REPORT: Final[dict[str, Any]] = {
    "resourceType": "DiagnosticReport",
    "id": "r1",
    "meta": {"versionId": "1"},
    "status": "final",
    "identifier": [{"system": "urn:ris:reports", "value": "4711"}],
    "imagingStudy": [{"identifier": {"system": "urn:dicom:uid", "value": "urn:oid:1.2.840.99999.1"}}],
    "subject": {"identifier": {"system": "urn:hospital:patients", "value": "P1"}},
    "effectiveDateTime": "2026-03-04T10:15:00+01:00",
    "contained": [
        {
            "resourceType": "Observation",
            "id": "lad",
            "status": "final",
            "code": {"coding": [{"system": "http://snomed.info/sct", "code": "450360000"}]},
            "bodySite": {"coding": [{"system": "http://snomed.info/sct", "code": "59438005"}]},
            "valueQuantity": {"value": 120.5},
        }
    ],
    "result": [{"reference": "#lad"}],
}
DECISION: Final[dict[str, Any]] = {"version": 1, "outcome": "node-right", "radpeer": "2b", "comment": "a missed lesion"}
FAULT: Final[dict[str, Any]] = {
    "type": "about:blank",
    "title": "Something in the form is not right",
    "status": 422,
    "detail": "read.scores.LAD: a number is needed",
    "reasons": ["read.scores.LAD: a number is needed"],
}
