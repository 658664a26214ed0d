"""Killed while a case is told, at every step, and started again: everybody is told, and by one message each.

Between sending and recording there is no way to know: what was sent goes out again there, under the same Message-ID
and the same idempotency key.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass
from pathlib import Path

import pytest

from node.domain.work import Stage, WorkState
from node.service import Node
from node.settings import Settings
from tests.faults.serving import Served
from tests.flow.site import a_study, free_port, items_of, scanner, settle, wait_until, write_config
from tests.human_reports import a_report
from tests.notice_receivers import mail_server, web_receiver

CHANNELS = """
[[notify.channels]]
name = "mail"
kind = "email"
host = "127.0.0.1"
security = "none"
port = {mail}
sender = "node@hospital.example"
to = ["anna@hospital.example"]
[[notify.channels]]
name = "hook"
kind = "webhook"
url = "{hook}"
"""


@dataclass(frozen=True, kw_only=True)
class Lived:
    """What was told over the lives of a node: how often, and how many different messages."""

    ended: int
    said: str
    mails: tuple[int, int]
    posts: tuple[int, int]
    states: frozenset[WorkState]


def live(folder: Path, bundle: Path, fault: str) -> Lived:
    port, study = free_port(), a_study("told")
    with mail_server() as mail, web_receiver() as hook:
        config = write_config(folder, scp={"port": port}, series={"quiet_seconds": 3.0}, reader={"bundle": str(bundle)})
        text = config.read_text(encoding="utf-8") + CHANNELS.format(mail=mail.port, hook=hook.url)
        config.write_text(text, encoding="utf-8")
        first = Served(config, folder / "first.log", fault, forked=True)
        try:
            first.wait_ready(240)
            scanner(port).send(items_of([*study.images, a_report(study.images[0], 0.0)]))
            ended = first.wait_end(240)
        finally:
            first.kill()
        with Node(Settings.load(config, {})) as second:
            wait_until(lambda: mail.mails and hook.posts, 120)
            settle(second, 120)
            rows = second.storage.ledger.series_work(study.series_uid, 1)
        mails = (len(mail.mails), len({one.data for one in mail.mails}))
        posts = (len(hook.posts), len({(one.headers["Idempotency-Key"], one.body) for one in hook.posts}))
    return Lived(
        ended=ended,
        said=first.said(),
        mails=mails,
        posts=posts,
        states=frozenset(one.state for one in rows if one.work.stage is Stage.NOTIFY),
    )


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "fault",
    [
        "compare.after-commit",
        "notify.before-effect",
        "notify.after-effect",
        "notify.before-commit",
        "notify.after-commit",
    ],
)
def test_killed_while_telling(fault, tmp_path, bundle):
    lived = live(tmp_path, bundle, fault)
    assert lived.ended == -signal.SIGKILL, f"the fault point was never passed: {lived.said}"
    for sent, different in (lived.mails, lived.posts):
        assert 1 <= sent <= 2
        assert different == 1
    if fault in ("compare.after-commit", "notify.before-effect"):
        assert min(lived.mails[0], lived.posts[0]) == 1  # of the one that was killed, nothing had gone out
    assert lived.states == {WorkState.DONE}
    for private in ("anna@", "/notices"):
        assert private not in lived.said
