"""Killed at every labelled step, started again: the study is answered once, as if nothing had happened.

The first life of a node is a process of its own, as only a process can be killed; the second runs in this one, on
what the first has left. All lives are lived two at a time, and each test looks at one.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from node.domain.faults import FAULT_POINTS
from node.service import Node
from node.settings import Settings
from tests.faults.serving import Served, assert_in_order
from tests.flow.site import Archive, Study, a_study, free_port, items_of, scanner, settle, write_config

# The passage at which to die, where the first is not the most telling.
_LATER = {"receive": 10, "deliver.before-commit": 2, "deliver.after-commit": 2}
POINTS = [
    *(
        f"{name}:{_LATER.get(name, _LATER.get(name.split('.')[0], 1))}"
        for name in FAULT_POINTS
        # no human read comes in here, nobody decides or asks for commitment, and nothing is old enough to go
        if not name.startswith(("intake.", "write-back.", "notify.", "retention.", "commitment."))
    ),
    "outbox.renamed:4",  # while publishing: the first two are files of the reading
    "outbox.directory-synced:5",
]


@dataclass(frozen=True, kw_only=True)
class Lives:
    """What a study came to over the lives of a node."""

    ended: int | None  # exit status of the first life
    acknowledged: int
    said: str
    arrived: Mapping[str, set[bytes]]  # at the archive: the distinct contents under each UID
    generations: int
    config: Path


def live(folder: Path, bundle: Path, fault: str | None) -> Lives:
    folder.mkdir()
    port, study, ended, said, acknowledged = free_port(), a_study("killed"), None, "", 0
    items = items_of(study.images)
    with Archive(folder / "archive") as archive:
        config = write_config(
            folder,
            [archive.destination()],
            scp={"port": port},
            series={"quiet_seconds": 15.0},
            reader={"bundle": str(bundle)},
        )
        if fault is not None:
            first = Served(config, folder / "first.log", fault, forked=True)
            try:
                first.wait_ready()
                outcomes = scanner(port).send(items)
                ended = first.wait_end()
            finally:
                first.kill()
            said, acknowledged = first.said(), sum(one.delivered for one in outcomes)
            items = [item for item, one in zip(items, outcomes, strict=True) if not one.delivered]
        with Node(Settings.load(config, {})) as second:
            assert all(one.delivered for one in scanner(port).send(items))
            archive.wait_for(3)
            settle(second)
            generations = second.storage.ledger.find_series(study.series_uid).generation
            assert len(second.storage.ledger.instances(study.series_uid)) == len(study.images)
    return Lives(
        ended=ended,
        acknowledged=acknowledged,
        said=said,
        arrived=by_uid(archive, study),
        generations=generations,
        config=config,
    )


def by_uid(archive: Archive, study: Study) -> Mapping[str, set[bytes]]:
    found: dict[str, set[bytes]] = {}
    for one in archive.of(study):
        found.setdefault(one.sop_uid, set()).add(one.file.read_bytes())
    return found


@pytest.fixture(scope="module")
def lives(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, bundle: Path
) -> Iterator[Mapping[str, Future[Lives]]]:
    folder = tmp_path_factory.mktemp("lives")
    chosen = [item.callspec.params["point"] for item in request.session.items if hasattr(item, "callspec")
              and "point" in item.callspec.params]  # fmt: skip
    with ThreadPoolExecutor(2) as pool:
        started = {
            point: pool.submit(live, folder / point.replace(":", "-"), bundle, point)
            for point in POINTS
            if point in chosen
        }
        yield started
        for one in started.values():
            one.cancel()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, bundle: Path) -> Lives:
    return live(tmp_path_factory.mktemp("undisturbed") / "node", bundle, None)


def test_undisturbed(undisturbed: Lives) -> None:
    assert [len(contents) for contents in undisturbed.arrived.values()] == [1, 1, 1]
    assert_in_order(undisturbed.config)


@pytest.mark.parametrize("point", POINTS)
def test_killed_and_started_again(point: str, lives: Mapping[str, Future[Lives]], undisturbed: Lives) -> None:
    lived = lives[point].result()
    assert lived.ended == -signal.SIGKILL, f"the fault point was never passed: {lived.said}"
    assert lived.acknowledged == (9 if point.startswith("receive.") else 30)
    assert set(lived.arrived) == set(undisturbed.arrived)
    assert [len(contents) for contents in lived.arrived.values()] == [1, 1, 1]
    assert lived.generations == 1
    assert_in_order(lived.config)
