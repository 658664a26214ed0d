from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from model.labels import Territory
from model.reader import Reader
from node.storage.migrations import upgrade
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
