"""The settings read again while the node runs: what changes, what waits, and that nothing under way is cut off."""

from __future__ import annotations

import threading

import pytest
from pynetdicom import build_context
from typer.testing import CliRunner

from node.cli import app
from node.domain.errors import Refused
from node.domain.work import Stage, WorkState
from node.settings import Settings
from tests.flow.site import (
    Archive,
    a_node,
    a_study,
    deliver,
    destination,
    free_port,
    items_of,
    scanner,
    send,
    settle,
    wait_until,
    work_of,
    write_config,
)

ALLOW_BOTH = '[ { ae_title = "CT01", host = "127.0.0.1" }, { ae_title = "CT02" } ]'


def reload(node, folder, destinations=(), *, allow=None, **tables: object):
    """Read other settings again, as SIGHUP does."""
    config = write_config(folder, destinations, **tables)
    if allow is not None:  # JSON's objects are not TOML's
        config.write_text(config.read_text().replace("[scp]\n", f"[scp]\nallow = {allow}\n"))
    return node.reload(lambda: Settings.load(config, {}), str(config))


def trail(node):
    return [(one.action, dict(one.detail)) for one in node.storage.ledger.audit_entries(subject="settings")]


def deliveries(node, study, name):
    return [row.state for row in work_of(node, study.series_uid, Stage.DELIVER) if row.work.destination == name]


def test_a_peer_that_is_removed_finishes_and_is_refused_when_it_comes_again(tmp_path, finds_lad):
    study = a_study("under way")
    items = items_of(study.images)
    with a_node(tmp_path, finds_lad) as node:
        assert reload(node, tmp_path, allow=ALLOW_BOTH).changed == (
            "allowed peer CT01 added",
            "allowed peer CT02 added",
        )
        begun, go_on, outcomes = threading.Event(), threading.Event(), []

        def stopping_half_way():
            yield from items[:3]
            begun.set()
            go_on.wait(20)
            yield from items[3:]

        sender = scanner(node.port)
        with sender._caller.association(_contexts(items)) as association:  # as send() does, but held open half way
            sending = threading.Thread(
                target=lambda: outcomes.extend(sender._outcomes(association, stopping_half_way()))
            )
            sending.start()
            assert begun.wait(20)
            read = reload(node, tmp_path, allow='[ { ae_title = "CT02" } ]')
            assert read.changed == ("allowed peer CT01 removed",)
            with pytest.raises(Refused, match="Calling AE title"):
                scanner(node.port).echo()
            scanner(node.port, "CT02").echo()
            go_on.set()
            sending.join(20)
        assert [one.error for one in outcomes] == [None] * len(items)
        assert len(node.storage.ledger.instances(study.series_uid)) == len(items)
        assert not any(one.delivered for one in send(node.port, a_study("again").images[:1]))
        assert [action for action, _ in trail(node)] == ["settings.reload"] * 2


def _contexts(items):
    return [build_context(items[0].sop_class_uid, items[0].transfer_syntax_uid)]


def test_destinations_come_and_go_and_nothing_that_waits_is_lost(tmp_path, finds_lad):
    first, second, third = (a_study(name) for name in ("first", "second", "third"))
    dead = destination(free_port(), "dead", timeout_seconds=2.0)
    with (
        Archive(tmp_path / "old") as old,
        Archive(tmp_path / "new") as new,
        a_node(tmp_path, finds_lad, [old.destination("old"), dead]) as node,
    ):
        deliver(node.port, first.images)
        old.wait_for(3)
        wait_until(lambda: all(row.error for row in work_of(node, first.series_uid, Stage.DELIVER)[3:]))

        read = reload(node, tmp_path, [old.destination("old"), new.destination("new")])
        assert read.changed == ("destination dead removed", "destination new added")
        deliver(node.port, second.images)
        assert {one.study_uid for one in new.wait_for(3)} == {second.study_uid}  # the next results, not those before
        wait_until(lambda: deliveries(node, second, "old") == [WorkState.DONE] * 3)
        assert deliveries(node, second, "dead") == []
        wait_until(lambda: deliveries(node, first, "dead") == [WorkState.PENDING] * 3)

        config = str(tmp_path / "node.toml")
        assert "dead" in CliRunner().invoke(app, ["outbox", "list", "--config", config]).stdout
        moved = CliRunner().invoke(
            app, ["outbox", "redirect", "--destination", "dead", "--to", "new", "--yes", "--config", config]
        )
        assert moved.exit_code == 0, moved.output
        new.wait_for(6)

        changed = {**old.destination("old"), "send": ["sr"]}
        assert reload(node, tmp_path, [changed]).changed == ("destination new removed", "destination old changed")
        deliver(node.port, third.images)
        settle(node)
        assert [one.sop_class_uid for one in old.of(third)] == ["1.2.840.10008.5.1.4.1.1.88.34"]
        assert not new.of(third)
        assert len({one.sop_uid for one in (*old.stored, *new.stored)}) == 7
        assert len(old.stored) == 7
        assert len(new.stored) == 6


def test_what_cannot_change_is_named_and_a_broken_file_changes_nothing(tmp_path, finds_lad, archive):
    with a_node(tmp_path, finds_lad, [archive.destination()]) as node:
        port = node.port
        read = reload(node, tmp_path, [archive.destination()], scp={"port": free_port()}, series={"quiet_seconds": 7.0})
        assert (read.changed, read.waiting, read.faults) == ((), ("scp.port", "series.quiet_seconds"), ())
        assert node.port == port
        scanner(port).echo()

        config = tmp_path / "node.toml"
        broken = [{**archive.destination("web"), "kind": "dicomweb"}, {**archive.destination("far"), "port": 0}]
        read = reload(node, tmp_path, broken, scp={"ae_title": ""})
        assert read.changed == read.waiting == ()
        said = "\n".join(read.faults)
        assert "scp.ae_title" in said
        assert "destinations.0" in said
        assert "destinations.1.port" in said

        secrets = [
            {"name": name, "kind": "dicomweb", "url": "http://127.0.0.1:1/", "password_file": f"/nowhere/{name}"}
            for name in ("one", "two")
        ]
        said = "\n".join(reload(node, tmp_path, secrets).faults)
        assert "/nowhere/one" in said
        assert "/nowhere/two" in said

        config.write_text("[scp\n", encoding="utf-8")
        assert "not valid TOML" in node.reload(lambda: Settings.load(config, {}), "x").faults[0]
        assert node.reload(lambda: 1 / 0).faults == ("a fault of this program: ZeroDivisionError",)
        assert [one.name for one in node.settings.destinations] == ["pacs"]
        study = a_study("after broken files")
        deliver(port, study.images)
        settle(node)
        assert len(archive.of(study)) == 3
        (*_, first) = actions = trail(node)
        assert [action for action, _ in actions] == ["settings.reload-failed"] * 4 + ["settings.reload"]
        assert first[1]["waits_for_restart"] == "scp.port, series.quiet_seconds"
