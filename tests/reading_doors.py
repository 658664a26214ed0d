"""Every door a human read can come in by, each over the wire it has: what is said of a scan, and the answer to that.

What a person says is one value (:class:`Said`); each door writes it in its own form and sends it to a running node.
"""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydicom.dataset import Dataset
from typer.testing import CliRunner

from node.cli import app
from node.dicom import codes
from node.dicom.codes import SITES
from node.dicom.content import code, container, number
from node.dicom.outgoing import SendItem
from node.domain.people import Role
from node.service import Node
from node.web.accounts import sha256_of
from tests.dicom_series import file_bytes, uid
from tests.flow.site import scanner, settle, wait_until
from tests.human_reports import a_report

SECRET = "a machine's secret"  # noqa: S105 - of a made-up token
HEAD = "MSH|^~\\&|RIS|HOSP|NODE|HERE|20260304101500+0000||ORU^R01^ORU_R01|M1|P|2.5.1|||||DE|UNICODE UTF-8"
COLUMNS = ("study_uid", "patient_id", "read_id", "version")


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a person reports, its scores as they are written."""

    study_uid: str
    name: str
    patient_id: str = ""
    scores: Mapping[str, str] = field(default_factory=lambda: {"LAD": "120"})
    version: int = 1


@dataclass(frozen=True)
class Answer:
    """The status in the protocol's terms, and every word beside it."""

    status: str
    words: str


@dataclass(frozen=True, kw_only=True)
class Hospital:
    """A node with every door open, the folder of its configuration, and an image of the scan it has read."""

    node: Node
    folder: Path
    image: Dataset

    @classmethod
    def of(cls, node: Node, folder: Path, image: Dataset) -> Hospital:
        now = node.storage.ledger.add_user("ris", Role.REVIEWER, "", node._clock())
        node.storage.ledger.add_token(now, "machine", sha256_of(SECRET), Role.REVIEWER, now=node._clock())
        return cls(node=node, folder=folder, image=image)

    def command(self, data: bytes, suffix: str) -> Answer:
        path = self.folder / f"given{suffix}"
        path.write_bytes(data)
        arguments = ["reads", "import", str(path), "--config", str(self.folder / "node.toml")]
        result = CliRunner(env={"COLUMNS": "400"}).invoke(app, arguments)
        return Answer(f"exit {result.exit_code}", " ".join(result.output.split()))

    def post(self, data: bytes, kind: str, path: str = "reads") -> Answer:
        assert self.node.page is not None
        headers = {"Content-Type": kind, "Authorization": f"Bearer {SECRET}"}
        request = urllib.request.Request(f"{self.node.page.address}api/v1/{path}", data, headers, method="POST")  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - this machine
                return Answer(str(answer.status), answer.read().decode())
        except urllib.error.HTTPError as error:
            body, told = json.loads(error.read()), error.headers["Content-Type"] == "application/problem+json"
            return Answer(str(error.code), body["detail"] if told else json.dumps(body))

    def tell(self, message: bytes) -> Answer:
        """By HL7, over a real socket; the code of the acknowledgement, and its words."""
        assert self.node.hl7 is not None
        with socket.create_connection(("127.0.0.1", self.node.hl7.port), timeout=60) as link:
            link.sendall(b"\x0b" + message + b"\x1c\r")
            got = b""
            while not got.endswith(b"\x1c\r"):
                got += link.recv(4096)
        msa = next(line for line in got.decode("ascii").split("\r") if line.startswith("MSA"))
        return Answer(msa.split("|")[1], got.decode("ascii"))

    def store(self, data: bytes, series_uid: str) -> Answer:
        """By C-STORE; the words are what the node says of the series once it has looked at it."""
        (outcome,) = scanner(self.node.port, "WORKSTATION").send([SendItem.of_file(data)])
        outcome.require()
        return Answer("0000", "; ".join(looked_at(self.node, series_uid)))


def looked_at(node: Node, series_uid: str) -> tuple[str, ...]:
    """What the node says of a series that it did not read."""
    ledger = node.storage.ledger
    wait_until(lambda: (one := ledger.find_series(series_uid)) is not None and one.generation > 0, 120)
    settle(node, 120)
    verdict = ledger.verdict(series_uid, ledger.find_series(series_uid).generation)
    assert verdict is not None
    return verdict.reasons


def table_of(said: Said, delimiter: str = ",") -> str:
    names = [*COLUMNS, *said.scores]
    cells = [said.study_uid, said.patient_id, said.name, str(said.version), *said.scores.values()]
    return f"{delimiter.join(names)}\n{delimiter.join(cells)}\n"


def document_of(said: Said) -> bytes:
    """As JSON, with each score as the bare word it is: NaN stays one, what is no number is a text."""
    scores = {region: _number(text) for region, text in said.scores.items()}
    fields = {"study_uid": said.study_uid, "read_id": said.name, "version": said.version, "scores": scores}
    return json.dumps(fields | ({"patient_id": said.patient_id} if said.patient_id else {})).encode()


def message_of(said: Said, head: str = HEAD) -> str:
    lines = [
        head,
        f"PID|1||{said.patient_id}",
        f"OBR|1||{said.name}|CTCAC|||20260304093000|||||||||||||||2026030411{said.version:02d}00+0000|||F",
        f"OBX|1|ST|113014^DICOM Study^DCM||{said.study_uid}||||||F",
        *(f"OBX|2|NM|{region}-AGATSTON||{text}||||||F" for region, text in said.scores.items()),
    ]
    return "\r".join(lines)


def resource_of(said: Said) -> bytes:
    observations = [
        {
            "resourceType": "Observation",
            "id": region,
            "status": "final",
            "code": {"coding": [{"system": "urn:any", "code": f"{region}-AGATSTON"}]},
            "valueQuantity": {"value": _number(text)},
        }
        for region, text in said.scores.items()
    ]
    report = {
        "resourceType": "DiagnosticReport",
        "id": said.name,
        "meta": {"versionId": str(said.version)},
        "identifier": [{"system": "urn:ris", "value": said.name}],
        "status": "final",
        "imagingStudy": [{"identifier": {"system": "urn:dicom:uid", "value": f"urn:oid:{said.study_uid}"}}],
        "contained": observations,
        "result": [{"reference": f"#{region}"} for region in said.scores],
    }
    subject = {"subject": {"identifier": {"system": "urn:hosp", "value": said.patient_id}}}
    return json.dumps(report | (subject if said.patient_id else {})).encode()


def _number(text: str) -> object:
    try:
        return float(text)
    except ValueError:
        return text


def report_of(image: Dataset, said: Said) -> Dataset:
    """A structured report of another maker: a group per region."""
    groups = []
    for region, written in said.scores.items():
        value = number(codes.CALCIUM_SCORE, _number(written) if region != "LAD" else 120.0, codes.NO_UNITS)
        del value.MeasuredValueSequence[0].FloatingPointValue
        site = code(codes.FINDING_SITE, SITES[region].site, "HAS CONCEPT MOD")
        groups.append(container(codes.MEASUREMENT_GROUP, [site, value]))
    report = a_report(image, 0.0, ContentSequence=[container(codes.IMAGING_MEASUREMENTS, groups)])
    report.StudyInstanceUID, report.ContentTime = said.study_uid, f"11{said.version:02d}00"
    report.PatientID = said.patient_id or report.PatientID
    report.SOPInstanceUID, report.SeriesInstanceUID = uid("report", said.name, said.version), uid("series", said.name)
    return report


def stored_report(hospital: Hospital, said: Said) -> Answer:
    """By C-STORE; what is no decimal string is put into the bytes, as no library would write it."""
    report = report_of(hospital.image, said)
    data = file_bytes(report)
    written = said.scores["LAD"].ljust(4).encode()
    assert data.count(b"DS\x04\x00120 ") == 1
    return hospital.store(data.replace(b"DS\x04\x00120 ", b"DS\x04\x00" + written), str(report.SeriesInstanceUID))


Door = Callable[[Hospital, Said], Answer]
DOORS: dict[str, Door] = {
    "table by command": lambda one, said: one.command(table_of(said).encode(), ".csv"),
    "document by command": lambda one, said: one.command(document_of(said), ".json"),
    "table by API": lambda one, said: one.post(table_of(said).encode(), "text/csv"),
    "document by API": lambda one, said: one.post(document_of(said), "application/json"),
    "HL7": lambda one, said: one.tell(message_of(said).encode()),
    "FHIR": lambda one, said: one.post(resource_of(said), "application/fhir+json", "fhir/DiagnosticReport"),
    "report": stored_report,
}
