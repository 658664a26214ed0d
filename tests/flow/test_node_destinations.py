"""Destinations that are dead, full, picky or locked: each gets what it can, and none holds up another."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from typer.testing import CliRunner

from node.cli import app
from node.domain.errors import Malformed, StorageFull
from node.domain.work import Stage, WorkState
from tests.flow.site import (
    Archive,
    a_node,
    a_study,
    deliver,
    destination,
    free_port,
    settle,
    wait_until,
    work_of,
)


def deliveries(node, study, name):
    return [row for row in work_of(node, study.series_uid, Stage.DELIVER) if row.work.destination == name]


def states(node, study, name):
    return [row.state for row in deliveries(node, study, name)]


@contextmanager
def a_web_server(status: int) -> Iterator[tuple[int, list[str]]]:
    """Answers every request with ``status``; its port, and the credentials it was given."""
    seen: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(self.headers.get("Authorization", ""))
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server.server_port, seen
        server.shutdown()
        thread.join()


def test_a_dead_destination_delays_no_other_and_gets_its_objects_when_it_is_back(tmp_path, finds_lad, archive):
    study, port = a_study("dead destination"), free_port()
    destinations = [destination(port, "dead"), archive.destination("alive")]
    with a_node(tmp_path, finds_lad, destinations) as node:
        deliver(node.port, study.images)
        archive.wait_for(3)
        wait_until(lambda: all(row.error for row in deliveries(node, study, "dead")))
        wait_until(lambda: states(node, study, "alive") == [WorkState.DONE] * 3)
        waiting = deliveries(node, study, "dead")
        assert {row.state for row in waiting} <= {WorkState.PENDING, WorkState.CLAIMED}
        assert {row.error for row in waiting} == {"ARCHIVE cannot be reached or does not answer"}
        wait_until(lambda: all(row.work.attempts >= 2 for row in deliveries(node, study, "dead")))
        with Archive(tmp_path / "late", port=port) as late:
            late.wait_for(3)
            settle(node)
            assert states(node, study, "dead") == [WorkState.DONE] * 3
            assert {one.sop_uid for one in late.stored} == {one.sop_uid for one in archive.stored}
    assert len(archive.stored) == 3


def test_what_waits_for_a_dead_destination_survives_a_restart(tmp_path, finds_lad):
    study, port = a_study("restart"), free_port()
    with a_node(tmp_path, finds_lad, [destination(port)]) as node:
        deliver(node.port, study.images)
        wait_until(lambda: [row for row in deliveries(node, study, "pacs") if row.error])
        made = {one.sop_uid for one in node.storage.ledger.objects(study.series_uid, 1)}
    with Archive(tmp_path / "late", port=port) as late, a_node(tmp_path, finds_lad, [destination(port)]) as node:
        late.wait_for(3)
        settle(node)
        assert states(node, study, "pacs") == [WorkState.DONE] * 3
    assert {one.sop_uid for one in late.stored} == made
    assert len(late.stored) == 3


def test_out_of_resources_is_tried_again(tmp_path, finds_lad):
    study = a_study("full for a while")
    with Archive(tmp_path / "full", trouble=[StorageFull("full")] * 2) as full:
        with a_node(tmp_path, finds_lad, [full.destination()]) as node:
            deliver(node.port, study.images)
            full.wait_for(3)
            settle(node)
            assert states(node, study, "pacs") == [WorkState.DONE] * 3
            assert sorted(row.work.attempts for row in deliveries(node, study, "pacs")) == [1, 2, 2]
        assert full.asked == 5


def test_a_refusal_is_parked_with_its_status_and_retry_revives_it(tmp_path, finds_lad, archive):
    study = a_study("refused")
    with Archive(tmp_path / "picky", trouble=[Malformed("not like this")]) as picky:
        destinations = [picky.destination("picky"), archive.destination("open")]
        with a_node(tmp_path, finds_lad, destinations) as node:
            deliver(node.port, study.images)
            archive.wait_for(3)
            settle(node)
            assert sorted(states(node, study, "picky")) == [WorkState.DONE, WorkState.DONE, WorkState.PARKED]
            assert states(node, study, "open") == [WorkState.DONE] * 3
            (dead,) = node.storage.ledger.dead_letters()
            assert (dead.error, dead.work.destination) == ("the peer answered C000", "picky")
            assert len(picky.stored) == 2
            config = str(tmp_path / "node.toml")
            told = CliRunner().invoke(app, ["status", "--config", config])
            assert f"parked {dead.work.id}: deliver to picky: the peer answered C000" in told.output
            revived = CliRunner().invoke(app, ["retry", str(dead.work.id), "--config", config])
            assert (revived.exit_code, revived.output) == (0, "1 taken up again\n")
            picky.wait_for(3)
            settle(node)
            assert states(node, study, "picky") == [WorkState.DONE] * 3
            assert node.storage.ledger.dead_letters() == ()
    assert len({one.sop_uid for one in picky.stored}) == 3


def test_attempts_run_out(tmp_path, finds_lad):
    study, port = a_study("given up"), free_port()
    with a_node(tmp_path, finds_lad, [destination(port, attempts=2)]) as node:
        deliver(node.port, study.images)
        wait_until(lambda: states(node, study, "pacs") == [WorkState.PARKED] * 3)
        assert {row.error for row in deliveries(node, study, "pacs")} == {
            "gave up after 2 attempts: ARCHIVE cannot be reached or does not answer"
        }
        settle(node)


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_password_is_parked_and_the_other_destination_is_served(status, tmp_path, finds_lad, archive):
    study = a_study(f"locked {status}")
    with a_web_server(status) as (port, seen):
        locked = {
            "name": "web",
            "kind": "dicomweb",
            "url": f"http://127.0.0.1:{port}/dicom-web",
            "username": "node",
            "password": "not the password",
        }
        with a_node(tmp_path, finds_lad, [locked, archive.destination()]) as node:
            deliver(node.port, study.images)
            archive.wait_for(3)
            settle(node)
            assert states(node, study, "web") == [WorkState.PARKED] * 3
            assert states(node, study, "pacs") == [WorkState.DONE] * 3
            (reason,) = {row.error for row in deliveries(node, study, "web")}
            assert reason == f"the server refused the user name, password or token ({status})"
    assert len(seen) == 3
    assert all(one.startswith("Basic ") for one in seen)


def test_a_destination_that_hangs_holds_up_no_other_and_no_stop(tmp_path, finds_lad, archive):
    """A peer that accepts the connection and then says nothing."""
    study = a_study("hangs")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        dead = destination(port, "silent", timeout_seconds=60.0)
        with a_node(tmp_path, finds_lad, [dead, archive.destination()]) as node:
            deliver(node.port, study.images)
            archive.wait_for(3)
            wait_until(lambda: WorkState.CLAIMED in states(node, study, "silent"))
            started = time.monotonic()
        assert time.monotonic() - started < 8
    for thread in threading.enumerate():  # in a process of its own it would have ended with the process
        if thread.name == "deliver-silent":
            thread.join(20)
            assert not thread.is_alive()
