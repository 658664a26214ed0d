from __future__ import annotations

import pytest

from node.domain.errors import LedgerBusy
from node.domain.retention import RetentionRule
from node.monitor.meters import Meters
from node.monitor.space import SpaceWatch
from tests.dicom_series import ct_series, thorax


def test_what_will_be_full_is_warned_of_once_and_measured(rig, monkeypatch):
    rig.close(ct_series(thorax(3)))
    rig.clock.advance(3600)
    room, meters = [1 << 40], Meters()
    watch = SpaceWatch(rig.ledger, meters, rig.clock, RetentionRule(), lambda: room[0])
    assert watch.warning() == ""
    watch.look()
    assert watch.warning() == ""
    assert b"second_reader_disk_full_days +Inf" in meters.exposition()
    daily = watch.found.daily_bytes
    assert daily > 0
    room[0] = int(daily * 9.5)
    watch.look()
    assert "full in about 10 days, and nothing is ever let go" in watch.warning()
    assert b"second_reader_disk_full_days 10.0" in meters.exposition()
    room[0] = -5
    watch.look()
    assert "about 1 days" in watch.warning()
    monkeypatch.setattr(rig.ledger, "candidates", lambda: (_ for _ in ()).throw(LedgerBusy("away")))
    with pytest.raises(LedgerBusy):
        watch.look()
    assert watch.warning()  # what was last seen
