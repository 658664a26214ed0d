from __future__ import annotations

from pathlib import Path

import pytest

from model.bundle import write_bundle
from model.labels import Territory
from model.reader import Reader
from tests.tiny_bundle import tiny_bundle


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle on disk that calls every candidate calcium of the LAD."""
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    write_bundle(folder, tiny_bundle(finds=Territory.LAD), "A card.")
    return folder


@pytest.fixture(scope="session")
def reader() -> Reader:
    """A reader to which every candidate is calcium of the LAD, for nodes in this process."""
    made = Reader(tiny_bundle(finds=Territory.LAD), device="cpu")
    made.warm_up()
    return made
