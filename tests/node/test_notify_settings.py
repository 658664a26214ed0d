"""Settings of who is told of cases: what they mean, and what is said of those that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.channels import notice_rules, told_tiers, way_to
from node.domain.tiers import Tier
from node.notify.mail import MailChannel
from node.notify.webhook import WebhookChannel
from node.parts import utc_now
from node.settings import Settings, SettingsError

EXAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "node.example.toml"
MAIL = (
    '[[notify.channels]]\nname = "mail"\nkind = "email"\nhost = "mail.example"\n'
    'sender = "node@hospital.example"\nto = ["anna@hospital.example"]\n'
)
HOOK = '[[notify.channels]]\nname = "hook"\nkind = "webhook"\nurl = "https://hub.example/notices"\n'


def load(folder: Path, text: str) -> Settings:
    path = folder / "node.toml"
    path.write_text(text, encoding="utf-8")
    return Settings.load(path, {})


def fault_of(folder: Path, text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load(folder, text)
    return str(caught.value)


def test_nobody_is_told_without_a_channel():
    notify = Settings.load(None, {}).notify
    assert (notify.channels, notify.link, notify.accession) == ((), "", False)
    assert told_tiers(notify) == {}


def test_a_channel_is_told_of_priority_unless_it_says_otherwise(tmp_path):
    text = '[notify]\nlink = "https://r.example/cases/{case}"\naccession = true\n' + MAIL + HOOK
    settings = load(tmp_path, text + 'tiers = ["priority", "review"]\n')
    assert told_tiers(settings.notify) == {
        "mail": frozenset((Tier.PRIORITY,)),
        "hook": frozenset((Tier.PRIORITY, Tier.REVIEW)),
    }
    rules = notice_rules(settings)
    assert (rules.link, rules.accession) == ("https://r.example/cases/{case}", True)
    mail, hook = settings.notify.channels
    assert isinstance(way_to(mail, "N", utc_now), MailChannel)
    assert isinstance(way_to(hook, "N", utc_now), WebhookChannel)


@pytest.mark.parametrize(
    ("more", "port"),
    [("", 587), ('security = "tls"\n', 465), ('security = "none"\n', 25), ('security = "none"\nport = 2525\n', 2525)],
)
def test_the_port_follows_from_the_security_unless_it_is_set(tmp_path, more, port):
    assert load(tmp_path, MAIL + more).notify.channels[0].mail_port == port


@pytest.mark.parametrize(
    ("text", "named", "said"),
    [
        ("[notify]\nlnik = 1\n", "notify.lnik", "Extra"),
        ('[notify]\nlink = "https://r.example/"\n', "notify.link", "{case} is needed"),
        ('[notify]\nlink = "r.example/{case}"\n', "notify.link", "http"),
        ('[notify]\nlink = "https://r.example/{accession}"\n', "notify.link", "only {case}"),
        ("[notify]\nchannels = 3\n", "notify.channels", "tuple"),
        (MAIL.replace('"email"', '"fax"'), "notify.channels.0.kind", "'email' or 'webhook'"),
        (MAIL.replace('"mail"', '"a b"'), "notify.channels.0.name", "pattern"),
        (MAIL + HOOK.replace('"hook"', '"mail"'), "notify.channels", "two channels are named mail"),
        (MAIL + "tiers = []\n", "notify.channels.0.tiers", "for no tier"),
        (MAIL + 'tiers = ["urgent"]\n', "notify.channels.0.tiers.0", "'priority'"),
        (MAIL.replace('host = "mail.example"\n', ""), "notify.channels.0", "an email channel needs host"),
        ('[[notify.channels]]\nname = "m"\nkind = "email"\n', "notify.channels.0", "needs host, sender, to"),
        ('[[notify.channels]]\nname = "m"\nkind = "webhook"\n', "notify.channels.0", "a webhook channel needs url"),
        (MAIL + 'url = "https://hub.example/"\n', "notify.channels.0", "url: not for an email channel"),
        (HOOK + 'host = "h"\nto = ["a@b.example"]\n', "notify.channels.0", "host, to: not for a webhook channel"),
        (MAIL.replace('to = ["anna@hospital.example"]', "to = []"), "notify.channels.0", "needs to"),
        (MAIL + "port = 0\n", "notify.channels.0.port", "greater"),
        (MAIL + 'username = "u"\n', "notify.channels.0", "to log in takes both"),
        (MAIL + 'password = "hunter2"\n', "notify.channels.0", "to log in takes both"),
        (MAIL + 'username = "u"\npassword = "hunter2"\nsecurity = "none"\n', "notify.channels.0", "in the clear"),
        (MAIL + 'username = "u"\npassword = "hunter2"\npassword_file = "/x"\n', "notify.channels.0", "one is enough"),
        (HOOK + 'secret = "hunter2"\nsecret_file = "/x"\n', "notify.channels.0", "one is enough"),
        (HOOK + "timeout_seconds = 0\n", "notify.channels.0.timeout_seconds", "greater"),
        (HOOK + "timeout_seconds = 500\n", "notify.channels.0.timeout_seconds", "less"),
        (HOOK + "attempts = 0\n", "notify.channels.0.attempts", "greater"),
        (
            '[[destinations]]\nname = "hook"\nae_title = "PACS"\nhost = "h"\nport = 1\n' + HOOK,
            "notify",
            "a destination and a channel are both named hook",
        ),
    ],
)
def test_what_cannot_be_is_said_by_its_name_in_words_and_without_secrets(tmp_path, text, named, said):
    fault = fault_of(tmp_path, text)
    assert f"  {named}: " in fault
    assert said in fault
    assert "hunter2" not in fault


@pytest.mark.parametrize(
    ("given", "old", "new", "named", "said"),
    [
        (MAIL, "mail.example", "mail example", "host", "host name"),
        (MAIL, "mail.example", "2001:db8::g", "host", "host name"),
        (MAIL, "mail.example", "a" * 64 + ".example", "host", "host name"),
        (MAIL, "anna@hospital.example", "anna", "to.0", "looks like"),
        (MAIL, "anna@hospital.example", "a@b.example\\r\\nBcc: c@d.example", "to.0", "looks"),
        (MAIL, "anna@hospital.example", "Anna <a@b.example>", "to.0", "looks like"),
        (MAIL, "anna@hospital.example", "a@b@c.example", "to.0", "looks like"),
        (MAIL, "node@hospital.example", "node@[1", "sender", "host name"),
        (MAIL, 'to = ["', 'to = ["ANNA@hospital.example", "', "to", "named twice"),
        (HOOK, "https://", "ftp://", "url", "http"),
        (HOOK, "https://", "https://u:hunter2@", "url", "do not belong in it"),
        (HOOK, "hub.example", "hub example", "url", "spaces"),
        (HOOK, "hub.example", "hub.example:99999", "url", "no web address"),
        (HOOK, "hub.example", "hub.example:0", "url", "0 is no port"),
        (HOOK, "hub.example/notices", "", "url", "host name"),
        (HOOK, "/notices", "/notices#x", "url", "behind #"),
    ],
)
def test_an_address_that_is_none_is_said(tmp_path, given, old, new, named, said):
    fault = fault_of(tmp_path, given.replace(old, new))
    assert f"  notify.channels.0.{named}: " in fault
    assert said in fault
    assert "hunter2" not in fault


def test_secrets_come_from_their_files_and_show_nowhere(tmp_path):
    (tmp_path / "secret").write_text("a secret of some length\n", encoding="utf-8")
    text = (
        MAIL + f'username = "u"\npassword_file = "{tmp_path}/secret"\n' + HOOK + f'secret_file = "{tmp_path}/secret"\n'
    )
    mail, hook = load(tmp_path, text).notify.channels
    assert mail.login_password() == hook.signing_secret() == "a secret of some length"
    plain = load(tmp_path, MAIL + 'username = "u"\npassword = "hunter2"\n' + HOOK + 'secret = "hunter2"\n')
    assert [one.login_password() or one.signing_secret() for one in plain.notify.channels] == ["hunter2"] * 2
    assert "hunter2" not in repr(plain)
    assert "hub.example" not in repr(plain)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (MAIL + 'username = "u"\npassword_file = "/nowhere"\n', "channel mail: cannot read the secret in /nowhere"),
        (MAIL + 'username = "u"\npassword = ""\n', "channel mail: the password is empty"),
        (MAIL + 'ca_file = "/nowhere/ca.pem"\n', "channel mail: cannot read the certificates in /nowhere/ca.pem"),
        (HOOK + 'secret = "short"\n', "channel hook: the secret is shorter than 16 bytes"),
        (HOOK + 'secret_file = "/dev/null"\n', "channel hook: the secret is empty"),
    ],
)
def test_what_a_file_lacks_is_said_when_the_channel_is_made(tmp_path, text, said):
    channel = load(tmp_path, text).notify.channels[0]
    with pytest.raises(SettingsError, match=said):
        way_to(channel, "N", utc_now)


@pytest.mark.parametrize("host", ["mail", "mail.example.", "10.1.2.3", "2001:db8::1", "smtp_1.local"])
def test_a_host_is_a_name_or_an_address(tmp_path, host):
    assert load(tmp_path, MAIL.replace("mail.example", host)).notify.channels[0].host == host


def test_a_channel_comes_from_the_environment_too():
    given = '[{"name": "hook", "kind": "webhook", "url": "http://hub/"}]'
    (hook,) = Settings.load(None, {"SECOND_READER_NOTIFY__CHANNELS": given}).notify.channels
    assert (hook.name, hook.attempts) == ("hook", 40)


def test_the_section_of_the_example_can_be_used_as_it_stands(tmp_path):
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    first = lines.index("# [notify]")
    last = lines.index("", first)
    notify = load(tmp_path, "\n".join(line.removeprefix("# ") for line in lines[first:last])).notify
    assert [(one.name, one.kind, one.tiers) for one in notify.channels] == [
        ("cardiac-desk", "email", (Tier.PRIORITY,)),
        ("integration", "webhook", (Tier.PRIORITY,)),
    ]
