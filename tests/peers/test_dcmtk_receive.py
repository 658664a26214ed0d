"""dcmtk sends to the listener: real images, its compressors' output, and its idea of misbehaviour."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from node.dicom.files import content_of, file_head
from node.dicom.headers import read_instance
from node.dicom.listener import Listener, ListenerConfig, StoreRequest
from node.dicom.volumes import read_volume
from node.domain.errors import StorageFull
from tests.dicom_series import Style, ct_series, thorax, write_series

# Not by PATH: pynetdicom installs scripts of the same names.
DCMTK = Path("/usr/bin")
TOOLS = ("storescu", "dcmsend", "echoscu", "dcmcjpeg", "dcmcjpls", "dcmcrle")
REFERENCE = Path(os.environ.get("SECOND_READER_REFERENCE_DATA") or Path(__file__).parents[2] / ".." / "shared" / "data")
QRM = REFERENCE / "qrm-phantom-canon" / "dicom"

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(not all((DCMTK / tool).exists() for tool in TOOLS), reason="dcmtk is not in /usr/bin"),
]


class Folder:
    """Keeps what arrives as files."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.room = 10**6
        self.syntaxes: set[str] = set()
        path.mkdir()

    def store(self, data: bytes, request: StoreRequest) -> None:
        if self.room <= 0:
            raise StorageFull("no room")
        self.room -= 1
        found = read_instance(data, request.transfer_syntax_uid)
        self.syntaxes.add(found.transfer_syntax_uid)
        head = file_head(
            sop_class_uid=request.sop_class_uid,
            sop_uid=request.sop_uid,
            transfer_syntax_uid=request.transfer_syntax_uid,
        )
        (self.path / f"{found.sop_uid}.dcm").write_bytes(head + data)

    def files(self) -> list[Path]:
        return sorted(self.path.iterdir())


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "arrived")


@pytest.fixture
def listener(folder: Folder) -> Iterator[Listener]:
    running = Listener(ListenerConfig(ae_title="CALCIUM2R", host="127.0.0.1", port=0), folder.store)
    running.start()
    yield running
    running.stop(grace_seconds=0.5)


def dcmtk(tool: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    # without TCP_NODELAY, dcmtk waits 40 ms per image for an acknowledgement
    environment = {**os.environ, "TCP_NODELAY": "1"}
    command = [str(DCMTK / tool), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def storescu(listener: Listener, *arguments: object, called: str = "CALCIUM2R") -> tuple[int, str]:
    """Exit code and output of storescu: its lines 'Received Store Response (Success)' count, not the exit code."""
    done = dcmtk(
        "storescu", "-v", "-pdu", 131072, "-aec", called, *arguments[:-1], "127.0.0.1", listener.port, arguments[-1]
    )
    return done.returncode, done.stdout + done.stderr


def test_echo(listener):
    assert dcmtk("echoscu", "-aec", "CALCIUM2R", "127.0.0.1", listener.port).returncode == 0


def test_wrong_called_ae_title(listener):
    done = dcmtk("echoscu", "-aec", "SOMEONE", "127.0.0.1", listener.port)
    assert done.returncode != 0
    assert "Called AE Title Not Recognized" in done.stdout + done.stderr


@pytest.mark.reference
@pytest.mark.skipif(not QRM.is_dir(), reason=f"no reference data in {REFERENCE}")
def test_the_real_scan(listener, folder):
    sent = sorted(QRM.iterdir())
    code, said = storescu(listener, "+sd", QRM)
    assert code == 0
    assert said.count("Received Store Response (Success)") == len(sent)
    arrived = {content_of(path.read_bytes()).sop_uid: path for path in folder.files()}
    for path in sent:
        content = content_of(path.read_bytes())
        assert content_of(arrived[content.sop_uid].read_bytes()).dataset == content.dataset
    here, there = read_volume(sent), read_volume(folder.files())
    np.testing.assert_array_equal(here.volume.hu, there.volume.hu)
    assert here.sop_uids == there.sop_uids


COMPRESSORS = {
    "JPEG lossless 70": (["dcmcjpeg", "+e1"], "1.2.840.10008.1.2.4.70"),
    "JPEG lossless 57": (["dcmcjpeg", "+el", "+sv", "4"], "1.2.840.10008.1.2.4.57"),
    "JPEG-LS lossless": (["dcmcjpls", "+el"], "1.2.840.10008.1.2.4.80"),
    "RLE": (["dcmcrle"], "1.2.840.10008.1.2.5"),
}
STYLES = {"signed 16": Style(), "unsigned 12": Style(signed=False, bits_stored=12)}


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES.keys())
@pytest.mark.parametrize("packer", COMPRESSORS.values(), ids=COMPRESSORS.keys())
def test_images_that_dcmtk_compressed(packer, style, listener, folder, tmp_path):
    command, syntax = packer
    anatomy = thorax(4, 24, 32)
    packed = tmp_path / "packed"
    packed.mkdir()
    for path in write_series(ct_series(anatomy, style), tmp_path / "plain"):
        done = dcmtk(*command, path, packed / path.name)
        assert done.returncode == 0, done.stderr
    # dcmsend exits 0 whatever happens, but proposes what the files have, which storescu cannot for all of these
    dcmtk("dcmsend", "-dn", "-aec", "CALCIUM2R", "127.0.0.1", listener.port, *sorted(packed.iterdir()))
    assert folder.syntaxes == {syntax}
    assert len(folder.files()) == 4
    np.testing.assert_array_equal(read_volume(folder.files()).volume.hu, anatomy.hu)


def test_storage_full_is_told_and_nothing_half_is_kept(listener, folder, tmp_path):
    write_series(ct_series(thorax()), tmp_path / "plain")
    folder.room = 3
    _, said = storescu(listener, "+sd", tmp_path / "plain")
    assert said.count("Received Store Response (Success)") == 3
    assert "A700" in said.upper() or "OutOfResources" in said
    assert len(folder.files()) == 3


def test_a_storescu_that_is_killed_leaves_the_listener_at_work(listener, folder, tmp_path):
    images = write_series(ct_series(thorax(40, 256, 256)), tmp_path / "plain")
    command = [
        str(DCMTK / "storescu"),
        "-aec",
        "CALCIUM2R",
        "+sd",
        "127.0.0.1",
        str(listener.port),
        str(tmp_path / "plain"),
    ]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as running:
        while len(folder.files()) < 3 and running.poll() is None:
            pass
        running.kill()
    code, said = storescu(listener, "+sd", tmp_path / "plain")
    assert code == 0
    assert said.count("Received Store Response (Success)") == len(images)
    assert read_volume(folder.files()).volume.hu.shape == (40, 256, 256)
