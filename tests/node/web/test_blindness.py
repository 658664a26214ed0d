"""Whatever a comparison says, its words do not tell a blind reviewer which read is whose."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.domain.discrepancy import COMPARED
from node.domain.human_read import HumanRead, ReadScore, ReadSource, StudyKey
from node.domain.review import ReviewOutcome
from node.web.blindness import UNCERTAIN, Names, whole
from node.web.case_view import region_rows
from tests.web_site import compared

VESSELS = ("LM", "LAD", "LCX", "RCA", "AV", "TA")
SCORES = st.one_of(st.just(0.0), st.floats(0.01, 3000).map(lambda value: round(value, 2)))
NAMES = [Names(blind=True, node_is_a=True), Names(blind=True, node_is_a=False)]


def a_read(scores):
    return HumanRead(
        source=ReadSource.FILE,
        source_id="1",
        study=StudyKey(study_uid="1.2.3"),
        read_at=datetime(2026, 3, 1, tzinfo=UTC),
        scores={region: ReadScore(agatston=value) for region, value in scores.items()},
    )


@settings(max_examples=150, deadline=None)
@given(
    st.dictionaries(st.sampled_from(VESSELS), SCORES),
    st.dictionaries(st.sampled_from((*VESSELS, "CAC", "AC")), SCORES, min_size=1),
    st.sampled_from(NAMES),
)
def test_reasons_name_a_and_b_and_round_alike(ours, human, names):
    comparison = compared("1.2.3.1", ours, a_read(human))
    for reason in comparison.reasons:
        said = names.reason(reason)
        assert said != UNCERTAIN, reason
        assert not any(word in said for word in ("human", " here", "node", "no total"))
        assert " in A" in said
        assert " in B" in said


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(st.sampled_from(VESSELS), SCORES),
    st.dictionaries(st.sampled_from((*VESSELS, "CAC", "AC")), SCORES, min_size=1),
)
def test_swapping_the_order_swaps_the_columns_and_nothing_else(ours, human):
    differences = compared("1.2.3.1", ours, a_read(human)).differences
    first, second = (region_rows(differences, names) for names in NAMES)
    assert [row.scores for row in first] == [row.scores[::-1] for row in second]
    assert [(row.region, row.difference, row.beyond) for row in first] == [
        (row.region, row.difference, row.beyond) for row in second
    ]
    missing = {one.region for one in differences if one.human is None}
    assert not missing & {row.region for row in first}


def test_openly_every_region_is_shown_and_a_gap_is_a_dash():
    differences = compared("1.2.3.1", {"RCA": 12.4}, a_read({"CAC": 0})).differences
    rows = {row.region: row for row in region_rows(differences, Names(blind=False, node_is_a=False))}
    assert set(rows) == set(COMPARED)
    assert rows["RCA"].scores == ("–", "12")
    assert rows["RCA"].words == "not reported by the human"
    assert rows["CAC"].words == "Node higher, beyond normal variation"


@pytest.mark.parametrize(
    "reason", ["the human scored another series", "scored by our rules", "something new by the node"]
)
def test_words_that_nobody_has_thought_of_are_kept_back(reason):
    assert NAMES[0].reason(reason) == UNCERTAIN


@pytest.mark.parametrize("names", NAMES)
def test_outcomes_mean_the_read_in_that_place(names):
    assert names.outcome("first") is (ReviewOutcome.NODE_RIGHT if names.node == "A" else ReviewOutcome.HUMAN_RIGHT)
    assert names.outcome("second") is (ReviewOutcome.NODE_RIGHT if names.node == "B" else ReviewOutcome.HUMAN_RIGHT)
    assert names.outcome("equivalent") is ReviewOutcome.EQUIVALENT
    with pytest.raises(ValueError, match="third"):
        names.outcome("third")


@pytest.mark.parametrize(("value", "shown"), [(0, "0"), (0.3, "under 1"), (0.6, "1"), (134.6, "135")])
def test_a_little_is_not_none(value, shown):
    assert whole(value) == shown
