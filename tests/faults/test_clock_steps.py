"""The machine's clock set ahead and back under a running node: nothing expires early, and nothing waits for ever."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from node.domain.series import SeriesState
from node.domain.work import Stage, WorkState
from node.parts import utc_now
from node.service import Node
from node.settings import Settings
from tests.flow.site import (
    Archive,
    a_study,
    deliver,
    destination,
    free_port,
    settle,
    wait_until,
    work_of,
    write_config,
)


class SetClock:
    """The machine's clock, which somebody may set."""

    def __init__(self) -> None:
        self.set_by = timedelta(0)

    def __call__(self) -> datetime:
        return utc_now() + self.set_by


def test_set_back_by_a_year_a_delivery_and_a_series_that_wait_go_on(tmp_path, reader):
    study, cut_short, port, clock = a_study("waits for the archive"), a_study("cut short"), free_port(), SetClock()
    config = write_config(tmp_path, [destination(port)], series={"quiet_seconds": 4.0})
    with Node(Settings.load(config, {}), reader=reader, clock=clock) as node:
        deliver(node.port, study.images)
        wait_until(lambda: [row for row in work_of(node, study.series_uid, Stage.DELIVER) if row.error])
        deliver(node.port, cut_short.images[::2])
        clock.set_by = -timedelta(days=365)
        with Archive(tmp_path / "archive", port=port) as archive:
            archive.wait_for(3)
            settle(node)
            assert len(archive.of(study)) == 3
            assert node.storage.ledger.find_series(cut_short.series_uid).generation == 1
    with Archive(tmp_path / "later", port=port) as archive:  # and the next node finds itself before all it knows
        clock.set_by = -timedelta(days=730)
        late = a_study("late")
        with Node(Settings.load(config, {}), reader=reader, clock=clock) as node:
            deliver(node.port, late.images)
            archive.wait_for(3)
            settle(node)


def test_set_ahead_by_a_day_no_series_is_cut_short_and_nothing_held_goes_out(tmp_path, reader):
    study, clock = a_study("half of it"), SetClock()
    with Archive(tmp_path / "archive") as archive:
        held = archive.destination("held", release="after_human_read", release_after_hours=2.0)
        config = write_config(tmp_path, [archive.destination(), held], series={"quiet_seconds": 20.0})
        with Node(Settings.load(config, {}), reader=reader, clock=clock) as node:
            deliver(node.port, study.images[::2])
            clock.set_by = timedelta(days=1)
            threading.Event().wait(2.5)  # two looks at what is open
            assert node.storage.ledger.find_series(study.series_uid).state is SeriesState.OPEN
            deliver(node.port, study.images[1::2])
            archive.wait_for(3)
            clock.set_by = timedelta(days=2)
            threading.Event().wait(2.5)
            states = [row.state for row in deliveries(node, study, "held")]
            assert states == [WorkState.HELD] * 3
            assert node.storage.ledger.find_series(study.series_uid).generation == 1
            settle(node)
        assert len(archive.stored) == 3


def deliveries(node, study, name):
    return [row for row in work_of(node, study.series_uid, Stage.DELIVER) if row.work.destination == name]
