"""E-mail against a mail server on this machine: what goes out, and every answer with its meaning."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.errors import PeerDown, Refused
from node.domain.notices import Notice, plain_accession, recipient_mark
from node.domain.tiers import Tier
from node.notify.mail import MailAccount, MailChannel
from node.notify.mail_text import message_of
from node.notify.trust import tls_context
from tests.notice_receivers import mail_server, self_made_certificate, server_tls

MADE = datetime(2026, 3, 1, 8, 30, tzinfo=UTC)
KEY = "0123456789abcdef" * 2
NOTICE = Notice(key=KEY, made_at=MADE, tier=Tier.PRIORITY, case=17, link="https://reader.example/cases/17")
LOGIN = {"username": "u", "password": "hunter2"}
ANNA, BERT, CARL = TO = ("anna@hospital.example", "bert@hospital.example", "carl@hospital.example")


def channel(server, *, host: str = "127.0.0.1", **given: object) -> MailChannel:
    usual = {"security": "none", "sender": "node@hospital.example", "to": TO, "seconds": 20.0, "title": "Second reader"}
    return MailChannel(MailAccount(host=host, port=server.port, **(usual | given)))


def test_what_goes_out():
    with mail_server() as server:
        assert channel(server).send(NOTICE).note == ""
        (mail,) = server.mails
    assert (mail.sender, mail.to) == ("node@hospital.example", TO)
    message = mail.message
    assert message["Subject"] == "Second reader: priority case 17"
    assert message["From"] == "node@hospital.example"
    assert message["To"] == ", ".join(TO)
    assert message["Message-ID"] == f"<{KEY}@hospital.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime == MADE
    text = message.get_content()
    for line in ("Case: 17", "Tier: priority", "Compared: 2026-03-01 08:30 UTC"):
        assert line in text
    assert "Open it: https://reader.example/cases/17" in text
    assert "ccession" not in text


def test_every_attempt_is_the_same_message():
    with mail_server() as server:
        for _ in range(2):
            channel(server).send(NOTICE)
        first, second = server.mails
    assert first == second


def test_a_test_says_so_and_names_no_case():
    text = message_of(Notice(key=KEY, made_at=MADE), sender="a@b.c", to=["d@e.f"], title="Node")
    assert text["Subject"] == "Node: test"
    assert "This is a test." in text.get_content()
    assert "None" not in text.as_string()


def test_times_of_other_zones_are_told_in_utc():
    berlin = datetime.fromisoformat("2026-03-01T09:30:00+01:00")
    text = message_of(
        Notice(key=KEY, made_at=berlin, tier=Tier.REVIEW, case=1), sender="a@b.c", to=["d@e.f"], title="N"
    )
    assert "08:30 UTC" in text.get_content()


@given(accession=st.text(max_size=90), title=st.text(min_size=1, max_size=60))
def test_no_text_from_outside_makes_a_header_or_a_line(accession, title):
    notice = Notice(key=KEY, made_at=MADE, tier=Tier.PRIORITY, case=17, accession=plain_accession(accession))
    message = message_of(notice, sender="node@hospital.example", to=["anna@hospital.example"], title=title)
    head, _, body = message.as_bytes().partition(b"\r\n\r\n")
    names = [line.partition(b":")[0] for line in head.split(b"\r\n") if not line.startswith((b" ", b"\t"))]
    assert sorted(names) == sorted(
        (b"From", b"To", b"Subject", b"Date", b"Message-ID", b"Auto-Submitted", b"Content-Type",
         b"Content-Transfer-Encoding", b"MIME-Version")
    )  # fmt: skip
    assert (head + body).isascii()
    content = message.get_content().splitlines()
    assert len(content) == 7 + bool(notice.accession)


def test_a_line_of_one_dot_arrives_as_it_is():
    with mail_server() as server:
        channel(server).send(Notice(key=KEY, made_at=MADE, tier=Tier.PRIORITY, case=1, accession=". x"))
        assert "Accession number: . x" in server.mails[0].message.get_content()


@pytest.mark.parametrize(
    ("replies", "kind", "said"),
    [
        ({"CONNECT": ["554 5.7.1 no service for anna@hospital.example"]}, Refused, "the connection (554 5.7.1)"),
        ({"CONNECT": ["421 busy"]}, PeerDown, "the connection (421)"),
        ({"EHLO": ["550 who"], "HELO": ["550 who"]}, Refused, "the connection (550)"),
        ({"MAIL": ["553 5.1.8 not you"]}, Refused, "the sender (553 5.1.8)"),
        ({"MAIL": ["451 4.3.0 later"]}, PeerDown, "the sender (451 4.3.0)"),
        ({"MAIL": ["421 closing"]}, PeerDown, "the sender (421)"),
        ({"RCPT": ["550 5.1.1 a", "550 b", "550 c"]}, Refused, "recipient 1 (550 5.1.1), recipient 2 (550)"),
        ({"RCPT": ["550 5.1.1 a", "450 4.2.0 b", "550 c"]}, PeerDown, "recipient 2 (450 4.2.0)"),
        ({"RCPT": ["421 closing"]}, PeerDown, "recipient 1 (421)"),
        ({"DATA": ["554 5.6.0 no"]}, Refused, "the message (554 5.6.0)"),
        ({"DATA": ["451 no"]}, PeerDown, "the message (451)"),
        ({"TAKEN": ["552 5.3.4 too big"]}, Refused, "the message (552 5.3.4)"),
        ({"TAKEN": ["452 4.3.1 full"]}, PeerDown, "the message (452 4.3.1)"),
        ({"TAKEN": ["421 closing"]}, PeerDown, "(421)"),
        ({"MAIL": ["nonsense"]}, PeerDown, "mail server"),
    ],
)  # fmt: skip
def test_a_refusal_says_by_its_code_what_happens_next_and_quotes_nothing(replies, kind, said):
    with mail_server(replies=replies) as server, pytest.raises(kind) as caught:
        channel(server).send(NOTICE)
    assert server.mails == []
    assert said in str(caught.value)
    assert "anna" not in str(caught.value)
    assert type(caught.value) is kind


def test_who_was_refused_while_others_were_not_is_named_by_a_mark_and_can_be_tried_alone():
    with mail_server(replies={"RCPT": ["250 ok", "450 4.2.0 greylisted", "550 5.1.1 unknown"]}) as server:
        told = channel(server).send(NOTICE)
        assert told.failed == (recipient_mark(BERT), recipient_mark(CARL))
        assert told.note == "the mail server refused recipient 2 (450 4.2.0), recipient 3 (550 5.1.1)"
        assert channel(server).send(NOTICE, told.failed[0]).failed == ()
        first, second = server.mails
    assert (first.to, second.to) == ((ANNA,), (BERT,))
    assert first.data == second.data


def test_a_recipient_that_left_the_settings_is_not_written_to():
    with mail_server() as server:
        told = channel(server).send(NOTICE, recipient_mark("gone@hospital.example"))
        assert server.connections == 0
    assert told.note == "the recipient is no longer in the settings"


def test_a_fault_after_the_message_was_taken_changes_nothing():
    with mail_server(replies={"QUIT": ["500 what"]}) as server:
        assert channel(server).send(NOTICE).note == ""
        assert len(server.mails) == 1


@pytest.mark.parametrize("verb", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "TAKEN"])
@pytest.mark.parametrize("how", ["hang", "drip"])
def test_a_server_that_never_answers_is_given_up(how, verb):
    with mail_server(**{how: verb}) as server:
        before = time.monotonic()
        with pytest.raises(PeerDown):
            channel(server, seconds=0.4).send(NOTICE)
        assert time.monotonic() - before < 10
        assert server.mails == []


def test_a_time_out_says_how_long_it_was():
    with mail_server(drip="MAIL") as server, pytest.raises(PeerDown, match=r"no answer within 0\.3 s"):
        channel(server, seconds=0.3).send(NOTICE)


def test_an_endless_answer_is_not_read_to_its_end():
    endless = "\r\n".join(["250-" + "x" * 500] * 1000 + ["250 end"])
    with mail_server(replies={"EHLO": [endless]}) as server, pytest.raises(PeerDown, match="hung up"):
        channel(server).send(NOTICE)


def test_nobody_there():
    with mail_server() as server:
        pass
    with pytest.raises(PeerDown, match="cannot be reached"):
        channel(server).send(NOTICE)


def test_no_starttls_where_the_settings_ask_for_it_is_no_reason_to_send_in_the_clear():
    with mail_server() as server, pytest.raises(Refused, match="offers no STARTTLS"):
        channel(server, security="starttls", tls=tls_context()).send(NOTICE)
    assert server.mails == []


def test_without_anything_to_verify_by_there_is_no_encrypted_channel():
    with pytest.raises(ValueError, match="verify"):
        MailChannel(MailAccount(host="h", port=1, sender="a@b.c", to=("d@e.f",), security="tls"))


def test_secrets_are_not_shown():
    account = MailAccount(host="h", port=1, sender="a@b.c", to=(), **LOGIN)
    assert "hunter2" not in repr(account)


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_certificates_that_cannot_be_used_are_said(content, tmp_path):
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ValueError, match=r"ca\.pem"):
        tls_context(file)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    return self_made_certificate(tmp_path_factory.mktemp("tls"))


@pytest.mark.peer
class TestOverTls:
    """A certificate for ``localhost``, signed by itself."""

    @pytest.mark.parametrize("security", ["starttls", "tls"])
    def test_the_message_and_the_password_go_encrypted(self, security, both):
        manners = {security: server_tls(both), "offers": ("AUTH PLAIN",)}
        with mail_server(**manners) as server:
            one = channel(server, host="localhost", security=security, tls=tls_context(both), **LOGIN)
            assert one.send(NOTICE).note == ""
            assert server.logins == [("u", "hunter2")]
            assert len(server.mails) == 1

    @pytest.mark.parametrize("security", ["starttls", "tls"])
    @pytest.mark.parametrize(("host", "known"), [("localhost", False), ("127.0.0.1", True)])
    def test_a_certificate_that_is_not_trusted_or_for_another_name_is_refused(self, security, host, known, both):
        with mail_server(**{security: server_tls(both), "offers": ("AUTH PLAIN",)}) as server:
            one = channel(
                server, host=host, security=security, tls=tls_context(both if known else None),
                **LOGIN,
            )  # fmt: skip
            with pytest.raises(Refused, match="certificate"):
                one.send(NOTICE)
            assert server.logins == server.mails == []

    @pytest.mark.parametrize(
        ("manners", "kind", "said"),
        [
            ({"replies": {"AUTH": ["535 5.7.8 hunter2"]}, "offers": ("AUTH PLAIN",)}, Refused, "(535 5.7.8)"),
            ({"replies": {"AUTH": ["454 4.7.0 later"]}, "offers": ("AUTH PLAIN",)}, PeerDown, "(454 4.7.0)"),
            ({}, Refused, "offers no log-in"),
            ({"offers": ("AUTH GSSAPI",)}, Refused, "no way to log in"),
        ],
    )
    def test_a_log_in_that_fails_says_why_without_the_password(self, manners, kind, said, both):
        with mail_server(starttls=server_tls(both), **manners) as server:
            one = channel(server, host="localhost", security="starttls", tls=tls_context(both), **LOGIN)
            with pytest.raises(kind) as caught:
                one.send(NOTICE)
        assert said in str(caught.value)
        assert "hunter2" not in str(caught.value)
        assert server.mails == []

    def test_a_handshake_that_never_ends_is_given_up(self, both):
        with mail_server(hang="CONNECT") as server, pytest.raises(PeerDown, match="within"):
            channel(server, host="localhost", security="tls", tls=tls_context(both), seconds=0.3).send(NOTICE)

    def test_a_refused_starttls_is_judged_by_its_code(self, both):
        replies = {"STARTTLS": ["454 4.7.0 not now"]}
        with mail_server(starttls=server_tls(both), replies=replies) as server, pytest.raises(PeerDown, match="454"):
            channel(server, host="localhost", security="starttls", tls=tls_context(both)).send(NOTICE)
