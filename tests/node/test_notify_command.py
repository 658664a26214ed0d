"""`notify test` and `check`: whether the channels work, before there is a case."""

from __future__ import annotations

import json

from tests.node.command_line import run
from tests.notice_receivers import mail_server, web_receiver

SECRET = "a secret of some length"  # noqa: S105 - of a test


def config_of(folder, mail_port: int, url: str):
    path = folder / "node.toml"
    path.write_text(
        f'[storage]\nroot = "{folder}/node"\n[web]\ntitle = "Reader of Ward 3"\n'
        '[[notify.channels]]\nname = "mail"\nkind = "email"\nhost = "127.0.0.1"\nsecurity = "none"\n'
        f'port = {mail_port}\nsender = "node@hospital.example"\nto = ["anna@hospital.example", "b@hospital.example"]\n'
        f'[[notify.channels]]\nname = "hook"\nkind = "webhook"\nurl = "{url}"\nsecret = "{SECRET}"\n'
        "timeout_seconds = 5\n",
        encoding="utf-8",
    )
    return path


def test_every_channel_gets_a_test(tmp_path):
    with mail_server() as mail, web_receiver() as hook:
        config = config_of(tmp_path, mail.port, hook.url)
        result = run("notify", "test", "--config", config)
        assert result.exit_code == 0, result.output
        assert result.output == "ok    channel mail: taken for 2 recipient(s)\nok    channel hook: taken\n"
        assert mail.mails[0].message["Subject"] == "Reader of Ward 3: test"
        assert json.loads(hook.posts[0].body)["event"] == "test"
        assert run("notify", "test", "--config", config).exit_code == 0
        assert hook.posts[0].headers["Idempotency-Key"] != hook.posts[1].headers["Idempotency-Key"]
    assert not (tmp_path / "node").exists()


def test_a_channel_that_fails_is_named_with_the_reason_and_the_others_are_tried(tmp_path):
    with mail_server(replies={"RCPT": ["250 ok", "550 5.1.1 no"]}) as mail, web_receiver(404) as hook:
        result = run("notify", "test", "--config", config_of(tmp_path, mail.port, hook.url))
    assert result.exit_code == 1
    assert "FAIL  channel mail: sent to some, but the mail server refused recipient 2 (550 5.1.1)" in result.output
    assert "FAIL  channel hook: the webhook answered 404" in result.output
    assert SECRET not in result.output


def test_one_channel_alone(tmp_path):
    with mail_server() as mail, web_receiver() as hook:
        config = config_of(tmp_path, mail.port, hook.url)
        assert run("notify", "test", "--channel", "hook", "--config", config).exit_code == 0
        assert (len(mail.mails), len(hook.posts)) == (0, 1)
        result = run("notify", "test", "--channel", "pager", "--config", config)
        assert result.exit_code == 2
        assert "there is no channel pager; there are mail, hook" in result.output


def test_without_channels_there_is_nothing_to_test(tmp_path):
    (tmp_path / "node.toml").write_text("")
    result = run("notify", "test", "--config", tmp_path / "node.toml")
    assert result.exit_code == 2
    assert "the settings name no channel" in result.output


def test_check_sends_nothing_and_says_what_is_wrong(tmp_path):
    with mail_server() as mail, web_receiver() as hook:
        config = config_of(tmp_path, mail.port, hook.url)
        result = run("check", "--config", config)
        said = " ".join(result.output.split())
        assert "channel mail: set; `second-reader notify test` sends a message over it" in said
        assert (mail.connections, hook.posts) == (0, [])
    config.write_text(config.read_text().replace(SECRET, "short"))
    result = run("check", "--config", config)
    assert result.exit_code == 1
    assert "FAIL notify: channel hook: the secret is shorter than 16 bytes" in " ".join(result.output.split())
    result = run("notify", "test", "--channel", "hook", "--config", config)
    assert (result.exit_code, result.output) == (1, "FAIL  channel hook: the secret is shorter than 16 bytes\n")
