"""The page on the node's state: queue, dead letters and their retry, destinations and their echo, declined reasons."""

from datetime import timedelta

import pytest

from node.domain.errors import PeerDown
from node.domain.findings import ModelIdentity
from node.domain.people import Role
from node.domain.records import NewWork, Outcome
from node.domain.settings_read import SettingsRead
from node.domain.silence import Silence
from node.domain.space import Outlook
from node.domain.work import Stage, WorkState
from node.monitor.readiness import Readiness
from node.monitor.watch import Watch
from node.web.services import LoadedModel, Room, Services
from node.web.site import make_site
from node.web_settings import WebSettings
from tests.node.storage.builders import a_file, a_peer, an_instance
from tests.web_site import WebSite, send

LEASE = timedelta(minutes=5)


def echo(name):
    if name == "archive":
        raise PeerDown("connection refused")


@pytest.fixture
def site(tmp_path):
    made = WebSite(tmp_path)
    services = Services(
        storage=made.storage,
        destinations=lambda: ("pacs", "archive"),
        channels=("cardiac-desk",),
        echo=echo,
        room=lambda: Room(free=4 << 30, total=100 << 30, reserve=5 << 30),
    )
    made.app = make_site(services, WebSettings(), made.clock)
    for name, role in (("anna", Role.ADMIN), ("vera", Role.VIEWER)):
        made.user(name, role)
    yield made
    made.ledger.close()


def worked(site, stage, object_uid="", destination=""):
    """Claimed work of a series that has arrived."""
    site.ledger.add_instance(an_instance(), a_file(), a_peer(), site.clock())
    site.ledger.add_work(
        [NewWork(stage=stage, series_uid="1.2", generation=0, object_uid=object_uid, destination=destination)],
        site.clock(),
    )
    return site.ledger.claim(site.clock(), LEASE, [stage])


def test_dead_letters_are_shown_and_only_administrators_retry_them(site):
    letter = worked(site, Stage.DELIVER, object_uid="9", destination="pacs")
    site.ledger.park(letter, site.clock(), "the PACS refused it: 0xA900")
    viewer, admin = site.logged_in("vera"), site.logged_in("anna")
    seen = viewer.get("/node").text
    assert "the PACS refused it: 0xA900" in seen
    assert "/node/retry" not in seen
    assert send(viewer, "/node/retry", work=str(letter.id)).status_code == 403
    assert send(admin, "/node/retry", work=str(letter.id)).headers["location"] == "/node?notice=retried"
    assert site.ledger.dead_letters() == ()
    entry = site.ledger.audit_entries(limit=1)[0]
    assert (entry.actor, entry.action, entry.subject) == ("anna", "work.retry", f"work:{letter.id}")
    assert send(admin, "/node/retry", work=str(letter.id)).headers["location"] == "/node?notice=nothing"
    assert "Dead letters" not in admin.get("/node").text


def test_all_reasons_of_a_declined_series_are_shown(site):
    work = worked(site, Stage.QUALIFY)
    site.ledger.finish(work, Outcome(state=WorkState.DECLINED, reasons=("contrast", "a <gap>")), site.clock())
    page = site.logged_in("vera").get("/node").text
    assert "declined at qualify" in page
    assert "<li>contrast</li>" in page
    assert "<li>a &lt;gap&gt;</li>" in page
    assert "CT01" in page


def test_destinations_are_asked_and_their_answer_told(site):
    admin = site.logged_in("anna")
    assert "pacs answers." in send(admin, "/node/echo", destination="pacs").text
    assert "archive does not answer: connection refused" in send(admin, "/node/echo", destination="archive").text
    assert send(admin, "/node/echo", destination="elsewhere").status_code == 404


def test_deliveries_to_a_destination_that_left_the_settings_are_seen(site):
    worked(site, Stage.DELIVER, object_uid="9", destination="old-pacs")
    page = site.logged_in("vera").get("/node").text
    assert "old-pacs" in page
    assert "not in the settings any more" in page


def test_notices_are_counted_by_channel_and_one_that_stopped_is_retried_as_other_letters(site):
    letter = worked(site, Stage.NOTIFY, object_uid="17", destination="cardiac-desk")
    site.ledger.park(letter, site.clock(), "the mail server refused the message (554)")
    worked(site, Stage.NOTIFY, object_uid="17", destination="old-desk")
    admin = site.logged_in("anna")
    page = admin.get("/node").text
    counted = page.partition('id="channels"')[2].partition("</section>")[0]
    assert counted.index("cardiac-desk") < counted.index("old-desk") < counted.index("not in the settings any more")
    assert '<td class="number bad">1</td>' in counted
    assert "the mail server refused the message (554)" in page
    assert send(admin, "/node/retry", work=str(letter.id)).headers["location"] == "/node?notice=retried"
    assert '<td class="number bad">1</td>' not in admin.get("/node").text.partition('id="channels"')[2]


def test_without_channels_the_page_says_nothing_of_notices(site):
    site.app = make_site(Services(storage=site.storage), WebSettings(), site.clock)
    assert 'id="channels"' not in site.logged_in("vera").get("/node").text


def test_a_full_disk_is_said(site):
    page = site.logged_in("vera").get("/node").text
    assert "4.0 GiB free" in page
    assert "Below the reserve" in page


def test_it_reloads_only_when_asked_and_never_too_often(site):
    viewer = site.logged_in("vera")
    assert 'http-equiv="refresh"' not in viewer.get("/node").text
    assert 'http-equiv="refresh" content="10"' in viewer.get("/node?refresh=10").text
    assert 'content="5"' in viewer.get("/node?refresh=1").text


def test_what_reads_the_scans_is_shown_or_that_nothing_does(site):
    assert "No model is loaded" in site.logged_in("vera").get("/node").text
    identity = ModelIdentity(name="heart", version="3", sha256="ab" * 32, trained_on="Phantoms <only>.")
    loaded = LoadedModel(identity=identity, device="cuda", bundle="third")
    site.app = make_site(Services(storage=site.storage, model=lambda: loaded), WebSettings(), site.clock)
    page = site.logged_in("vera").get("/node").text
    for words in ("heart 3", "Phantoms &lt;only&gt;.", ">abababababab<", "third", "GPU (CUDA)", "Research use only"):
        assert words in page, words


@pytest.mark.parametrize("usable", [True, False])
def test_what_became_of_the_settings_and_of_the_room_is_shown(site, usable):
    read = SettingsRead(at=site.clock(), changed=("destination a <b> added",), waiting=("scp.port",))
    if not usable:
        read = SettingsRead(at=site.clock(), faults=("scp.port: no number",))
    full = Outlook(daily_bytes=3 << 30, full_in=timedelta(days=12), lets_go=False)
    watch = Watch(
        exposition=lambda: b"",
        readiness=lambda: Readiness(checks={}),
        silences=lambda: (Silence(sender="CT01", since=site.clock(), usual_hours=7.0),),
        space=lambda: full,
    )
    worked(site, Stage.QUALIFY)
    services = Services(
        storage=site.storage,
        settings_read=lambda: read,
        watch=watch,
        room=lambda: Room(free=40 << 30, total=100 << 30, reserve=5 << 30),
    )
    site.app = make_site(services, WebSettings(), site.clock)
    page = site.logged_in("vera").get("/node").text
    assert ("destination a &lt;b&gt; added" in page) == usable
    assert ("<code>scp.port</code>" in page) == usable
    assert ("scp.port: no number" in page) != usable
    assert "full in about 12 days, and nothing is ever let go" in page
    assert "3.0 GiB came in" in page
    assert "silent for longer than usual: 7 h" in page
