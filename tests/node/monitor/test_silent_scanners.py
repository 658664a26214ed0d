"""The alarm on silent scanners: found, told once to each channel, tried again where that failed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from node.domain.errors import PeerDown
from node.domain.notices import Notice, Told
from node.domain.series import Peer
from node.domain.silence import SilenceRule
from node.monitor.meters import Meters
from node.monitor.silent_scanners import SilentScanners
from node.notify.mail_text import message_of
from node.notify.webhook import body_of
from tests.node.storage.builders import a_file, an_instance
from tests.web_site import WebSite

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
NOW = MONDAY + timedelta(weeks=3, hours=16)


class Desk:
    def __init__(self) -> None:
        self.down = False
        self.told: list[Notice] = []

    def send(self, notice: Notice, only: str = "") -> Told:  # noqa: ARG002 - as a channel's
        if self.down:
            raise PeerDown("connection refused")
        self.told.append(notice)
        return Told()


@pytest.fixture
def site(tmp_path):
    """CT01 and CT02 send every hour of working days for two weeks; then CT01 is silent."""
    made = WebSite(tmp_path)
    for week in range(4):
        for day in range(5):
            for hour in (8, 10, 12, 14):
                now = MONDAY + timedelta(weeks=week, days=day, hours=hour)
                for sender in ("CT01", "CT02"):
                    if now < NOW and (sender == "CT02" or now < NOW - timedelta(days=1)):
                        study = f"1.{sender[-1]}.{week}.{day}.{hour}"
                        peer = Peer(ae_title=sender, host="10.0.0.1", association=study)
                        made.ledger.add_instance(
                            an_instance(f"{study}.1.1", f"{study}.1", study), a_file(study), peer, now
                        )
    yield made
    made.ledger.close()


RULE = SilenceRule(zone=UTC, least=timedelta(hours=3))


def alarm(site, desk, rule=RULE):
    return SilentScanners(site.ledger, Meters(), lambda: NOW, rule, {"desk": desk}, "node")


def test_the_silent_one_is_found_and_told_of_once(site: WebSite):
    desk = Desk()
    watched = alarm(site, desk)
    watched.look()
    watched.look()
    assert [one.sender for one in watched.found] == ["CT01"]
    (notice,) = desk.told
    assert notice.silent == "CT01"
    assert notice.silent_since == MONDAY + timedelta(weeks=2, days=4, hours=14)
    assert alarm(site, desk).found == ()


def test_a_channel_that_was_down_is_told_at_the_next_look(site: WebSite):
    desk = Desk()
    desk.down = True
    watched = alarm(site, desk)
    watched.look()
    assert watched.found
    desk.down = False
    watched.look()
    assert len(desk.told) == 1


def test_it_is_over_when_the_scanner_sends_again(site: WebSite):
    desk = Desk()
    watched = alarm(site, desk)
    watched.look()
    peer = Peer(ae_title="CT01", host="10.0.0.1", association="x")
    site.ledger.add_instance(an_instance("1.9.9", "1.9", "1"), a_file("1.9"), peer, NOW)
    watched.look()
    assert watched.found == ()
    assert len(desk.told) == 1


def test_without_a_rule_nothing_is_looked_for(site: WebSite):
    desk = Desk()
    with alarm(site, desk, None) as watched:
        watched.look()
    assert (watched.found, desk.told) == ((), [])


def test_the_messages_name_the_scanner_and_nothing_else():
    notice = Notice(key="k" * 32, made_at=NOW, silent="CT01\r\nBcc: x", silent_since=MONDAY)
    mail = message_of(notice, sender="node@example.org", to=("desk@example.org",), title="Node")
    assert mail["Subject"] == "Node: nothing from CT01 Bcc: x"
    assert "2026-03-02 00:00 UTC" in mail.get_content()
    assert "Bcc" not in mail
    assert json.loads(body_of(notice)) == {
        "schema": 1,
        "event": "silent-scanner",
        "id": "k" * 32,
        "ae_title": "CT01\r\nBcc: x",
        "last_study_at": "2026-03-02T00:00:00+00:00",
    }
