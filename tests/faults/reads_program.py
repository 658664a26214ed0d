"""What a node does with a human read, without its pixels: ``reads_program.py ROOT read|scan``, which a fault may kill.

It takes up what lies under ROOT, has a scan that was read and a message of two results come in over a real MLLP
socket, in the order asked for, and works off what follows. Each thing that is done is printed once it is durable.
"""

from __future__ import annotations

import socket
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import structlog

from node.domain.findings import REGIONS, Findings, LesionFinding, RegionScore
from node.domain.policy import Policy
from node.domain.reading_json import dumps
from node.domain.records import NewWork, Outcome, StoredReading
from node.domain.release import ReleasePolicy
from node.domain.studies import StudyFacts
from node.domain.tiers import Limits
from node.domain.work import Stage
from node.intake.hl7_reads import Hl7Site
from node.intake.mllp import MllpConfig, MllpListener
from node.stages.compare import Comparer
from node.stages.hl7_door import Hl7Door
from node.stages.intake import Intake
from node.stages.release import Releaser, ReleaseRule
from node.storage.ledger import Ledger
from node.storage.originals import Originals
from node.storage.spool import Outbox, Spool, StorageLock
from node.storage.storage import Storage
from tests.node.storage.builders import LEASE, NOW, a_peer, an_answer, an_instance, dataset_of, receive
from tests.plain_model import DEFINITION, MODEL

STUDY, SERIES, OTHER, ANSWER = "1.2", "1.2.1", "1.2.3.4", "8.1"
RULES = {"pacs": ReleaseRule(policy=ReleasePolicy.AFTER_HUMAN_READ, longest=timedelta(days=1))}
MESSAGE = "\r".join(
    (
        "MSH|^~\\&|RIS|HOSP|NODE|HERE|20260304101500+0000||ORU^R01^ORU_R01|M1|P|2.5.1",
        "OBR|1||F1|CTCAC|||20260304093000|||||||||||||||20260304110000+0000|||F",
        f"OBX|1|ST|113014^DICOM Study^DCM||{STUDY}||||||F",
        "OBX|2|NM|LAD-AGATSTON||0||||||F",
        "OBR|2||F2|CTCAC|||20260304093000|||||||||||||||20260304110000+0000|||F",
        f"OBX|1|ST|113014^DICOM Study^DCM||{OTHER}||||||F",
        "OBX|2|NM|LAD-AGATSTON||3||||||F",
    )
).encode()


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


class Program:
    def __init__(self, root: Path) -> None:
        self.ledger = Ledger(f"sqlite:///{root}/ledger.sqlite")
        self.storage = Storage(ledger=self.ledger, spool=Spool(root, 0), outbox=Outbox(root), originals=Originals(root))
        known = self.ledger.known_paths()
        swept = [one.sweep(known) for one in (self.storage.spool, self.storage.outbox, self.storage.originals)]
        assert not any(one.missing for one in swept)
        self.ledger.release_claims(NOW)
        releaser = Releaser(self.ledger, RULES)
        releaser.reconsider(NOW)
        self.held = releaser.at_making("pacs", NOW)
        self.intake = Intake(self.storage, lambda: NOW, lambda: None)
        self.compare = Comparer(
            storage=self.storage, policy=Policy(), limits=Limits(), releaser=releaser, clock=lambda: NOW
        )

    def message(self) -> None:
        """As a RIS sends it; sent again, it is known already."""
        listener = MllpListener(MllpConfig(host="127.0.0.1", port=0), Hl7Door(self.intake, Hl7Site()))
        listener.start()
        with socket.create_connection(("127.0.0.1", listener.port), timeout=30) as link:
            link.sendall(b"\x0b" + MESSAGE + b"\x1c\r")
            got = b""
            while not got.endswith(b"\x1c\r"):
                got += link.recv(4096)
        listener.stop()
        say(got.decode().split("MSA|")[1][:2])

    def scan(self) -> None:
        """A series that is read: its stages before the comparison are other tests' matter."""
        if self.ledger.find_series(SERIES) is None:
            instance = an_instance("1.2.1.1", SERIES, STUDY)
            receive(self.storage.spool, self.ledger, instance, dataset_of("x"), a_peer())
        if self.ledger.open_series():
            self.ledger.close_series(SERIES, NOW, "geometry")
        while (work := self.ledger.claim(NOW, LEASE, (Stage.QUALIFY,))) is not None:
            found = self.storage.outbox.keep(dumps(findings()).encode(), series_uid=SERIES, name="r", suffix=".json")
            made = self.storage.outbox.keep(b"an answer", series_uid=SERIES, name="sr", suffix=".dcm")
            reading = StoredReading(
                series_uid=SERIES, generation=1, findings=found, mask=None, model_sha256="0", settings_sha256="0"
            )
            deliver = NewWork(
                stage=Stage.DELIVER,
                series_uid=SERIES,
                generation=1,
                object_uid=ANSWER,
                destination="pacs",
                held=self.held.reason,
                not_before=self.held.until,
            )
            outcome = Outcome(
                study=StudyFacts(study_uid=STUDY),
                reading=reading,
                objects=(replace(an_answer(ANSWER, "sr", SERIES), kept=made),),
                followers=(deliver, NewWork(stage=Stage.COMPARE, series_uid=SERIES, generation=1)),
            )
            self.ledger.finish(work, outcome, NOW)
        say("scan")

    def work(self) -> None:
        while (work := self.ledger.claim(NOW, LEASE, (Stage.COMPARE,))) is not None:
            self.ledger.finish(work, self.compare(work), NOW)
            say("compared")
        while (work := self.ledger.claim(NOW, LEASE, (Stage.DELIVER,), "pacs")) is not None:
            self.ledger.finish(work, Outcome(), NOW)
            say("delivered")


def findings() -> Findings:
    lesion = LesionFinding(
        vessel="LAD",
        agatston=120.0,
        volume_mm3=100.0,
        mass_mg=None,
        peak_hu=412.0,
        centroid_lps_mm=(1.0, -2.0, 3.5),
        slices=(12, 13),
        probability=0.9,
    )
    none = RegionScore(agatston=0.0, volume_mm3=0.0, mass_mg=None, lesions=0)
    some = RegionScore(agatston=120.0, volume_mm3=100.0, mass_mg=None, lesions=1)
    return Findings(
        study_uid=STUDY,
        series_uid=SERIES,
        scores={region: some if region in ("LAD", "CAC") else none for region in REGIONS},
        category="101-400",
        cac_drs="A2/N1",
        interval={"CAC": (110.0, 130.0)},
        lesions=(lesion,),
        quality={},
        definition=DEFINITION,
        model=MODEL,
        notes=(),
        timings_ms={},
    )


def main(root: Path, first: str) -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    with StorageLock(root):
        program = Program(root)
        steps = [program.message, program.scan]
        for step in steps if first == "read" else steps[::-1]:
            step()
            program.work()
        say("done")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
