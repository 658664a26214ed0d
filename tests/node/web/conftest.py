from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from node.web import passwords
from tests.web_site import WebSite


@pytest.fixture(autouse=True)
def quick_hashes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Argon2 at its least: how slow it is belongs to the library."""
    from pwdlib import PasswordHash  # noqa: PLC0415
    from pwdlib.hashers.argon2 import Argon2Hasher  # noqa: PLC0415

    quick = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1),))
    monkeypatch.setattr(passwords, "_hasher", lambda: quick)
    passwords._nobody.cache_clear()
    yield
    passwords._nobody.cache_clear()


@pytest.fixture
def site(tmp_path: Path, empty_ledger: Path) -> Iterator[WebSite]:
    (tmp_path / "node").mkdir()
    shutil.copy(empty_ledger, tmp_path / "node" / "ledger.sqlite")
    made = WebSite(tmp_path / "node")
    yield made
    made.ledger.close()
