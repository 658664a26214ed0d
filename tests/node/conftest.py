from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from model.bundle import write_bundle
from model.labels import Territory
from model.reader import Reader
from node.domain.work import Stage
from node.storage.migrations import upgrade
from tests.dicom_series import Style, ct_series, thorax, write_series
from tests.heart_scan import heart_scan
from tests.node.rig import Rig
from tests.tiny_bundle import tiny_bundle


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of the present schema, to be copied: making one takes longer than most tests."""
    path = tmp_path_factory.mktemp("ledger") / "ledger.sqlite"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def rig(tmp_path: Path, empty_ledger: Path) -> Iterator[Rig]:
    made = Rig(tmp_path / "node", empty_ledger)
    yield made
    made.ledger.close()


@pytest.fixture(scope="session")
def lad_reader() -> Reader:
    return Reader(tiny_bundle(finds=Territory.LAD), device="cpu")


@pytest.fixture(scope="session")
def blind_reader() -> Reader:
    return Reader(tiny_bundle(sees_heart=False), device="cpu")


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
