from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from typer.testing import CliRunner

from model.bundle import write_bundle
from model.labels import Territory
from node.cli import app
from node.domain.faults import FAULT_POINTS
from node.domain.reading_json import Declined, from_document, loads
from node.domain.records import Outcome
from node.domain.work import Stage, WorkState
from tests.dicom_series import Style, ct_series, thorax, write_series
from tests.heart_scan import AGATSTON_OF_A_BEAD, BEAD, ORIGIN_LPS_MM, heart_scan
from tests.node.rig import Rig
from tests.tiny_bundle import tiny_bundle

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = [
    "serve",
    "reload",
    "score",
    "demo",
    "check",
    "send",
    "status",
    "retry",
    "backup",
    "restore",
    "retention",
    "db",
    "db upgrade",
    "outbox",
    "outbox list",
    "outbox drop",
    "outbox redirect",
    "user",
    "user add",
    "reads",
    "reads import",
    "notify",
    "notify test",
    "trace",
]


def run(*arguments: object):
    clean = {name: None for name in os.environ if name.startswith("SECOND_READER_")}
    return CliRunner(env=clean).invoke(app, [str(one) for one in arguments])


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    write_bundle(folder, tiny_bundle(finds=Territory.LAD), "A card.")
    return folder


@pytest.fixture(scope="module")
def config_of(tmp_path_factory, bundle):
    """A configuration over a storage root, with more settings if given."""

    def make(root: Path, more: str = "") -> Path:
        path = tmp_path_factory.mktemp("config") / "node.toml"
        text = f'[reader]\nbundle = "{bundle}"\ndevice = "cpu"\n[storage]\nroot = "{root}"\nreserve_gib = 0\n{more}'
        path.write_text(text, encoding="utf-8")
        return path

    return make


@pytest.fixture
def config(config_of, tmp_path) -> Path:
    return config_of(tmp_path / "node")


@pytest.fixture
def used(rig, config_of) -> Path:
    """The configuration of a node that has received one series and parked its work."""
    rig.close(ct_series(thorax(3)))
    rig.ledger.park(rig.claim(Stage.QUALIFY), rig.clock.now, "a fault of this program: KeyError")
    return config_of(rig.root)


@pytest.fixture(scope="module")
def scan_folder(tmp_path_factory) -> Path:
    """A calcium scan, a localizer, and a file that is no DICOM."""
    folder = tmp_path_factory.mktemp("scan")
    write_series(ct_series(heart_scan()), folder / "calcium")
    write_series(ct_series(thorax(3), Style(name="few")), folder / "few")
    (folder / "notes.txt").write_text("no DICOM", encoding="utf-8")
    (folder / ".hidden").write_text("not looked at", encoding="utf-8")
    return folder


CALCIUM, FEW = Style().series_uid(), Style(name="few").series_uid()


def test_version_and_help():
    assert run("--version").stdout.startswith("calcium-second-reader 0.")
    for command in ["", *COMMANDS]:
        result = run(*command.split(), "--help")
        assert result.exit_code == 0, command
        assert "Usage" in result.stdout


def test_every_command_is_tested_for_its_help():
    names = {command.callback.__name__ for command in app.registered_commands}
    assert names | {"db", "outbox", "user", "reads", "notify"} == {command.split()[0] for command in COMMANDS}


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["score"],
        ["score", "/nowhere/at/all"],
        ["score", ".", "--profile", "nonsense"],
        ["score", ".", "--nonsense"],
        ["score", ".", "--config", "/nowhere.toml"],
        ["status", "--config", "/nowhere.toml"],
        ["retry"],
        ["send", ".", "--port", "0"],
        ["backup"],
        ["db", "nonsense"],
        ["reads", "import"],
        ["reads", "import", "/nowhere.csv"],
    ],
)
def test_bad_usage_is_2(arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stderr.strip()
    assert "Traceback" not in result.stderr


def test_settings_that_cannot_be_used_are_2_and_say_why(tmp_path):
    path = tmp_path / "node.toml"
    path.write_text('[scp]\nport = "high"\n[nonsense]\n', encoding="utf-8")
    for command in (["score", tmp_path], ["check"], ["status"], ["serve"], ["db", "upgrade"], ["retry", "--all"]):
        result = run(*command, "--config", path)
        assert result.exit_code == 2
        assert "scp.port" in result.stderr
        assert "nonsense" in result.stderr


def test_a_database_url_that_is_none_is_one_clear_line(config_of, tmp_path):
    path = config_of(tmp_path, 'database = "nonsense:hunter2"\n')
    result = run("status", "--config", path)
    assert result.exit_code in (1, 2)
    assert isinstance(result.exception, SystemExit)
    assert "hunter2" not in result.stderr


# score


@pytest.fixture(scope="module")
def scored(tmp_path_factory, config_of, scan_folder):
    out = tmp_path_factory.mktemp("out")
    result = run("score", scan_folder, "--out", out, "--json", "--config", config_of(out / "never-made"))
    return result, out


def test_score_writes_the_files_of_the_contract(scored, scan_folder):
    result, out = scored
    assert result.exit_code == 0
    written = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    names = ("reading.json", "seg.dcm", "sr.dcm", "summary.png")
    assert written == {f"{FEW}/reading.json", *(f"{CALCIUM}/{name}" for name in names)}
    findings = loads((out / CALCIUM / "reading.json").read_bytes())
    assert findings.scores["LAD"].agatston == pytest.approx(AGATSTON_OF_A_BEAD)
    assert {"decode", "read", "answers", "write", "total"} <= set(findings.timings_ms)
    assert isinstance(loads((out / FEW / "reading.json").read_bytes()), Declined)
    assert dcmread(out / CALCIUM / "seg.dcm").Modality == "SEG"
    assert dcmread(out / CALCIUM / "sr.dcm").Modality == "SR"
    assert (out / CALCIUM / "summary.png").read_bytes().startswith(b"\x89PNG")


def test_score_prints_the_readings_as_json(scored):
    result, out = scored
    readings = {one["series_uid"]: one for one in json.loads(result.stdout)["readings"]}
    assert set(readings) == {CALCIUM, FEW}
    assert readings[CALCIUM] == json.loads((out / CALCIUM / "reading.json").read_bytes())
    assert from_document(readings[CALCIUM]).category == "100-399"
    assert readings[FEW]["eligible"] is False
    assert any("number of slices 3" in reason for reason in readings[FEW]["reasons"])


def test_score_says_what_it_left_out(scored):
    result, _ = scored
    assert "skipped notes.txt" in result.stderr
    assert ".hidden" not in result.stderr


def test_scoring_again_leaves_nothing_of_the_reading_before(scored, config_of, tmp_path):
    """A segmentation beside a reading without calcium would be somebody else's."""
    _, before = scored
    out = tmp_path / "out"
    shutil.copytree(before, out)
    (out / CALCIUM / "mine.txt").write_text("kept", encoding="utf-8")
    write_series(ct_series(heart_scan(beads=())), tmp_path / "scan")
    result = run("score", tmp_path / "scan", "--out", out, "--config", config_of(tmp_path / "node"))
    assert result.exit_code == 0
    assert "Agatston" in result.stdout
    assert "Research use only" in result.stdout
    left = {path.name for path in (out / CALCIUM).iterdir()}
    assert left == {"reading.json", "sr.dcm", "summary.png", "mine.txt"}
    assert loads((out / CALCIUM / "reading.json").read_bytes()).scores["CAC"].agatston == 0


def test_nothing_eligible_is_3_with_the_reasons_and_needs_no_network(tmp_path, config_of, scan_folder):
    config = config_of(tmp_path / "node").rename(tmp_path / "node.toml")
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace('bundle = "', 'bundle = "/nowhere'), encoding="utf-8")
    for arguments in ([], ["--json"]):
        result = run("score", scan_folder / "few", "--config", config, *arguments)
        assert result.exit_code == 3
        assert "number of slices 3" in result.stderr.replace("\n", " ")
    assert json.loads(result.stdout)["readings"][0]["eligible"] is False
    whole = run("score", scan_folder, "--config", config)
    assert whole.exit_code == 1
    assert "no bundle" in whole.stderr


def test_an_empty_folder_is_3(tmp_path, config):
    result = run("score", tmp_path, "--config", config)
    # the configuration lies elsewhere: there is nothing here
    assert result.exit_code == 3
    assert "no DICOM series found" in result.stderr


def test_a_folder_that_cannot_be_written_is_1(scan_folder, tmp_path, config):
    (tmp_path / "file").write_text("", encoding="utf-8")
    result = run("score", scan_folder / "few", "--out", tmp_path / "file" / "below", "--config", config)
    assert result.exit_code == 1
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_candidates_are_the_components_of_the_phantom(scan_folder, config):
    result = run("score", scan_folder / "calcium", "--candidates", "--json", "--config", config)
    assert result.exit_code == 0
    found = json.loads(result.stdout)["candidates"]
    assert len(found) == 2
    middle = np.array([BEAD[2] + 1.5, BEAD[1] + 1.5]) + ORIGIN_LPS_MM[:2]
    for number, one in enumerate(found):
        assert set(one) == {
            "series_uid",
            "slice",
            "position_mm",
            "centroid_lps_mm",
            "area_mm2",
            "peak_hu",
            "agatston",
        }
        height = ORIGIN_LPS_MM[2] + 3.0 * (BEAD[0] + number)
        assert (one["series_uid"], one["slice"]) == (CALCIUM, BEAD[0] + number)
        assert one["position_mm"] == pytest.approx(height)
        assert one["centroid_lps_mm"] == pytest.approx([*middle, height])
        assert (one["area_mm2"], one["peak_hu"]) == (pytest.approx(16), 450)
        assert one["agatston"] == pytest.approx(AGATSTON_OF_A_BEAD / 2)
    table = run("score", scan_folder / "calcium", "--candidates", "--config", config)
    assert "2 components" in table.stdout


def test_candidates_of_what_is_no_volume_are_3(tmp_path, config):
    images = ct_series(thorax(3))
    for image in images:
        image.RescaleSlope = 0
    write_series(images, tmp_path / "scan")
    result = run("score", tmp_path / "scan", "--candidates", "--json", "--config", config)
    assert result.exit_code == 3
    assert json.loads(result.stdout) == {"candidates": []}
    assert "rescale" in result.stderr


# a node's ledger


def test_before_any_run_there_is_no_ledger_and_none_is_made(config, tmp_path):
    for command in (["status"], ["retry", "--all"], ["backup", tmp_path / "copy"]):
        result = run(*command, "--config", config)
        assert result.exit_code == 1
        assert "there is no ledger yet" in result.stderr
        assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "node").exists()
    assert not (tmp_path / "copy").exists()


def test_status_counts_by_state(used):
    result = run("status", "--config", used, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "instances": 3,
        "series": {"closed": 1},
        "work": {"qualify": {"parked": 1}},
        "deliveries": {},
        "discrepancies": {},
        "reads": {},
    }
    table = run("status", "--config", used)
    assert "parked 1: qualify: a fault of this program: KeyError" in table.stdout


@pytest.fixture
def table(used, rig, tmp_path) -> Path:
    """Two reads of the study of ``used``'s series, one of which has two faults, and one of another study."""
    study = ct_series(thorax(3))[0].StudyInstanceUID
    lines = ("study_uid;read_id;LAD;RCA", f"{study};r1;12,5;0", f"{study};r2;many;-1", "1.2.3;r3;1;1")
    path = tmp_path / "reads.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_reads_are_taken_once_and_every_fault_is_told(used, rig, table):
    words = " ".join(run("reads", "import", table, "--config", used, "--reader", "R1").stdout.split())
    assert "line 3" in words
    assert "quarantined" in words
    stored = {one.read.source_id: one.read for one in rig.ledger.quarantined_reads()}
    assert set(stored) == {"r1", "r3"}
    assert stored["r1"].reader == "R1"
    assert stored["r1"].scores["LAD"].agatston == 12.5
    again = run("reads", "import", table, "--config", used, "--reader", "R1")
    assert again.exit_code == 0
    assert again.stdout.count("the same") == 2
    assert len(rig.ledger.quarantined_reads()) == 2


def test_a_dry_run_takes_nothing_and_needs_no_ledger(config_of, table, tmp_path):
    result = run("reads", "import", table, "--config", config_of(tmp_path / "new"), "--dry-run")
    assert result.exit_code == 0
    assert result.stdout.count("can be taken") == 2
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("text", ["", "{", "LAD;RCA\n1;2", "study_uid;LAD\nx;1", "[]"])
def test_where_nothing_can_be_taken_it_is_3_with_the_reason(text, used, tmp_path):
    path = tmp_path / "reads.csv"
    path.write_text(text, encoding="utf-8")
    assert run("reads", "import", path, "--config", used).exit_code == 3


def test_without_a_ledger_no_read_is_taken(config_of, table, tmp_path):
    result = run("reads", "import", table, "--config", config_of(tmp_path / "new"))
    assert result.exit_code == 1
    assert "no ledger yet" in result.stderr


def test_retry_takes_parked_work_up_again(used, rig):
    assert run("retry", "99", "--config", used).exit_code == 1
    result = run("retry", "1", "--config", used)
    assert (result.exit_code, result.stdout) == (0, "1 taken up again\n")
    rig.clock.advance(3600 * 24 * 3650)
    work = rig.ledger.claim(rig.clock.now, timedelta(minutes=1), (Stage.QUALIFY,))
    assert (work.id, work.attempts) == (1, 1)
    assert run("retry", "--all", "--config", used).exit_code == 1


def test_backup_is_a_whole_copy_and_overwrites_nothing(used, rig, tmp_path):
    target = tmp_path / "copy.sqlite"
    assert run("backup", target, "--config", used).exit_code == 0
    copy = sqlite3.connect(target)
    assert copy.execute("SELECT count(*) FROM instances").fetchone() == (3,)
    copy.close()
    for taken in (target, rig.root / "ledger.sqlite"):
        before = taken.stat().st_ino
        again = run("backup", taken, "--config", used)
        assert again.exit_code == 1
        assert "exists" in again.stderr
        assert taken.stat().st_ino == before


def test_retention_says_first_what_would_go(rig, config_of):
    uid = rig.close(ct_series(thorax(3)))
    rig.finish(rig.claim(Stage.QUALIFY), Outcome(state=WorkState.DECLINED, reasons=("contrast",)))
    config = config_of(rig.root, "[retention]\nimages_days = 30\n")
    dry = run("retention", "--dry-run", "--config", config)
    assert dry.exit_code == 0, dry.stderr
    assert "its time has come" in dry.stdout
    assert "stays: answers 1: the settings keep it for ever" in dry.stdout
    assert uid not in dry.stdout
    assert len(rig.files("spool")) == 3
    as_json = json.loads(run("retention", "--dry-run", "--json", "--config", config).stdout)
    assert [(one["what"], one["goes"], one["files"]) for one in as_json] == [("answers", False, 0), ("images", True, 3)]
    done = run("retention", "--config", config)
    assert (done.exit_code, done.stdout.split(";")[0]) == (
        0,
        "let go: images of 1 series, answers of 0 series, 0 originals of reads",
    )
    assert rig.files("spool") == set()


def test_db_upgrade_says_first_what_it_would_do(config, tmp_path):
    dry = run("db", "upgrade", "--dry-run", "--config", config)
    assert dry.exit_code == 0
    assert dry.stdout.startswith("from an empty database to ")
    assert not (tmp_path / "node").exists()
    newest = dry.stdout.split()[-1]
    assert run("db", "upgrade", "--config", config).stdout == f"the ledger is at {newest}\n"
    assert run("db", "upgrade", "--dry-run", "--config", config).stdout == f"from {newest} to {newest}\n"
    assert json.loads(run("status", "--config", config, "--json").stdout)["instances"] == 0


def test_an_outdated_ledger_is_not_opened(used, rig):
    ledger = sqlite3.connect(rig.root / "ledger.sqlite")
    ledger.execute("UPDATE alembic_version SET version_num = '0000'")
    ledger.commit()
    ledger.close()
    result = run("status", "--config", used)
    assert result.exit_code == 1
    assert "db upgrade" in result.stderr


# check and send


def closed_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return listening.getsockname()[1]


def test_check_lists_every_fault_point():
    result = run("check", "--faults")
    assert result.exit_code == 0
    assert [line.split("\t")[0] for line in result.stdout.splitlines()] == list(FAULT_POINTS)


def test_check_looks_at_everything_and_changes_nothing(config, tmp_path):
    result = run("check", "--config", config)
    assert result.exit_code == 0, result.stdout
    for named in ("settings", "allow-list: empty", "storage", "ledger: none yet", "bundle: tiny 0"):
        assert named in result.stdout
    assert not (tmp_path / "node").exists()


def test_check_fails_with_every_fault_at_once(tmp_path, bundle):
    (tmp_path / "file").write_text("", encoding="utf-8")
    path = tmp_path / "node.toml"
    path.write_text(
        f'[reader]\nbundle = "{tmp_path}/nowhere"\n[storage]\nroot = "{tmp_path}/file/node"\n'
        f'[[destinations]]\nname = "pacs"\nae_title = "P"\nhost = "127.0.0.1"\nport = {closed_port()}\n',
        encoding="utf-8",
    )
    result = run("check", "--config", path)
    assert result.exit_code == 1
    failed = [line.split(":")[0] for line in result.stdout.splitlines() if line.startswith("FAIL")]
    assert failed == ["FAIL  storage", "FAIL  bundle", "FAIL  destination pacs"]


def test_check_alive_asks_the_node(config_of, tmp_path):
    path = config_of(tmp_path / "node", f"[scp]\nport = {closed_port()}\n")
    result = run("check", "--alive", "--config", path)
    assert result.exit_code == 1
    assert len(result.stderr.strip().splitlines()) == 1


def test_send_to_nobody_is_1_with_one_clear_line(scan_folder):
    port = closed_port()
    result = run("send", scan_folder / "few", "--port", port)
    assert result.exit_code == 1
    (line,) = result.stdout.splitlines()
    assert line == f"3 not taken at 127.0.0.1:{port}: CALCIUM2R cannot be reached or does not answer"
    assert result.stderr.strip() == ""


def test_send_without_dicom_files_is_1(tmp_path):
    (tmp_path / "notes.txt").write_text("no DICOM", encoding="utf-8")
    result = run("send", tmp_path)
    assert result.exit_code == 1
    assert "skipped notes.txt" in result.stderr
    assert "no DICOM files found" in result.stderr


@pytest.mark.parametrize("command", ["send", "score"])
def test_a_file_that_cannot_be_read_is_skipped_and_said(command, tmp_path, monkeypatch):
    (path,) = write_series(ct_series(thorax(3))[:1], tmp_path)
    read = Path.read_bytes

    def failing(self: Path) -> bytes:
        if self == path:
            raise PermissionError(13, "Permission denied")
        return read(self)

    monkeypatch.setattr(Path, "read_bytes", failing)
    result = run(command, tmp_path)
    assert result.exit_code == (1 if command == "send" else 3)
    assert "skipped 0000.dcm: Permission denied" in result.stderr


def test_serve_ends_cleanly_on_sigterm_and_runs_once_per_root(config_of, tmp_path):
    path = config_of(
        tmp_path / "node", '[scp]\nport = 0\nhost = "127.0.0.1"\n[web]\nport = 0\n[log]\nformat = "json"\n'
    )
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SECOND_READER_")}
    command = [sys.executable, "-m", "node", "serve", "--config", path]
    node = subprocess.Popen(command, cwd=ROOT, env=environ, stderr=subprocess.PIPE, text=True)
    try:
        said = []
        for line in node.stderr:
            said.append(json.loads(line))
            if said[-1]["event"] == "ready":
                break
        assert said, "the node said nothing"
        assert said[-1]["event"] == "ready"
        assert said[-1]["port"] > 0
        assert said[-1]["page"].startswith("http://127.0.0.1:")
        second = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
        assert second.returncode == 1
        assert "another node" in second.stderr
        node.send_signal(signal.SIGTERM)
        assert node.wait(60) == 0
    finally:
        node.kill()
        node.wait()
        node.stderr.close()
    assert json.loads(run("status", "--config", path, "--json").stdout)["instances"] == 0
    assert Rig(tmp_path / "node", None).ledger.integrity() == ()
