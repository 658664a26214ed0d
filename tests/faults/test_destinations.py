"""One study to archives with a trouble each: every object arrives, no more often than it must, and tries are spaced."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from node.domain.records import WorkRecord
from node.domain.work import Stage, WorkState
from tests.faults.troubled import Troubled, aborting, hanging_up, late, slowly, status
from tests.flow.site import Archive, a_node, a_study, deliver, destination, free_port, settle, wait_until, work_of

BACK_OFF_SECONDS = 0.4
PATIENCE = 200.0
TRANSIENT, NO_REASON, WRONG_TITLE = (2, 3, 2), (1, 1, 1), (1, 1, 7)
PASSING: Mapping[str, Mapping[str, Sequence[object]]] = {
    "well": {},
    "slow": {"script": [slowly] * 3},
    "late": {"script": [late]},
    "aborting": {"script": [status(0, keeps=True), aborting]},
    "hanging-up": {"script": [hanging_up]},
    "full": {"script": [status(0xA700), status(0xA701)]},
    "busy": {"rejecting": [TRANSIENT, NO_REASON]},
    "coercing": {"script": [status(0xB000, keeps=True)]},
    "discarding": {"script": [status(0xB006, keeps=True)]},
    "having-it": {"script": [status(0x0111, keeps=True)]},
}
FOR_GOOD: Mapping[str, Mapping[str, Sequence[object]]] = {
    "refusing": {"script": [status(0xC000)]},
    "other-class": {"script": [status(0xA900)]},
    "other-title": {"rejecting": [WRONG_TITLE]},
}
TWICE = ("late", "hanging-up")  # taken, and the node could not know


@dataclass(frozen=True, kw_only=True)
class Told:
    """What became of the deliveries: when everything that passes had passed, and after parked work was revived."""

    archives: Mapping[str, Troubled]
    down: Archive
    before: Mapping[str, Sequence[WorkRecord]]
    after: Mapping[str, Sequence[WorkRecord]]

    def states(self, name: str, *, revived: bool = False) -> list[WorkState]:
        return sorted(row.state for row in (self.after if revived else self.before)[name])


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, reader) -> Iterator[Told]:
    folder, port, study = tmp_path_factory.mktemp("destinations"), free_port(), a_study("troubled")
    quick = {"first_retry_seconds": BACK_OFF_SECONDS, "most_retry_seconds": 1.0}
    with ExitStack() as held:
        archives = {name: held.enter_context(Troubled(name=name, **how)) for name, how in (PASSING | FOR_GOOD).items()}
        known = [one.destination(**quick) for one in archives.values()]
        node = held.enter_context(a_node(folder, reader, [*known, destination(port, "down", **quick)]))

        def rows() -> Mapping[str, Sequence[WorkRecord]]:
            found = work_of(node, study.series_uid, Stage.DELIVER)
            return {name: [one for one in found if one.work.destination == name] for name in (*archives, "down")}

        def over(name: str) -> bool:
            return {row.state for row in rows()[name]} <= {WorkState.DONE, WorkState.PARKED}

        deliver(node.port, study.images)
        wait_until(lambda: len(rows()["well"]) == 3, PATIENCE)
        wait_until(lambda: all(over(name) for name in archives), PATIENCE)
        wait_until(lambda: all(row.work.attempts >= 2 for row in rows()["down"]), PATIENCE)
        down = held.enter_context(Archive(folder / "down", port=port))
        settle(node, PATIENCE)
        before = rows()
        node.storage.ledger.revive(node._clock())
        node._wake()
        settle(node, PATIENCE)
        yield Told(archives=archives, down=down, before=before, after=rows())


@pytest.mark.parametrize("name", PASSING)
def test_what_passes_is_got_over_and_nothing_is_lost(name: str, told: Told) -> None:
    assert told.states(name) == [WorkState.DONE] * 3
    kept = told.archives[name].kept
    assert set(kept) == set(told.archives["well"].kept)
    assert all(len(set(contents)) == 1 for contents in kept.values())
    times = sorted(len(contents) for contents in kept.values())
    assert times == ([1, 1, 2] if name in TWICE else [1, 1, 1])


@pytest.mark.parametrize("name", [name for name, how in PASSING.items() if how])
def test_only_what_failed_is_tried_again_and_not_at_once(name: str, told: Told) -> None:
    archive = told.archives[name]
    attempts = sorted(row.work.attempts for row in told.before[name])
    if name in ("slow", "coercing", "discarding", "having-it"):
        assert (attempts, len(archive.associations)) == ([1, 1, 1], 1)
    else:
        assert attempts[-1] >= 2
        assert archive.associations[1] - archive.associations[0] >= BACK_OFF_SECONDS / 2
    if name in ("aborting", "full"):  # what had arrived before is not touched
        assert attempts[0] == 1


@pytest.mark.parametrize(("name", "code"), [("coercing", "B000"), ("discarding", "B006"), ("having-it", "0111")])
def test_what_an_archive_remarks_is_kept(name: str, code: str, told: Told) -> None:
    (note,) = [row.reasons for row in told.before[name] if row.reasons]
    assert code in note[0]


@pytest.mark.parametrize(
    ("name", "said", "parked"),
    [("refusing", "C000", 1), ("other-class", "A900", 1), ("other-title", "Called AE title not recognised", 3)],
)
def test_what_was_refused_is_parked_with_the_reason_and_goes_when_it_is_revived(
    name: str, said: str, parked: int, told: Told
) -> None:
    assert told.states(name) == [WorkState.DONE] * (3 - parked) + [WorkState.PARKED] * parked
    assert all(said in row.error for row in told.before[name] if row.state is WorkState.PARKED)
    assert told.states(name, revived=True) == [WorkState.DONE] * 3
    assert [len(contents) for contents in told.archives[name].kept.values()] == [1, 1, 1]


def test_an_archive_that_was_down_gets_everything_once(told: Told) -> None:
    assert told.states("down") == [WorkState.DONE] * 3
    assert sorted(one.sop_uid for one in told.down.stored) == sorted(told.archives["well"].kept)
