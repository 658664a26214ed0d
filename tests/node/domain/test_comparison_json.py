"""A comparison as JSON: nothing is lost, and what is no comparison is refused with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.comparison_json import dumps, limits_sha256, loads, to_document
from node.domain.discrepancy import Comparison, Difference
from node.domain.errors import Malformed
from node.domain.tiers import Limits, Tier
from tests.node.domain.reads import a_comparison

_TEXTS = st.lists(st.text(max_size=9), max_size=2).map(tuple)
COMPARISONS = st.builds(
    Comparison,
    tier=st.sampled_from(Tier),
    reasons=_TEXTS,
    differences=st.lists(
        st.builds(
            Difference,
            region=st.sampled_from(("LAD", "CAC")),
            ours=st.floats(0, 9000),
            human=st.none() | st.floats(0, 9000),
            beyond=st.booleans(),
        ),
        max_size=2,
    ).map(tuple),
    lesions=st.lists(st.integers(0, 40), max_size=3).map(tuple),
    absent=_TEXTS,
    borderline=_TEXTS,
    remarks=_TEXTS,
)


@given(comparison=COMPARISONS)
def test_nothing_is_lost(comparison: Comparison) -> None:
    assert loads(dumps(comparison)) == comparison


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tier": "terrible"}, "tier: one of concordant"),
        ({"lesions": "all"}, "lesions: a list"),
        ({"lesions": [1.5]}, "lesions: a whole number"),
        ({"differences": [{"region": "CAC", "ours": None}]}, r"differences\[0\].ours"),
    ],
)
def test_what_is_no_comparison_is_refused_with_its_place(change: dict[str, Any], words: str) -> None:
    with pytest.raises(Malformed, match=words):
        loads(json.dumps(to_document(a_comparison()) | change))


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000])
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        loads(text)


def test_limits_are_named_by_what_they_say() -> None:
    assert limits_sha256(Limits()) == limits_sha256(Limits(same_points=5.0)) != limits_sha256(Limits(same_points=6.0))
