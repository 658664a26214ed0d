from __future__ import annotations

import hashlib
from collections.abc import Sequence

import pytest

from node.dicom.outgoing import Outcome as Sent
from node.dicom.outgoing import SendItem
from node.domain.errors import PeerDown, Refused, Unreadable
from node.domain.records import NewWork, Outcome, StoredAnswer
from node.domain.work import Stage
from node.stages.deliver import Deliverer
from tests.dicom_series import ct_series, thorax

SEG = "1.2.840.10008.5.1.4.1.1.66.4"
SYNTAX = "1.2.840.10008.1.2.1"


class Transport:
    """Answers as it is told, by SOP Instance UID, and remembers what it was given."""

    def __init__(self, **ends: Sent) -> None:
        self.ends = ends
        self.given: list[SendItem] = []

    def send(self, items: Sequence[SendItem]) -> list[Sent]:
        self.given += items
        return [self.ends.get(item.sop_uid.replace(".", "_"), Sent(sop_uid=item.sop_uid)) for item in items]


@pytest.fixture
def works(rig):
    """Three objects to deliver, claimed: 1.1, 1.2 and 1.3."""
    series = rig.close(ct_series(thorax(3)))
    with_objects = []
    for number in (1, 2, 3):
        uid = f"1.{number}"
        kept = rig.outbox.keep(f"bytes of {uid}".encode(), series_uid=series, name=uid, suffix=".dcm")
        with_objects.append(
            StoredAnswer(
                sop_uid=uid,
                series_uid=series,
                generation=1,
                role="seg",
                sop_class_uid=SEG,
                transfer_syntax_uid=SYNTAX,
                made_series_uid="2",
                kept=kept,
            )
        )
    followers = tuple(
        NewWork(stage=Stage.DELIVER, series_uid=series, generation=1, object_uid=one.sop_uid, destination="pacs")
        for one in with_objects
    )
    rig.finish(rig.claim(Stage.QUALIFY), Outcome(objects=tuple(with_objects), followers=followers))
    return [rig.claim(Stage.DELIVER, "pacs") for _ in range(3)]


def deliverer(rig, transport):
    return Deliverer(destination="pacs", storage=rig.storage, transport=transport)


def test_what_goes_out_is_what_was_kept(rig, works):
    transport = Transport()
    assert deliverer(rig, transport)(works) == [Outcome()] * 3
    assert [item.sop_uid for item in transport.given] == [work.object_uid for work in works]
    for item in transport.given:
        assert (item.sop_class_uid, item.transfer_syntax_uid) == (SEG, SYNTAX)
        assert item.file_bytes() == f"bytes of {item.sop_uid}".encode()


def test_every_end_is_that_of_its_own_object(rig, works):
    down, refused = PeerDown("no answer"), Refused("0122: SOP class not supported")
    ends = {
        "1_1": Sent(sop_uid="1.1", error=down),
        "1_2": Sent(sop_uid="1.2", note="coerced data elements"),
        "1_3": Sent(sop_uid="1.3", error=refused),
    }
    assert deliverer(rig, Transport(**ends))(works) == [down, Outcome(reasons=("coerced data elements",)), refused]


def test_an_object_whose_file_is_gone_does_not_hold_back_the_others(rig, works):
    (rig.root / rig.ledger.object("1.2").kept.path).unlink()
    transport = Transport()
    first, second, third = deliverer(rig, transport)(works)
    assert (first, third) == (Outcome(), Outcome())
    assert isinstance(second, Unreadable)
    assert [item.sop_uid for item in transport.given] == ["1.1", "1.3"]


def test_an_object_that_changed_on_disk_is_not_sent(rig, works):
    path = rig.root / rig.ledger.object("1.1").kept.path
    path.write_bytes(b"tampered")
    assert hashlib.sha256(b"tampered").hexdigest() != rig.ledger.object("1.1").kept.sha256
    transport = Transport()
    results = deliverer(rig, transport)(works)
    assert isinstance(results[0], Unreadable)
    assert "1.1" not in [item.sop_uid for item in transport.given]


def test_an_object_that_nobody_made_is_permanent(rig, works):
    rig.ledger.add_work(
        [NewWork(stage=Stage.DELIVER, series_uid=works[0].series_uid, generation=1, object_uid="9.9", destination="x")],
        rig.clock.now,
    )
    (result,) = deliverer(rig, Transport())([rig.claim(Stage.DELIVER, "x")])
    assert isinstance(result, Unreadable)


def test_without_files_nobody_is_called(rig, works):
    for work in works:
        (rig.root / rig.ledger.object(work.object_uid).kept.path).unlink()
    transport = Transport()
    assert all(isinstance(one, Unreadable) for one in deliverer(rig, transport)(works))
    assert transport.given == []
