"""The page of a case says who was told how it was settled."""

from __future__ import annotations

import shutil
from datetime import timedelta

import numpy as np
import pytest

from model.lesions import Vessel
from node.domain.people import Role
from node.domain.records import Kept, NewWork, Outcome, StoredAnswer, WrittenBack
from node.domain.review import Decision, ReviewOutcome
from node.domain.work import Stage
from tests.case_site import CaseSite
from tests.heart_scan import BEAD, heart_scan

LEASE = timedelta(minutes=1)


@pytest.fixture
def site(tmp_path, empty_ledger):
    shutil.copy(empty_ledger, tmp_path / "ledger.sqlite")
    made = CaseSite(tmp_path)
    made.known_user("vera", Role.VIEWER)
    yield made
    made.ledger.close()


@pytest.fixture
def case(site):
    volume = heart_scan()
    labels = np.zeros(volume.grid.shape, np.uint8)
    k, row, column = BEAD
    labels[k : k + 2, row : row + 4, column : column + 4] = Vessel.LAD.label
    return site.scanned("told", volume, labels, {"LM": 0, "LAD": 0, "LCX": 0, "RCA": 0})


def decide(site: CaseSite, case: int, version: int, outcome: ReviewOutcome | None, *destinations: str) -> None:
    """Decide, and write it back as the stage does."""
    decided = Decision(
        version=version,
        outcome=outcome,
        radpeer=None,
        comment="",
        reviewer="rene",
        decided_at=site.clock(),
        blind=True,
        withdrawn=outcome is None,
    )
    site.ledger.add_decision(case, decided)
    work = site.ledger.claim(site.clock(), LEASE, (Stage.WRITE_BACK,))
    uid = f"2.25.{version}"
    made = StoredAnswer(
        sop_uid=uid,
        series_uid=work.series_uid,
        generation=1,
        role="outcome",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.88.34",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        made_series_uid=f"{uid}.9",
        kept=Kept(path=f"outbox/{uid}", sha256="1" * 64, size=1),
    )
    written = WrittenBack(decision_id=int(work.object_uid), series_uid=work.series_uid, generation=1, sop_uid=uid)
    followers = tuple(
        NewWork(stage=Stage.DELIVER, series_uid=work.series_uid, generation=1, object_uid=uid, destination=name)
        for name in destinations
    )
    objects = (made,) if destinations else ()
    ended = Outcome(objects=objects, written=written if destinations else None, followers=followers)
    site.ledger.finish(work, ended, site.clock())


def test_who_was_told_who_will_be_and_who_could_not_be(site, case):
    browser = site.logged_in("vera")
    decide(site, case, 1, ReviewOutcome.NODE_RIGHT, "pacs", "ris", "web", "archive")
    page = browser.get(f"/cases/{case}").text
    assert "Outcome on its way to archive, pacs, ris, web." in page
    for name in ("archive", "pacs", "web"):
        work = site.ledger.claim(site.clock(), LEASE, (Stage.DELIVER,), name)
        if name == "web":
            site.ledger.park(work, site.clock(), "refused")
        else:
            site.ledger.finish(work, Outcome(), site.clock())
    page = browser.get(f"/cases/{case}").text
    assert "Outcome sent to archive, pacs; on its way to ris; could not be sent to web." in page


def test_each_version_has_its_own_and_where_nobody_asks_nothing_is_said(site, case):
    browser = site.logged_in("vera")
    decide(site, case, 1, ReviewOutcome.NODE_RIGHT)
    assert "Outcome " not in browser.get(f"/cases/{case}").text
    decide(site, case, 2, None, "pacs")
    assert browser.get(f"/cases/{case}").text.count("Outcome on its way to pacs.") == 1


def test_the_queue_shows_the_stage(site, case):
    decide(site, case, 1, ReviewOutcome.NODE_RIGHT)
    assert '<th scope="row">write-back</th>' in site.logged_in("vera").get("/node").text
