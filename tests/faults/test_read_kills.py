"""Killed while a human read comes in, is compared, or releases what waited: each read is there once, compared once.

Both lives of a node are processes of their own. What was not acknowledged is sent again, as its sender would; what was
acknowledged is not.
"""

from __future__ import annotations

import signal
import socket
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from node.domain.human_read import ReadSource
from node.domain.read_history import ReadState
from node.domain.tiers import Tier
from node.settings import Settings
from node.storage.ledger import Ledger
from node.storage.originals import Originals
from tests.dicom_series import wire_bytes
from tests.faults.serving import Served, assert_in_order, run_command
from tests.faults.test_kills import by_uid
from tests.flow.site import Archive, Study, a_study, free_port, items_of, scanner, settled, wait_until, write_config
from tests.human_reports import a_report

PATIENCE = 200.0
# Every step is taken in ``test_read_steps``; here are those that a whole node adds something to.
LIVES = [
    "message intake.row-uncommitted",  # two results in one message, whose second never finds its study
    "report intake.row-committed",  # a report is acknowledged before it is looked at
    "report qualify.after-effect",
    "report qualify.before-commit",
    "scan after message compare.before-commit",  # the first comparison is the one
    "scan after message publish.before-commit",
    "scan after message deliver.after-effect",
    "message after scan compare.after-commit:2",  # the first comparison found nothing to compare
    "command intake.row-uncommitted",
]


@dataclass
class Life:
    """One node over two processes, and what was sent to it."""

    folder: Path
    bundle: Path
    archive: Archive
    study: Study = field(default_factory=lambda: a_study("killed read"))
    port: int = field(default_factory=free_port)
    hl7_port: int = field(default_factory=free_port)
    acknowledged: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.config = write_config(
            self.folder,
            [self.archive.destination(release="after_human_read")],
            scp={"port": self.port},
            hl7={"enabled": True, "host": "127.0.0.1", "port": self.hl7_port},
            series={"quiet_seconds": 1.0},
            reader={"bundle": str(self.bundle)},
        )
        self.report = a_report(self.study.images[0], 0.0)

    def send(self, what: str) -> None:
        """Send, unless it was acknowledged before."""
        if what in self.acknowledged:
            return
        self.sent.append(what)
        if {"message": self._tell, "report": self._store_report, "scan": self._store_scan}[what]():
            self.acknowledged.append(what)

    def message(self) -> bytes:
        lines = ["MSH|^~\\&|RIS|HOSP|NODE|HERE|20260304101500+0000||ORU^R01^ORU_R01|M1|P|2.5.1|||||DE|UNICODE UTF-8"]
        for number, study_uid in enumerate((self.study.study_uid, "1.2.3.4"), start=1):
            lines += [
                f"OBR|{number}||F{number}|CTCAC|||20260304093000|||||||||||||||20260304110000+0000|||F",
                f"OBX|1|ST|113014^DICOM Study^DCM||{study_uid}||||||F",
                "OBX|2|NM|LAD-AGATSTON||0||||||F",
            ]
        return "\r".join(lines).encode()

    def table(self) -> bytes:
        return f"study_uid,read_id,LAD\n{self.study.study_uid},F1,0\n1.2.3.4,F2,0\n".encode()

    def _tell(self) -> bool:
        answer = b""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.hl7_port), timeout=PATIENCE) as link:
            link.sendall(b"\x0b" + self.message() + b"\x1c\r")
            while not answer.endswith(b"\x1c\r") and (more := link.recv(4096)):
                answer += more
        return b"MSA|AA" in answer

    def _store_report(self) -> bool:
        return all(one.delivered for one in scanner(self.port, "WORKSTATION").send(items_of([self.report])))

    def _store_scan(self) -> bool:
        return all(one.delivered for one in scanner(self.port).send(items_of(self.study.images)))

    def done(self) -> bool:
        with Ledger(Settings.load(self.config, {}).storage.database_url) as ledger:
            return bool(ledger.comparisons_of(self.study.study_uid)) and settled(ledger)


@dataclass(frozen=True, kw_only=True)
class Lived:
    """What a life came to; ``config`` leads to all it has left."""

    ended: int
    said: str
    life: Life
    arrived: Mapping[str, set[bytes]]


def steps_of(scene: str) -> Sequence[str]:
    first, _, before = scene.partition(" after ")
    return [before, first] if before else [first]


def live(folder: Path, bundle: Path, name: str) -> Lived:
    folder.mkdir()
    scene, _, point = name.rpartition(" ")
    with Archive(folder / "archive") as archive:
        life = Life(folder, bundle, archive)
        ended, said = killed_command(life, point) if scene == "command" else killed_node(life, steps_of(scene), point)
        second = Served(life.config, folder / "second.log", forked=True)
        try:
            second.wait_ready(PATIENCE)
            if scene == "command":
                assert run_command(life.config, life.folder / "reads.csv") == 0
            else:
                for what in steps_of(scene):
                    life.send(what)
            life.send("scan")
            wait_until(life.done, PATIENCE)
            archive.wait_for(3, PATIENCE)
            wait_until(life.done, PATIENCE)
            assert second.stop(60) == 0, second.said()
        finally:
            second.kill()
        return Lived(ended=ended, said=said, life=life, arrived=by_uid(archive, life.study))


def killed_node(life: Life, steps: Sequence[str], point: str) -> tuple[int, str]:
    first = Served(life.config, life.folder / "first.log", point, forked=True)
    try:
        first.wait_ready(PATIENCE)
        for what in steps:
            life.send(what)
            if what == "scan" and what != steps[-1]:  # read, and found to have nothing to be compared with
                wait_until(lambda: compared_with_nothing(life), PATIENCE)
        return first.wait_end(PATIENCE), first.said()
    finally:
        first.kill()


def compared_with_nothing(life: Life) -> bool:
    with Ledger(Settings.load(life.config, {}).storage.database_url) as ledger:
        work = ledger.series_work(life.study.series_uid, 1)
        return any("no human read has come" in one.reasons for one in work)


def killed_command(life: Life, point: str) -> tuple[int, str]:
    """`reads import` beside a node that runs; the node ends in good order afterwards."""
    (life.folder / "reads.csv").write_bytes(life.table())
    first = Served(life.config, life.folder / "first.log", forked=True)
    try:
        first.wait_ready(PATIENCE)
        ended = run_command(life.config, life.folder / "reads.csv", point)
        assert first.stop(60) == 0
        return ended, first.said()
    finally:
        first.kill()


@pytest.fixture(scope="module")
def lives(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, bundle: Path
) -> Iterator[Mapping[str, Future[Lived]]]:
    folder = tmp_path_factory.mktemp("reads")
    params = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    chosen = [one["name"] for one in params if "name" in one]
    with ThreadPoolExecutor(2) as pool:
        started = {
            name: pool.submit(live, folder / f"life-{number}", bundle, name)
            for number, name in enumerate(LIVES)
            if name in chosen
        }
        yield started
        for one in started.values():
            one.cancel()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", LIVES)
def test_each_read_is_there_once_and_compared_once(name: str, lives: Mapping[str, Future[Lived]]) -> None:
    lived = lives[name].result()
    life = lived.life
    assert lived.ended == -signal.SIGKILL, f"the fault point was never passed: {lived.said}"
    assert life.sent.count("report") <= 1, "it was acknowledged, and need not be sent again"
    assert [len(contents) for contents in lived.arrived.values()] == [1, 1, 1]
    settings = Settings.load(life.config, {})
    with Ledger(settings.storage.database_url) as ledger:
        (read,) = ledger.reads_of(life.study.study_uid)
        assert read.state is ReadState.MATCHED
        waiting = ledger.quarantined_reads()
        assert len(waiting) == (0 if name.startswith("report") else 1)
        (compared,) = ledger.comparisons_of(life.study.study_uid)
        assert (compared.read_id, compared.tier) == (read.id, Tier.PRIORITY)
        original = Originals(settings.storage.root).read(read.original)
    given = {ReadSource.SR: wire_bytes(life.report), ReadSource.HL7: life.message(), ReadSource.FILE: life.table()}
    assert given[read.read.source] in (original, original[-len(given[read.read.source]) :])
    assert_in_order(life.config, declined=name.startswith("report"))


def test_an_undisturbed_life_has_nothing_to_repeat(tmp_path: Path, bundle: Path) -> None:
    """The control: the same scene without a fault, ended by a signal; nothing is sent twice."""
    with Archive(tmp_path / "archive") as archive:
        life = Life(tmp_path, bundle, archive)
        served = Served(life.config, tmp_path / "log", forked=True)
        try:
            served.wait_ready(PATIENCE)
            for what in ("message", "report", "scan"):
                life.send(what)
            wait_until(life.done, PATIENCE)
            archive.wait_for(3, PATIENCE)
            wait_until(life.done, PATIENCE)
            assert served.stop(60) == 0, served.said()
        finally:
            served.kill()
    assert life.acknowledged == life.sent == ["message", "report", "scan"]
    assert_in_order(life.config, declined=True)
