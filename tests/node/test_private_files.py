"""Secrets and patients' data that everybody on the machine can read or change are told by `check`."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.private_files import exposed, exposures, private_files
from node.settings import Settings


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings that name a secret of every kind."""
    files = ("pacs", "mail", "hook", "key", "key_password", "both", "database")
    for name in files:
        (tmp_path / name).write_text("x")
    (tmp_path / "node").mkdir(mode=0o700)
    path = tmp_path / "node.toml"
    path.write_text(f"""
[storage]
root = "{tmp_path}/node"
[scp.tls]
certificate = "{tmp_path}/cert"
key = "{tmp_path}/key"
key_password_file = "{tmp_path}/key_password"
[web.tls]
certificate = "{tmp_path}/both"
[[destinations]]
name = "web"
kind = "dicomweb"
url = "https://pacs/"
username = "u"
password_file = "{tmp_path}/pacs"
[[notify.channels]]
name = "mail"
kind = "email"
host = "mail"
sender = "a@b.example"
to = ["c@d.example"]
username = "u"
password_file = "{tmp_path}/mail"
[[notify.channels]]
name = "hook"
kind = "webhook"
url = "https://hook.example/"
secret_file = "{tmp_path}/hook"
""")
    for name in (*files, "node.toml"):
        (tmp_path / name).chmod(0o600)
    return path


def environment(config: Path) -> dict[str, str]:
    return {"SECOND_READER_STORAGE__DATABASE_FILE": str(config.parent / "database"), "HOME_FILE": "/etc/passwd"}


def test_every_secret_is_among_them(config: Path):
    environ = environment(config)
    found = {file.name for _, file in private_files(Settings.load(config, environ), config, environ)}
    assert found == {"pacs", "mail", "hook", "key", "key_password", "both", "database", "node.toml", "node"}


def test_files_of_their_owner_are_one_good_line(config: Path):
    environ = environment(config)
    assert list(exposures(Settings.load(config, environ), config, environ)) == [
        ("private files", "9, none open to everybody", True)
    ]


@pytest.mark.parametrize("name", ["pacs", "mail", "hook", "key", "key_password", "both", "database", "node.toml"])
def test_what_everybody_can_read_is_warned_of_and_what_they_can_change_fails(config: Path, name: str):
    environ = environment(config)
    settings = Settings.load(config, environ)
    for mode, fine in ((0o644, True), (0o604, True), (0o602, False), (0o666, False)):
        (config.parent / name).chmod(mode)
        ((_, words, bearable),) = exposures(settings, config, environ)
        assert bearable == fine
        assert f"{config.parent / name} can be" in words
    (config.parent / name).chmod(0o640)
    assert exposed(config.parent / name) is None


def test_a_storage_root_that_others_may_enter_is_told(config: Path):
    settings = Settings.load(config, {})
    settings.storage.root.chmod(0o755)
    ((what, words, fine),) = exposures(settings, config, {})
    assert (what, fine) == ("private files, storage", True)
    assert "WARNING" in words


def test_a_file_that_is_not_there_is_nobodys(tmp_path: Path):
    assert exposed(tmp_path / "nothing") is None
