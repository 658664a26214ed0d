from __future__ import annotations

import pytest

from node.domain import errors
from node.domain.errors import LeaseLost, NodeError, Permanent, Retryable

CLASSES = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, NodeError)]


@pytest.mark.parametrize("kind", [kind for kind in CLASSES if kind not in {NodeError, LeaseLost}])
def test_every_error_says_whether_to_try_again(kind: type[NodeError]) -> None:
    assert issubclass(kind, Permanent) != issubclass(kind, Retryable)


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_is_drawn_in_the_tree_and_explained(kind: type[NodeError]) -> None:
    assert errors.__doc__ is not None
    assert kind.__name__ in errors.__doc__
    assert kind.__doc__


def test_lost_work_is_neither_retried_nor_parked() -> None:
    assert not issubclass(LeaseLost, Permanent | Retryable)
