from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from node.cli import app
from node.storage.ledger import Ledger
from node.web import passwords

PASSWORD = "correct horse battery"  # noqa: S105 - of made-up users


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "node.toml"
    path.write_text(f'[storage]\nroot = "{tmp_path / "node"}"\n[log]\nlevel = "ERROR"\n')
    (tmp_path / "password").write_text(PASSWORD + "\n")
    return path


@pytest.fixture
def user(config: Path):
    def run(*arguments: str, typed: str | None = None):
        clean = {name: None for name in os.environ if name.startswith("SECOND_READER_")}
        return CliRunner(env=clean).invoke(app, ["user", *arguments, "--config", str(config)], input=typed)

    return run


def from_file(config: Path) -> list[str]:
    return ["--password-file", str(config.parent / "password")]


def test_the_first_administrator_comes_before_the_first_start(user, config: Path):
    added = user("add", "Anna", "--role", "admin", *from_file(config))
    assert (added.exit_code, added.stdout) == (0, "anna may log in as admin\n")
    assert (config.parent / "node").stat().st_mode & 0o077 == 0
    assert json.loads(user("list", "--json").stdout) == [
        {"name": "anna", "role": "admin", "active": True, "locked": False, "initial_password": False}
    ]
    with Ledger(f"sqlite:///{config.parent}/node/ledger.sqlite") as ledger:
        assert passwords.verify(PASSWORD, ledger.user("anna").password_hash)
        assert [(one.actor, one.action) for one in ledger.audit_entries()] == [("command line", "user.add")]


def test_a_password_is_typed_twice_and_never_shown(user):
    assert user("add", "vera", typed=f"{PASSWORD}\n{PASSWORD}\n").exit_code == 0
    wrong = user("add", "rene", typed=f"{PASSWORD}\nother\n")
    assert wrong.exit_code != 0
    for shown in (wrong.output, user("list").output):
        assert PASSWORD not in shown


def test_what_cannot_be_done_is_said_in_a_line(user, config: Path):
    user("add", "anna", "--role", "admin", *from_file(config))
    for arguments, why in (
        (("add", "anna", *from_file(config)), "already"),
        (("add", "two words", *from_file(config)), "user name"),
        (("disable", "anna"), "only administrator"),
        (("role", "anna", "viewer"), "only administrator"),
        (("role", "nobody", "viewer"), "no such user"),
        (("password", "nobody", *from_file(config)), "no user"),
    ):
        answer = user(*arguments)
        assert (answer.exit_code, len(answer.stderr.splitlines())) == (1, 1), arguments
        assert why in answer.stderr, arguments
    assert user("add", "x", "--password-file", "/nowhere").exit_code == 2
    assert user("role", "anna", "emperor").exit_code == 2


def test_users_change(user, config: Path):
    user("add", "anna", "--role", "admin", *from_file(config))
    user("add", "vera", *from_file(config))
    assert user("role", "vera", "reviewer").stdout == "vera is reviewer\n"
    assert user("password", "vera", "--initial", *from_file(config)).exit_code == 0
    assert user("disable", "vera").exit_code == 0
    vera = json.loads(user("list", "--json").stdout)[1]
    assert vera == {"name": "vera", "role": "reviewer", "active": False, "locked": False, "initial_password": True}
    assert user("enable", "vera").exit_code == 0
    assert "reviewer" in user("list").stdout
