"""A listener on a free port, and what keeps its images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from node.dicom.listener import Listener, ListenerConfig
from tests.node.dicom.listening import Keeper, listeners


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture
def start(keeper: Keeper) -> Iterator:
    with listeners() as begin:

        def go(**changes: object) -> Listener:
            config = replace(ListenerConfig(ae_title="CALCIUM2R", host="127.0.0.1", port=0), **changes)
            return begin(Listener(config, keeper.store, on_opened=keeper.opened.append, on_closed=keeper.close))

        yield go


@pytest.fixture
def listener(start) -> Listener:
    return start()
