"""Stopping under load, and starting what cannot be started: quick, loud, and nothing lost."""

from __future__ import annotations

import os
import threading
import time

import pytest

from node.service import Node
from node.settings import Settings
from node.storage.ledger import Ledger
from tests.faults.serving import Served, assert_in_order
from tests.flow.site import Archive, a_study, free_port, items_of, scanner, settle, wait_until, write_config

SECONDS_TO_STOP = 10.0
PATIENCE = 200.0


def overloaded() -> bool:
    """Whether so much else wants to run on this machine that a time says nothing of the node."""
    return os.getloadavg()[0] > 2.0 * (os.cpu_count() or 1)


def test_stopped_under_load_it_ends_in_time_and_loses_nothing(tmp_path, bundle):
    port, studies = free_port(), [a_study(f"load {number}") for number in range(4)]
    kept: set[str] = set()
    stop = threading.Event()

    def push(number: int) -> None:
        """Send whole studies and send them again, as long as the node takes them."""
        for study in studies[number::2] * 50:
            for one in scanner(port, f"CT0{number}").send(items_of(study.images)):
                if one.delivered:
                    kept.add(one.sop_uid)
            if stop.is_set():
                return

    with Archive(tmp_path / "archive") as archive:
        config = write_config(
            tmp_path,
            [archive.destination()],
            scp={"port": port},
            series={"quiet_seconds": 600.0},  # what was cut off waits for the rest, however slow this machine is
            reader={"bundle": str(bundle)},
        )
        served = Served(config, tmp_path / "first.log")
        try:
            served.wait_ready(PATIENCE)
            scanners = [threading.Thread(target=push, args=(number,)) for number in range(2)]
            for thread in scanners:
                thread.start()
            with Ledger(Settings.load(config, {}).storage.database_url) as ledger:
                wait_until(lambda: ledger.status()["instances"] >= 45, PATIENCE)  # in the middle of the second studies
            started = time.monotonic()
            assert served.stop(PATIENCE) == 0, served.said()
            took = time.monotonic() - started
        finally:
            served.kill()
            stop.set()
        for thread in scanners:
            thread.join()
        assert took < SECONDS_TO_STOP or overloaded()
        assert kept
        assert "Traceback" not in served.said()
        with Ledger(Settings.load(config, {}).storage.database_url) as ledger:
            assert all(ledger.find_instance(uid) is not None for uid in kept)
        with Node(Settings.load(config, {})) as second:
            for study in studies:
                assert all(one.delivered for one in scanner(port).send(items_of(study.images)))
            settle(second, PATIENCE)
            assert {second.storage.ledger.find_series(study.series_uid).generation for study in studies} == {1}
    assert_in_order(config)
    for study in studies:
        found = archive.of(study)
        assert len({one.sop_uid for one in found}) == 3
        assert len({one.file.read_bytes() for one in found}) == 3


def test_a_second_node_on_the_same_storage_says_so_and_ends_with_1(tmp_path, bundle):
    config = write_config(tmp_path, reader={"bundle": str(bundle)})
    with Node(Settings.load(config, {})):
        second = Served(config, tmp_path / "second.log", forked=True)
        assert second.wait_end() == 1
    assert "already runs on" in second.said()
    assert "Traceback" not in second.said()


@pytest.mark.parametrize(
    ("tables", "status", "said"),
    [
        ({"storage": {"database": "nonsense of a URL:secret"}}, 1, "the URL of the ledger's database cannot be used"),
        ({"storage": {"database": "postgresql+psycopg://node:secret@127.0.0.1:1/ledger"}}, 1, "database"),
        ({"reader": {"bundle": "/nowhere/at/all"}}, 1, "/nowhere/at/all"),
        ({"reader": {"profile": "made-up"}}, 2, "made-up"),
        ({"scp": {"port": 1 << 20}}, 2, "scp.port"),
    ],
    ids=["database URL", "no database server", "no bundle", "no such profile", "port"],
)
def test_settings_that_cannot_work_are_said_in_a_line(tables, status, said, tmp_path, bundle):
    merged = {"reader": {"bundle": str(bundle)}, **tables}
    if "bundle" not in merged["reader"]:
        merged["reader"] = {"bundle": str(bundle), **merged["reader"]}
    served = Served(write_config(tmp_path, **merged), tmp_path / "log", forked=True)
    assert served.wait_end() == status
    assert said in served.said().replace("\n", " ")
    assert "Traceback" not in served.said()
    assert "secret" not in served.said()


def test_a_port_in_use_is_said(tmp_path, bundle):
    with Archive(tmp_path / "other") as other:
        config = write_config(tmp_path, scp={"port": other.port}, reader={"bundle": str(bundle)})
        served = Served(config, tmp_path / "log", forked=True)
        assert served.wait_end() == 1
    assert "Address already in use" in served.said()
    assert "Traceback" not in served.said()
