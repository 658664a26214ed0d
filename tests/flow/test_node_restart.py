"""A node that was stopped goes on where it was, and does not mistake its own absence for silence."""

from __future__ import annotations

import time

import pytest

from node.domain.errors import Refused
from node.domain.series import SeriesState
from tests.flow.site import a_node, a_study, deliver, settle


def test_silence_while_the_node_was_down_completes_no_series(tmp_path, finds_lad, archive):
    study, quiet = a_study("over a restart"), {"quiet_seconds": 4.0}
    with a_node(tmp_path, finds_lad, [archive.destination()], series=quiet) as node:
        deliver(node.port, study.images[:10])
    time.sleep(4.2)
    with a_node(tmp_path, finds_lad, [archive.destination()], series=quiet) as node:
        deliver(node.port, study.images[10:])
        archive.wait_for(3)
        settle(node)
        record = node.storage.ledger.find_series(study.series_uid)
        assert (record.state, record.generation) == (SeriesState.CLOSED, 1)
    assert len(archive.stored) == 3


def test_a_second_node_on_the_same_storage_is_refused(tmp_path, finds_lad):
    with (
        a_node(tmp_path, finds_lad),
        pytest.raises(Refused, match=r"another node \(process \d+\) already runs on"),
        a_node(tmp_path, finds_lad),
    ):
        pytest.fail("it started")
    with a_node(tmp_path, finds_lad) as again:
        assert again.port != 0
