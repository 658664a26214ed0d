"""Retention over real files and a real ledger: what goes, what stays, and that a kill leaves nothing lying about."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from node.domain.cases import CaseFilter, NewComparison, PageOf
from node.domain.errors import Unreadable
from node.domain.faults import FAULT_POINTS, VARIABLE
from node.domain.human_read import StudyKey
from node.domain.records import NewWork, Outcome, StoredReading
from node.domain.retention import Goods, Hold, RetentionRule
from node.domain.review import Decision, ReviewOutcome
from node.domain.studies import StudyFacts
from node.domain.work import Stage
from node.stages.retain import LetGo, Retainer
from tests.dicom_series import Style, ct_series, thorax
from tests.node.domain.reads import a_comparison, a_read
from tests.node.rig import Rig
from tests.node.stages.retain_program import DAYS
from tests.node.storage.builders import an_answer

REPOSITORY = Path(__file__).parents[3]
PROGRAM = Path(__file__).with_name("retain_program.py")
FOLDERS = ("spool", "outbox", "reads", "quarantine")
MONTH = 31 * 86400


@dataclass
class Shelf:
    """A node's stores with scans on them."""

    rig: Rig

    def scan(self, name: str = "one", *, delivered: bool = True) -> str:
        """A scan that was read, with its answers; returns the series."""
        images = ct_series(thorax(3), Style(name=name))
        uid = self.rig.close(images, association=name)
        work = self.rig.claim(Stage.QUALIFY)
        keep = self.rig.outbox.keep
        answer = an_answer(f"9.{len(name)}.{ord(name[0])}", series=uid)
        reading = StoredReading(
            series_uid=uid,
            generation=1,
            findings=keep(b"findings", series_uid=uid, name="findings", suffix=".json"),
            mask=keep(b"mask", series_uid=uid, name="mask", suffix=".npz"),
            model_sha256="1",
            settings_sha256="2",
        )
        delivery = NewWork(
            stage=Stage.DELIVER, series_uid=uid, generation=1, object_uid=answer.sop_uid, destination="pacs"
        )
        answer = replace(answer, kept=keep(b"answer", series_uid=uid, name="seg", suffix=".dcm"))
        self.rig.finish(work, Outcome(reading=reading, objects=(answer,), followers=(delivery,)))
        if delivered:
            self.rig.finish(self.rig.claim(Stage.DELIVER), Outcome())
        return uid

    def compare(self, uid: str, human: float = 100.0) -> int:
        """A human read of it comes and is compared with ours of 100; returns the read."""
        study = self.rig.ledger.find_series(uid).study_uid
        original = self.rig.storage.originals.keep(b"a read of " + uid.encode())
        read = a_read(human, source_id=uid, study=StudyKey(study_uid=study))
        recorded = self.rig.ledger.record_read(read, original, "desk", self.rig.clock.now)
        self.rig.ledger.add_work(
            [NewWork(stage=Stage.COMPARE, series_uid=uid, generation=1, repeat=True)], self.rig.clock.now
        )
        new = NewComparison(
            study_uid=study,
            series_uid=uid,
            generation=1,
            read_id=recorded.read_id,
            limits_sha256="limits",
            comparison=a_comparison(100.0, human),
            model_sha256="5e" * 32,
            model_version="1.0",
        )
        self.rig.finish(self.rig.claim(Stage.COMPARE), Outcome(comparison=new))
        return recorded.read_id

    def matched(self, uid: str) -> None:
        """Its study is known, so that reads find it."""
        self.rig.ledger.record_study(
            StudyFacts(study_uid=self.rig.ledger.find_series(uid).study_uid), self.rig.clock.now
        )

    def settled(self, name: str = "one") -> str:
        """A scan that nobody needs any more."""
        uid = self.scan(name)
        self.matched(uid)
        self.compare(uid)
        return uid

    def retainer(self, rule: RetentionRule = DAYS, free: int = 0) -> Retainer:
        return Retainer(self.rig.storage, rule, free=lambda: free)

    def run(self, rule: RetentionRule = DAYS, free: int = 0) -> LetGo:
        return self.retainer(rule, free).run(self.rig.clock.now)

    def stays(self, goods: Goods, rule: RetentionRule = DAYS) -> set[Hold]:
        judged = self.retainer(rule).plan(self.rig.clock.now)
        return {hold for one in judged if one.candidate.goods is goods for hold in one.holds}

    @property
    def files(self) -> set[str]:
        return {path for folder in FOLDERS for path in self.rig.files(folder)}


@pytest.fixture
def shelf(rig: Rig) -> Shelf:
    return Shelf(rig)


def test_images_go_first_then_all_but_the_case(shelf: Shelf) -> None:
    uid = shelf.settled()
    assert shelf.run() == LetGo()
    shelf.rig.clock.advance(MONTH)
    assert shelf.run() == LetGo(images=1, files=3)
    assert shelf.rig.files("spool") == set()
    assert shelf.files == shelf.rig.ledger.known_paths()
    assert len(shelf.rig.ledger.members(uid, 1)) == 3  # what they were is still known
    assert shelf.run() == LetGo()
    shelf.rig.clock.advance(MONTH)
    assert shelf.run() == LetGo(answers=1, reads=1, files=4)
    assert shelf.files == shelf.rig.ledger.known_paths() == set()
    assert shelf.rig.ledger.find_series(uid) is None
    assert len(shelf.rig.ledger.cases(CaseFilter(), PageOf()).rows) == 1
    assert shelf.rig.ledger.integrity() == ()


def test_a_dry_run_changes_nothing(shelf: Shelf) -> None:
    shelf.settled()
    shelf.rig.clock.advance(3 * MONTH)
    before = shelf.files
    assert {one.candidate.goods for one in shelf.retainer().plan(shelf.rig.clock.now) if one.goes} == set(Goods)
    assert shelf.files == before == shelf.rig.ledger.known_paths()
    assert shelf.rig.ledger.marked() == ()


def test_what_is_not_delivered_stays(shelf: Shelf) -> None:
    uid = shelf.scan(delivered=False)
    shelf.rig.clock.advance(3 * MONTH)
    assert shelf.stays(Goods.IMAGES) >= {Hold.UNDELIVERED}
    dead = shelf.rig.claim(Stage.DELIVER)
    shelf.rig.ledger.park(dead, shelf.rig.clock.now, "refused by the peer")
    assert shelf.stays(Goods.ANSWERS) >= {Hold.UNDELIVERED}
    assert shelf.run(replace(DAYS, free_bytes=1 << 60, awaits_read=False)) == LetGo()
    assert shelf.rig.ledger.find_series(uid) is not None


def test_what_is_not_read_or_still_open_stays(shelf: Shelf) -> None:
    shelf.rig.send(ct_series(thorax(3)))
    shelf.rig.clock.advance(3 * MONTH)
    assert shelf.stays(Goods.IMAGES) == {Hold.OPEN}
    (opened,) = shelf.rig.ledger.open_series()
    shelf.rig.ledger.close_series(opened.series_uid, shelf.rig.clock.now, "quiet")
    assert shelf.stays(Goods.IMAGES) == {Hold.UNREAD}
    assert shelf.run() == LetGo()


def test_what_is_not_compared_stays_where_reads_are_awaited(shelf: Shelf) -> None:
    uid = shelf.scan()
    shelf.rig.clock.advance(MONTH)
    assert shelf.stays(Goods.IMAGES) == {Hold.NO_READ}
    assert shelf.run() == LetGo()
    shelf.matched(uid)
    read = a_read(0.0, source_id="x", study=StudyKey(study_uid=shelf.rig.ledger.find_series(uid).study_uid))
    original = shelf.rig.storage.originals.keep(b"a read")
    shelf.rig.ledger.record_read(read, original, "desk", shelf.rig.clock.now)
    patient = replace(DAYS, awaits_read=False)  # a read has come: not even then
    shelf.rig.clock.advance(3 * MONTH)
    assert shelf.stays(Goods.IMAGES, patient) == {Hold.UNCOMPARED}
    assert shelf.stays(Goods.READS, patient) == {Hold.UNCOMPARED}
    assert shelf.run(patient) == LetGo()


def test_an_open_flagged_case_keeps_all_of_its_study(shelf: Shelf) -> None:
    uid = shelf.scan()
    shelf.matched(uid)
    shelf.compare(uid, human=0.0)
    shelf.rig.clock.advance(3 * MONTH)
    for goods in Goods:
        assert shelf.stays(goods) == {Hold.UNREVIEWED}
    assert shelf.run(replace(DAYS, free_bytes=1 << 60)) == LetGo()
    (case,) = shelf.rig.ledger.cases(CaseFilter(), PageOf()).rows
    decision = Decision(
        version=1,
        outcome=ReviewOutcome.NODE_RIGHT,
        radpeer=None,
        comment="",
        reviewer="anna",
        decided_at=shelf.rig.clock.now,
        blind=True,
    )
    shelf.rig.ledger.add_decision(case.id, decision)
    assert shelf.stays(Goods.ANSWERS) == {Hold.UNDELIVERED}  # the outcome is to be told
    shelf.rig.finish(shelf.rig.claim(Stage.WRITE_BACK), Outcome())
    assert shelf.run() == LetGo(answers=1, reads=1, files=7)
    assert shelf.files == set()


def test_a_read_in_quarantine_keeps_its_original(shelf: Shelf) -> None:
    original = shelf.rig.storage.originals.keep(b"of nobody here")
    shelf.rig.ledger.record_read(a_read(1.0), original, "desk", shelf.rig.clock.now)
    shelf.rig.clock.advance(3 * MONTH)
    assert shelf.stays(Goods.READS) == {Hold.QUARANTINED}
    assert shelf.run() == LetGo()
    assert shelf.rig.storage.originals.holds(original)


def test_a_case_flagged_after_it_was_judged_stays(shelf: Shelf) -> None:
    uid = shelf.settled()
    shelf.rig.clock.advance(MONTH)
    (judged,) = (one for one in shelf.retainer().plan(shelf.rig.clock.now) if one.goes)
    shelf.rig.ledger.add_work(
        [NewWork(stage=Stage.COMPARE, series_uid=uid, generation=1, repeat=True)], judged.candidate.since
    )
    assert not shelf.rig.ledger.let_go(judged.candidate, shelf.rig.clock.now)
    assert len(shelf.rig.files("spool")) == 3


def test_for_room_the_oldest_goes_before_its_time(shelf: Shelf) -> None:
    shelf.settled("old")
    shelf.rig.clock.advance(60)
    young = shelf.settled("young")
    rule = RetentionRule(free_bytes=1000)
    assert shelf.retainer(rule, free=999).wants_room
    assert not shelf.retainer(rule, free=1000).wants_room
    assert shelf.run(rule, free=999) == LetGo(images=1, files=3)
    assert all(stored.path for stored in shelf.rig.ledger.members(young, 1))


def test_images_that_come_again_are_kept_again_and_read_once(shelf: Shelf) -> None:
    images = ct_series(thorax(3), Style(name="one"))
    uid = shelf.settled()
    shelf.rig.clock.advance(MONTH)
    shelf.run()
    with pytest.raises(Unreadable, match="no longer kept"):
        shelf.rig.spool.path(shelf.rig.ledger.members(uid, 1)[0].path)
    shelf.rig.send(images, "again")
    assert len(shelf.rig.files("spool")) == 3
    assert shelf.files == shelf.rig.ledger.known_paths()
    assert shelf.rig.ledger.find_series(uid).generation == 1
    assert shelf.run() == LetGo(images=1, files=3)


def test_an_original_that_comes_again_is_kept_again(shelf: Shelf) -> None:
    uid = shelf.settled()
    read_id = shelf.rig.ledger.reads_of(shelf.rig.ledger.find_series(uid).study_uid)[0].id
    shelf.rig.clock.advance(3 * MONTH)
    shelf.run()
    gone = shelf.rig.ledger.find_read(read_id)
    assert not shelf.rig.storage.originals.holds(gone.original)
    with pytest.raises(Unreadable, match="no longer kept"):
        shelf.rig.storage.originals.read(gone.original)
    again = shelf.rig.storage.originals.keep(b"again")
    shelf.rig.ledger.record_read(gone.read, again, "desk", shelf.rig.clock.now)
    assert shelf.rig.storage.originals.holds(shelf.rig.ledger.find_read(read_id).original)


def test_each_deletion_and_each_run_is_in_the_trail(shelf: Shelf) -> None:
    shelf.settled()
    assert shelf.rig.ledger.last_retention() is None
    shelf.rig.clock.advance(MONTH)
    shelf.run()
    run, gone = shelf.rig.ledger.audit_entries(actor="retention")
    assert (run.action, run.detail["images"], run.detail["files"]) == ("retention.run", 1, 3)
    assert (gone.action, gone.subject, gone.detail["files"]) == ("retention.let-go", "images", 3)
    assert shelf.rig.ledger.last_retention() == shelf.rig.clock.now
    assert shelf.rig.ledger.verify_audit() == ()


def test_a_file_that_cannot_be_removed_stays_marked(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf.settled()
    shelf.rig.clock.advance(MONTH)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", _refuse)
        assert shelf.run() == LetGo(images=1)
    assert len(shelf.rig.ledger.marked()) == 3
    assert shelf.run() == LetGo(files=3)
    assert shelf.rig.ledger.marked() == ()
    assert shelf.rig.files("spool") == set()


def _refuse(*_: object, **__: object) -> None:
    raise PermissionError(13, "Permission denied")


@pytest.mark.parametrize("point", [name for name in FAULT_POINTS if name.startswith("retention.")])
@pytest.mark.parametrize("passage", [1, 2])
def test_killed_and_run_again(shelf: Shelf, point: str, passage: int) -> None:
    for name in ("one", "another"):
        shelf.settled(name)
    shelf.rig.clock.advance(MONTH)
    shelf.rig.ledger.close()
    environ = {key: value for key, value in os.environ.items() if key != VARIABLE}
    environ |= {"PYTHONPATH": str(REPOSITORY), VARIABLE: f"{point}:{passage}"}
    command = [sys.executable, PROGRAM, shelf.rig.root, shelf.rig.clock.now.isoformat()]
    done = subprocess.run(command, env=environ, capture_output=True, check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr
    again = Shelf(Rig(shelf.rig.root, None))
    again.rig.clock.now = shelf.rig.clock.now
    known = again.rig.ledger.known_paths()
    assert known <= again.files  # no row without a file
    assert again.files - known <= set(again.rig.ledger.marked())  # no file that nobody knows of
    again.run()
    assert again.rig.files("spool") == set()
    assert again.files == again.rig.ledger.known_paths()
    assert again.rig.ledger.marked() == ()
    assert again.rig.ledger.integrity() == again.rig.ledger.verify_audit() == ()
    again.rig.ledger.close()


def test_two_at_once_do_no_harm(shelf: Shelf) -> None:
    uid = shelf.settled()
    shelf.rig.clock.advance(MONTH)
    (one,) = (one.candidate for one in shelf.retainer().plan(shelf.rig.clock.now) if one.goes)
    assert shelf.rig.ledger.let_go(one, shelf.rig.clock.now)
    assert not shelf.rig.ledger.let_go(one, shelf.rig.clock.now + timedelta(seconds=1))
    paths = shelf.rig.ledger.marked()
    assert shelf.retainer().take_up() == 3
    for path in paths:
        shelf.rig.storage.remove(path)  # the other one is late
    assert shelf.rig.ledger.find_series(uid) is not None
