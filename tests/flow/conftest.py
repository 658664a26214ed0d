from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from model.labels import Territory
from model.reader import Reader
from tests.flow.site import Archive, Site, a_node
from tests.tiny_bundle import tiny_bundle


@pytest.fixture(scope="session")
def finds_lad() -> Reader:
    """A reader to which every candidate is calcium of the LAD."""
    reader = Reader(tiny_bundle(finds=Territory.LAD), device="cpu")
    reader.warm_up()
    return reader


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """The network is tiny, and the threads of a node share two cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    with Archive(tmp_path / "archive") as running:
        yield running


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, finds_lad: Reader) -> Iterator[Site]:
    """One node and one archive for all tests of a module: every test sends a study of its own."""
    folder = tmp_path_factory.mktemp("site")
    with Archive(folder / "archive") as archive, a_node(folder, finds_lad, [archive.destination()]) as node:
        yield Site(node=node, archive=archive)
