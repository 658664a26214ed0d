"""For every test: threads of torch that do not spin, logging as it was, no socket of a test's scanner left open."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from pynetdicom import AE

import model  # noqa: F401 - before anybody imports torch; see there

# consoles take their width when they are made, and pytest-xdist gives its workers one of 80
os.environ["COLUMNS"] = "1000"


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Give back the process's logging: commands set it up, and the next test may look at what is said."""
    root, defaults = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    levels = {
        name: logging.getLogger(name).level for name in ("pydicom", "sqlalchemy", "alembic", "node.dicom.pynetdicom")
    }
    yield
    root.handlers, root.level = handlers, level
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    structlog.configure(**defaults)


@pytest.fixture(autouse=True)
def _scanners_hang_up(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close what pynetdicom leaves to the garbage collector when the other side ends an association.

    Only for plain AEs, which are a test's own: the node's sender closes its sockets itself.
    """
    made = []
    create = AE._create_socket

    def remembered(entity: AE, *given: Any, **named: Any) -> Any:  # noqa: ANN401 - as the library's
        wrapped = create(entity, *given, **named)
        if type(entity) is AE:
            made.append(wrapped.socket)
        return wrapped

    monkeypatch.setattr(AE, "_create_socket", remembered)
    yield
    for each in made:
        each.close()
