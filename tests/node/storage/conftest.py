from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.storage.ledger import Ledger
from node.storage.migrations import upgrade
from node.storage.spool import Spool


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "node"


@pytest.fixture
def spool(root: Path) -> Spool:
    return Spool(root, 0)


@pytest.fixture
def url(root: Path) -> str:
    root.mkdir(exist_ok=True)
    return f"sqlite:///{root}/ledger.sqlite"


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    upgrade(url)
    with Ledger(url) as opened:
        yield opened
