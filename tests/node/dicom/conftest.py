"""A listener on a free port, and what keeps its images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from node.dicom.listener import Listener, ListenerConfig
from tests.node.dicom.listening import Keeper


@pytest.fixture
def keeper() -> Keeper:
    return Keeper()


@pytest.fixture
def start(keeper: Keeper) -> Iterator:
    running = []

    def go(**changes: object) -> Listener:
        config = replace(ListenerConfig(ae_title="CALCIUM2R", host="127.0.0.1", port=0), **changes)
        listener = Listener(config, keeper.store, on_opened=keeper.opened.append, on_closed=keeper.close)
        listener.start()
        running.append(listener)
        return listener

    yield go
    for listener in running:
        listener.stop(grace_seconds=0.2)


@pytest.fixture
def listener(start) -> Listener:
    return start()
