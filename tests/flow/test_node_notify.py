"""A running node tells of priority cases by e-mail and webhook: once, whatever the channels do, and delays nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from node.cli import app
from node.domain.records import WorkRecord
from node.domain.tiers import Tier
from node.domain.work import Stage, WorkState
from node.service import Node
from node.settings import Settings
from tests.flow.site import Archive, Site, Study, a_study, wait_until, work_of, write_config
from tests.heart_scan import AGATSTON_OF_A_BEAD
from tests.notice_receivers import MailServer, WebReceiver, mail_server, web_receiver

SECRET = "a secret of some length"  # noqa: S105 - of a test


def channels(mail: MailServer, hook: WebReceiver, **more: object) -> str:
    """The table of notify; the times are short, the attempts many."""
    retry = "first_retry_seconds = 0.2\nmost_retry_seconds = 0.5\ntimeout_seconds = 1.0\nattempts = 200\n"
    return (
        '[notify]\nlink = "https://reader.example/cases/{case}"\n'
        + "".join(f"{name} = {json.dumps(value)}\n" for name, value in more.items())
        + '[[notify.channels]]\nname = "mail"\nkind = "email"\nhost = "127.0.0.1"\nsecurity = "none"\n'
        f'port = {mail.port}\nsender = "node@hospital.example"\nto = ["anna@hospital.example", "b@hospital.example"]\n'
        f'{retry}[[notify.channels]]\nname = "hook"\nkind = "webhook"\nurl = "{hook.url}"\nsecret = "{SECRET}"\n{retry}'
    )


@dataclass(frozen=True, kw_only=True)
class Told:
    """A site, whom it tells, and its configuration."""

    site: Site
    mail: MailServer
    hook: WebReceiver
    config: Path

    def disagree(self, study: Study, lad: float = 0.0) -> int:
        """A scan comes, then a read of a human who saw ``lad``; the number of the case."""
        self.site.send(study)
        wait_until(lambda: len(self.site.archive.of(study)) >= 3)
        self.read(study, lad)
        return self.case(study)

    def read(self, study: Study, lad: float) -> None:
        table = self.config.parent / f"{study.study_uid}.csv"
        table.write_text(f"study_uid;LAD;read_id\n{study.study_uid};{lad:.1f};{study.study_uid}\n", encoding="utf-8")
        result = CliRunner().invoke(app, ["reads", "import", str(table), "--config", str(self.config)])
        assert result.exit_code == 0, result.output

    def case(self, study: Study) -> int:
        ledger = self.site.node.storage.ledger
        wait_until(lambda: ledger.case_of_study(study.study_uid) is not None)
        return ledger.case_of_study(study.study_uid).id

    def mails(self, case: int) -> list:
        return [one for one in self.mail.mails if one.message["Subject"].endswith(f"case {case}")]

    def posts(self, case: int) -> list:
        return [one for one in self.hook.posts if json.loads(one.body).get("case") == case]

    def notices(self, study: Study) -> dict[str, WorkRecord]:
        return {one.work.destination: one for one in work_of(self.site.node, study.series_uid, Stage.NOTIFY)}

    def state(self, study: Study, channel: str) -> WorkState:
        return self.notices(study)[channel].state


@pytest.fixture(scope="module")
def told(tmp_path_factory, finds_lad) -> Iterator[Told]:
    folder = tmp_path_factory.mktemp("told")
    with Archive(folder / "archive") as archive, mail_server() as mail, web_receiver() as hook:
        config = write_config(folder, [archive.destination()])
        config.write_text(config.read_text(encoding="utf-8") + channels(mail, hook), encoding="utf-8")
        with Node(Settings.load(config, {}), reader=finds_lad) as node:
            yield Told(site=Site(node=node, archive=archive), mail=mail, hook=hook, config=config)


def test_a_priority_case_is_told_once_by_each_channel_and_says_nothing_of_the_patient(told):
    study = a_study("told", PatientName="Doe^Jane", PatientID="MRN-4711", AccessionNumber="ACC-0815")
    with capture_logs() as logs:
        case = told.disagree(study)
        told.site.settle()
    assert told.site.node.storage.ledger.case_of_study(study.study_uid).tier is Tier.PRIORITY
    (mail,), (post,) = told.mails(case), told.posts(case)
    assert mail.to == ("anna@hospital.example", "b@hospital.example")
    assert f"https://reader.example/cases/{case}" in mail.message.get_content()
    content = json.loads(post.body)
    assert (content["tier"], content["link"]) == ("priority", f"https://reader.example/cases/{case}")
    head = ".".join((post.headers["Webhook-Id"], post.headers["Webhook-Timestamp"], "")).encode()
    signed = hmac.digest(SECRET.encode(), head + post.body, hashlib.sha256)
    assert post.headers["Webhook-Signature"] == "v1," + base64.b64encode(signed).decode()
    for private in ("Doe", "MRN-4711", "ACC-0815", study.study_uid, SECRET):
        assert private.encode() not in mail.data + post.body + str(post.headers).encode()
    for private in ("Doe", "MRN-4711", "ACC-0815", SECRET, "anna@", "/notices"):
        assert private not in str(logs)
    assert {name: one.state for name, one in told.notices(study).items()} == dict.fromkeys(
        ("mail", "hook"), WorkState.DONE
    )


def test_reads_that_agree_are_told_to_nobody(told):
    study = a_study("untold")
    case = told.disagree(study, AGATSTON_OF_A_BEAD)
    told.site.settle()
    assert told.notices(study) == {}
    assert told.mails(case) == told.posts(case) == []


def test_a_channel_that_hangs_delays_neither_the_other_nor_readings_nor_deliveries(told):
    study, later = a_study("hung"), a_study("after the hung one")
    told.mail.manners.hang = "MAIL"
    try:
        case = told.disagree(study)
        wait_until(lambda: told.posts(case))
        told.site.send(later)
        wait_until(lambda: len(told.site.archive.of(later)) >= 3)
        wait_until(lambda: "no answer within 1 s" in told.notices(study)["mail"].error)
        assert told.mails(case) == []
        assert told.state(study, "hook") is WorkState.DONE
    finally:
        told.mail.manners.hang = ""
    told.site.settle()
    assert (len(told.mails(case)), len(told.posts(case))) == (1, 1)


def test_a_fault_that_passes_is_tried_again_under_the_same_key(told):
    study = a_study("busy")
    told.hook.statuses.extend((500, 503))
    told.mail.manners.replies["RCPT"] = ["451 4.3.0 later", "451 4.3.0 later"]
    case = told.disagree(study)
    told.site.settle()
    posts = told.posts(case)
    assert len(posts) == 3
    assert len({one.headers["Idempotency-Key"] for one in posts}) == 1
    assert len({one.body for one in posts}) == 1
    assert len(told.mails(case)) == 1


def test_a_recipient_who_is_put_off_holds_nobody_up_and_gets_the_same_message_later(told):
    study = a_study("put off")
    told.mail.manners.replies["RCPT"] = ["250 ok", "450 4.2.1 greylisted", "450 4.2.1 greylisted"]
    case = told.disagree(study)
    told.site.settle()
    first, second = told.mails(case)
    assert (first.to, second.to) == (("anna@hospital.example",), ("b@hospital.example",))
    assert first.data == second.data


def test_what_is_refused_is_a_dead_letter_that_can_be_retried(told):
    study = a_study("refused")
    told.hook.statuses.append(400)
    told.mail.manners.replies["DATA"] = ["554 5.7.1 spam"]
    case = told.disagree(study)
    ledger = told.site.node.storage.ledger
    wait_until(lambda: len(ledger.dead_letters()) == 2)
    told.site.settle()
    found = {one.work.destination: one.error for one in ledger.dead_letters()}
    assert found == {
        "hook": "the webhook answered 400",
        "mail": "the mail server refused the message (554 5.7.1)",
    }
    assert told.mails(case) == []
    for name in found:
        result = CliRunner().invoke(app, ["retry", "--destination", name, "--config", str(told.config)])
        assert result.output.endswith("1 taken up again\n"), result.output
    wait_until(lambda: told.mails(case) and len(told.posts(case)) == 2)
    told.site.settle()
    assert ledger.dead_letters() == ()
    assert len({one.headers["Idempotency-Key"] for one in told.posts(case)}) == 1
