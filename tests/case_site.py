"""A site with one case that can be looked at: a made-up scan in the spool, a reading of it, human reads.

``python -m tests.case_site FOLDER [PORT]`` serves it with a patient of the demo.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import uvicorn
from numpy.typing import NDArray

from model.definition import definition_for
from model.lesions import CalciumMask
from model.risk import category
from model.scoring import lesions, score
from model.volume import CtVolume
from node.demo import patients
from node.dicom.scored_mask import CtContext
from node.domain.cases import NewComparison
from node.domain.discrepancy import OurRead, compare
from node.domain.findings import Findings, LesionFinding, ModelIdentity, RegionScore, ScoreDefinition
from node.domain.human_read import HumanRead, ReadScore, ReadSource, StudyKey
from node.domain.people import Role
from node.domain.policy import Policy
from node.domain.reading_json import dumps
from node.domain.records import NewWork, Outcome, StoredReading
from node.domain.series import Peer
from node.domain.studies import StudyFacts
from node.domain.tiers import Limits
from node.domain.work import Stage
from node.stages.intake import Intake
from node.stages.labels_file import pack_labels
from node.stages.receive import Receiver
from node.stages.stored_scans import HumanMarks, StoredScans, no_human_marks
from node.storage.comparisons_book import record_comparison
from node.web import passwords
from node.web.services import Services
from node.web.site import make_site
from node.web_settings import WebSettings
from tests.dicom_series import Style, ct_series, wire_bytes
from tests.node.rig import request_of
from tests.web_site import PASSWORD, WebSite

VIEWER = "https://pacs.example/view?study={study_uid}"


class CaseSite(WebSite):
    """A site whose cases have images."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.settings = self.settings.model_copy(update={"viewer_url": VIEWER})
        self.human_marks: HumanMarks = no_human_marks
        self.scans = StoredScans(self.storage, Policy(), human_marks=self._human_marks)
        services = Services(
            storage=self.storage,
            version="0.1.0",
            scans=self.scans,
            take_reads=Intake(self.storage, self.clock, lambda: None).take_all,
        )
        self.app = make_site(services, self.settings, self.clock)

    def known_user(self, name: str, role: Role) -> None:
        """A user with the password of all tests; hashed once, since that is meant to take long."""
        self.ledger.add_user(name, role, _hash(), self.clock())

    def scanned(
        self, name: str, volume: CtVolume, labels: NDArray[np.uint8], human: dict[str, float], **read: object
    ) -> int:
        """Receive a scan, record a reading of it with these marks and a human's read, and compare them."""
        images = ct_series(volume, Style(name=name))
        series, study = str(images[0].SeriesInstanceUID), str(images[0].StudyInstanceUID)
        self._receive(images, series)
        findings = findings_of(volume, labels, study, series)
        self._record(findings, labels)
        self.ledger.record_study(
            StudyFacts(
                study_uid=study,
                accession=f"ACC-{name}",
                patient_id=f"P-{name}",
                sex="F",
                age="063Y",
                study_date="20260228",
                description="Calcium score",
                manufacturer="SIEMENS",
                model="SOMATOM Force",
                station="CT01",
            ),
            self.clock(),
        )
        return self.read_again(findings, human, **read)

    def read_again(self, findings: Findings, human: dict[str, float], **read: object) -> int:
        """Record a read of the study and compare it with the reading; returns the case."""
        scores = {region: ReadScore(agatston=value) for region, value in human.items()}
        known = HumanRead(
            source=ReadSource.FILE,
            source_id=f"line {findings.study_uid[-6:]}",
            study=StudyKey(study_uid=findings.study_uid),
            reader="dr.smith",
            read_at=self.clock() - timedelta(hours=2),
            scores=scores,
        )
        known = replace(known, **read)  # type: ignore[arg-type] - whatever a test wants to be different
        kept = self.storage.originals.keep(repr(known).encode())
        recorded = self.ledger.record_read(known, kept, "test", self.clock())
        ours = OurRead(
            series_uid=findings.series_uid,
            agatston={region: one.agatston for region, one in findings.scores.items()},
            lesions=findings.lesions,
            profile=findings.definition.profile,
            kvp=findings.definition.kvp,
            interval=findings.interval["CAC"],
        )
        new = NewComparison(
            study_uid=findings.study_uid,
            series_uid=findings.series_uid,
            generation=1,
            read_id=recorded.read_id,
            limits_sha256="0" * 64,
            comparison=compare(ours, known, Limits()),
            model_sha256="1" * 64,
            model_version="1.0",
        )
        with self.ledger._database.writing() as connection:
            return record_comparison(connection, new, self.clock())

    def _human_marks(self, read_id: int, ct: CtContext) -> NDArray[np.uint8] | None:
        return self.human_marks(read_id, ct)

    def _receive(self, images: list, series: str) -> None:
        receiver = Receiver(self.storage.spool, self.ledger, self.clock, lambda: None)
        peer = Peer(ae_title="CT01", host="10.1.0.5", association=series)
        for image in images:
            receiver.store(wire_bytes(image), request_of(image, peer))
        self.ledger.close_series(series, self.clock(), "test")

    def _record(self, findings: Findings, labels: NDArray[np.uint8]) -> None:
        lease = timedelta(minutes=1)
        qualify = self.ledger.claim(self.clock(), lease, (Stage.QUALIFY,), None)
        read = NewWork(stage=Stage.READ, series_uid=findings.series_uid, generation=1)
        self.ledger.finish(qualify, Outcome(followers=(read,)), self.clock())
        work = self.ledger.claim(self.clock(), lease, (Stage.READ,), None)
        keep = self.storage.outbox.keep
        reading = StoredReading(
            series_uid=findings.series_uid,
            generation=1,
            findings=keep(dumps(findings).encode(), series_uid=findings.series_uid, name="reading:1", suffix=".json"),
            mask=keep(pack_labels(labels), series_uid=findings.series_uid, name="reading:1", suffix=".npz")
            if labels.any()
            else None,
            model_sha256="1" * 64,
            settings_sha256="2" * 64,
        )
        self.ledger.finish(work, Outcome(reading=reading), self.clock())


@cache
def _hash() -> str:
    return passwords.hashed(PASSWORD, initial=False)


def findings_of(volume: CtVolume, labels: NDArray[np.uint8], study: str, series: str) -> Findings:
    """A reading with these very marks."""
    mask, definition = CalciumMask(labels=labels, grid=volume.grid), definition_for(kvp=volume.kvp)
    scores = score(volume, mask, definition)
    total = scores.regions["CAC"].agatston
    return Findings(
        study_uid=study,
        series_uid=series,
        scores={
            name: RegionScore(agatston=one.agatston, volume_mm3=one.volume_mm3, mass_mg=None, lesions=one.lesions)
            for name, one in scores.regions.items()
        },
        category=category(total),
        cac_drs="A1/N2",
        interval={"CAC": (max(total - 12.0, 0.0), total + 12.0)},
        lesions=tuple(
            LesionFinding(
                vessel=str(one.vessel),
                agatston=one.agatston,
                volume_mm3=one.volume_mm3,
                mass_mg=None,
                peak_hu=one.peak_hu,
                centroid_lps_mm=one.centroid_lps_mm,
                slices=one.slices,
                probability=0.9,
            )
            for one in lesions(volume, mask, definition)
        ),
        quality={"noise_sd_hu": 18.0, "truncated": [], "doubts": ["noise of 18 HU"]},
        definition=ScoreDefinition(
            profile=definition.profile,
            connectivity=definition.connectivity,
            minimum_area=definition.minimum_area_text,
            threshold_hu=definition.threshold_hu,
            weight_limits_hu=definition.weight_limits_hu,
            kvp=definition.kvp,
            kvp_adapted=definition.kvp_adapted,
            mass_factor=None,
        ),
        model=ModelIdentity(name="test reader", version="1.0", sha256="1" * 64, trained_on="Phantoms."),
    )


def main(folder: str, port: str = "8043") -> None:
    """Serve the patient of the demo who has moderate calcium, the RCA overlooked by the human."""
    site = CaseSite(Path(folder), WebSettings())
    site.clock.now = datetime.now(UTC)
    for name, role in (("anna", Role.ADMIN), ("rene", Role.REVIEWER), ("vera", Role.VIEWER)):
        site.user(name, role)
    patient = patients.load("moderate")
    site.scanned("moderate", patient.volume, patient.truth.labels, {"LM": 0, "LAD": 60, "LCX": 10, "RCA": 0})
    uvicorn.run(site.app, host="127.0.0.1", port=int(port), log_level="warning")


if __name__ == "__main__":
    main(*sys.argv[1:])
