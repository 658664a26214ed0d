"""What `second-reader check` says of TLS, in both directions, and a node that speaks it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from node import parts, trust
from node.cli import app
from node.dicom.listener import Listener, ListenerConfig
from node.dicom.tls import OwnCertificate, server_context
from node.settings import Settings, SettingsError
from tests.authority import Authority, needs_openssl
from tests.tiny_bundle import tiny_bundle

pytestmark = needs_openssl


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def pacs(hospital: Authority) -> Iterator[Listener]:
    context = server_context(hospital.issue("pacs", days=20), hospital.certificate)
    listener = Listener(ListenerConfig(ae_title="PACS", host="127.0.0.1", port=None, tls=(0, context)), lambda *_: None)
    listener.start()
    yield listener
    listener.stop(grace_seconds=0.2)


def files(own: OwnCertificate) -> str:
    return f'certificate = "{own.certificate}"\nkey = "{own.key}"\n'


def destination(pacs: Listener, hospital: Authority, more: str) -> str:
    return (
        f'[[destinations]]\nname = "pacs"\nae_title = "PACS"\nhost = "127.0.0.1"\nport = {pacs.port}\n'
        f'[destinations.tls]\nenabled = true\nauthority = "{hospital.certificate}"\n{more}'
    )


def check(folder: Path, text: str, *options: str) -> tuple[int, str]:
    path = folder / "node.toml"
    path.write_text(f'[storage]\nroot = "{folder}/node"\nreserve_gib = 0\n{text}', encoding="utf-8")
    clean = {name: None for name in os.environ if name.startswith("SECOND_READER_")} | {"COLUMNS": "1000"}
    done = CliRunner(env=clean).invoke(app, ["check", "--config", str(path), *options])
    return done.exit_code, done.output.replace("\n", " ")


@pytest.fixture(autouse=True)
def no_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "default_bundle", tiny_bundle)


def test_certificates_are_told_and_both_directions_are_tried(hospital: Authority, pacs: Listener, tmp_path: Path):
    node = hospital.issue("node", days=10)
    code, said = check(
        tmp_path,
        f'[scp.tls]\nenabled = true\nauthority = "{hospital.certificate}"\n{files(node)}'
        f"[web.tls]\nenabled = true\n{files(hospital.issue('page'))}" + destination(pacs, hospital, files(node)),
    )
    assert code == 0, said
    assert "TLS port 2762" in said
    assert f"ok    scp.tls certificate: {node.certificate}: WARNING: expires on" in said
    assert "ok    scp.tls authority:" in said
    assert "ok    web.tls certificate:" in said
    assert "ok    scp.tls: a C-ECHO over TLS is answered" in said
    assert "ok    destination pacs: answers over TLS; its certificate: WARNING: expires on" in said


def test_what_is_wrong_is_named(hospital: Authority, pacs: Listener, tmp_path: Path):
    late = hospital.issue("late", days=-1)
    code, said = check(
        tmp_path,
        f"[scp.tls]\nenabled = true\nrequire_certificate = false\n{files(late)}"
        + destination(pacs, hospital, 'name = "other.example"\n'),
    )
    assert code == 1
    assert f"FAIL  scp.tls certificate: {late.certificate}: expired on" in said
    assert "FAIL  scp.tls: CALCIUM2R: the peer's certificate has expired" in said
    assert "FAIL  destination pacs: PACS: the peer's certificate is for another host" in said


def test_a_destination_that_asks_for_a_certificate_is_told_from_one_that_is_down(
    hospital: Authority, pacs: Listener, tmp_path: Path
):
    code, said = check(tmp_path, destination(pacs, hospital, ""))
    assert code == 1
    assert "does not accept our certificate" in said or "does it take our certificate" in said


def test_a_node_that_speaks_tls_alone_is_asked_over_tls(hospital: Authority, tmp_path: Path):
    node = hospital.issue("alone")
    context = server_context(node, hospital.certificate)
    config = ListenerConfig(ae_title="CALCIUM2R", host="127.0.0.1", port=None, tls=(0, context))
    listener = Listener(config, lambda *_: None)
    listener.start()
    text = f"[scp]\nplain = false\n[scp.tls]\nenabled = true\nport = {listener.port}\n{files(node)}"
    text += f'authority = "{hospital.certificate}"\n'
    try:
        assert check(tmp_path, text, "--alive") == (0, "")
    finally:
        listener.stop(grace_seconds=0.2)
    assert check(tmp_path, text, "--alive")[0] == 1


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"plain": False}, "nobody could send"),
        ({"tls": {"enabled": True}}, "TLS needs a certificate"),
        ({"tls": {"enabled": True, "certificate": "a.pem"}}, "require_certificate needs the authority"),
        ({"tls": {"key": "a.key"}}, "a key needs its certificate"),
        ({"allow": [{"ae_title": "CT01", "certificate": "ct01"}]}, "the certificate of CT01 in allow takes"),
        (
            {"port": 2762, "tls": {"enabled": True, "certificate": "a.pem", "require_certificate": False}},
            "are the same",
        ),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(given: dict[str, object], words: str):
    with pytest.raises(ValueError, match=words):
        Settings.model_validate({"scp": given})


def test_tls_of_dicomweb_is_its_address(tmp_path: Path):
    given = {"name": "web", "kind": "dicomweb", "url": "https://pacs.example", "tls": {"enabled": True}}
    with pytest.raises(ValueError, match="tls is for dimse"):
        Settings.model_validate({"destinations": [given]})


def test_a_file_that_cannot_be_used_names_its_setting(tmp_path: Path):
    tls = {"enabled": True, "certificate": tmp_path / "gone.pem", "require_certificate": False}
    given = {"name": "pacs", "ae_title": "P", "host": "h", "port": 1, "tls": {"enabled": True, "authority": "/gone"}}
    settings = Settings.model_validate({"scp": {"tls": tls}, "destinations": [given]})
    with pytest.raises(SettingsError, match=r"scp\.tls: cannot read .*gone\.pem"):
        parts.listener_config(settings.scp)
    with pytest.raises(SettingsError, match=r"destination pacs, tls: cannot read /gone"):
        trust.peer_tls(settings.destinations[0])


def test_the_listener_gets_what_the_settings_say(hospital: Authority):
    node = hospital.issue("said")
    tls = {"enabled": True, "port": 0, "certificate": node.certificate, "key": node.key}
    allow = [{"ae_title": "CT01", "certificate": "ct01"}]
    given = {"plain": False, "allow": allow, "tls": tls | {"authority": hospital.certificate}}
    config = parts.listener_config(Settings.model_validate({"scp": given}).scp)
    assert config.port is None
    assert config.tls is not None
    assert config.tls[0] == 0
    assert config.allow[0].certificate == "ct01"
