from __future__ import annotations

import pytest

from node.domain.records import Outcome
from node.domain.work import WorkState


@pytest.mark.parametrize("state", [state for state in WorkState if state not in {WorkState.DONE, WorkState.DECLINED}])
def test_work_does_not_end_unfinished(state: WorkState) -> None:
    with pytest.raises(ValueError, match="done or declined"):
        Outcome(state=state)


@pytest.mark.parametrize("state", [WorkState.DONE, WorkState.DECLINED])
def test_work_ends_done_or_declined(state: WorkState) -> None:
    assert Outcome(state=state).state is state
