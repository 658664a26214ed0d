"""Tiers of disagreement: examples from the policy, and that they are symmetric, monotone and never silent."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.discrepancy import Comparison, OurRead, compare
from node.domain.findings import LesionFinding
from node.domain.human_read import CORONARIES, HumanRead, ReadScore, ReadSource, StudyKey
from node.domain.tiers import RANK, Limits, Tier

SCORES = st.one_of(st.just(0.0), st.floats(0.5, 3000))
VESSELS = st.fixed_dictionaries(dict.fromkeys(CORONARIES, SCORES))


def ours(*, interval: tuple[float, float] | None = None, **scores: float) -> OurRead:
    known = dict.fromkeys((*CORONARIES, "AV", "TA"), 0.0) | scores
    totals = {"CAC": sum(known[name] for name in CORONARIES), "AC": known["AV"] + known["TA"]}
    lesions = [lesion(name, value) for name, value in known.items() if value > 0]
    return OurRead(
        series_uid="1.2",
        agatston=known | totals,
        lesions=lesions,
        profile="agatston-1990",
        kvp=120.0,
        interval=interval,
    )


def lesion(vessel: str, agatston: float) -> LesionFinding:
    return LesionFinding(
        vessel=vessel, agatston=agatston, volume_mm3=agatston, mass_mg=None, peak_hu=300.0,
        centroid_lps_mm=(0.0, 0.0, 0.0), slices=(3, 4), probability=0.9,
    )  # fmt: skip


def human(*, series_uid: str = "", profile: str = "", kvp: float | None = None, **scores: float) -> HumanRead:
    return HumanRead(
        source=ReadSource.FILE,
        source_id="1",
        study=StudyKey(study_uid="1", series_uid=series_uid),
        scores={name: ReadScore(agatston=value) for name, value in scores.items()},
        profile=profile,
        kvp=kvp,
    )


def judged(mine: OurRead, theirs: HumanRead, **limits: float) -> Comparison:
    return compare(mine, theirs, Limits(**limits))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mine", "theirs", "tier"),
    [
        (0, 0, Tier.CONCORDANT),
        (50, 54, Tier.CONCORDANT),
        (1000, 1040, Tier.CONCORDANT),  # 5 %
        (200, 230, Tier.MINOR),
        (3, 0, Tier.REVIEW),  # another category
        (95, 105, Tier.REVIEW),  # another category, within variation
        (150, 250, Tier.REVIEW),  # same category, beyond variation
        (11.6, 0, Tier.PRIORITY),
        (11.5, 0, Tier.REVIEW),
        (60, 160, Tier.PRIORITY),  # crosses 100 beyond variation
        (380, 420, Tier.REVIEW),  # crosses 400 within variation
        (50, 450, Tier.PRIORITY),  # two categories
    ],
)
def test_the_policy_by_example(mine: float, theirs: float, tier: Tier) -> None:
    assert judged(ours(LAD=mine), human(CAC=theirs)).tier is tier


def test_a_vessel_that_only_one_read_calls_calcified_is_reviewed_though_the_totals_agree() -> None:
    found = judged(ours(LAD=110, LCX=30), human(LM=0, LAD=120, LCX=0, RCA=0))
    assert found.tier is Tier.REVIEW
    assert list(found.lesions) == [1]  # the circumflex's, not the anterior's
    assert len([reason for reason in found.reasons if reason.startswith("LCX ")]) == 1
    assert judged(ours(LAD=110, LCX=30), human(LM=0, LAD=120, LCX=0, RCA=0), missed_vessel=False).tier is Tier.MINOR


def test_calcium_that_moved_to_another_vessel_is_reviewed() -> None:
    found = judged(ours(LCX=150, RCA=20), human(LM=0, LAD=0, LCX=40, RCA=130))
    assert found.tier is Tier.REVIEW
    assert any("calcium of RCA by the human is in LCX here" in reason for reason in found.reasons)


def test_calcium_between_left_main_and_anterior_is_a_matter_of_taste() -> None:
    assert judged(ours(LM=60, LAD=40), human(LM=0, LAD=100, LCX=0, RCA=0)).tier is Tier.MINOR


def test_a_flag_names_lesions_where_we_say_more_and_regions_where_the_human_does() -> None:
    more = judged(ours(LAD=10, RCA=200), human(LM=0, LAD=10, LCX=0, RCA=0))
    assert list(more.lesions) == [1]
    less = judged(ours(LAD=10), human(LM=0, LAD=10, LCX=0, RCA=200))
    assert "RCA" in less.absent


def test_with_a_total_only_every_coronary_lesion_may_be_the_cause() -> None:
    assert list(judged(ours(LAD=50, RCA=200, TA=900), human(CAC=0)).lesions) == [1, 0]


def test_aortic_calcium_far_apart_is_said_and_not_flagged() -> None:
    found = judged(ours(LAD=10, TA=900), human(CAC=10, AC=0))
    assert found.tier is Tier.MINOR
    assert any(reason.startswith("AC ") for reason in found.reasons)


@pytest.mark.parametrize(
    ("theirs", "word"),
    [
        (human(CAC=5, series_uid="9.9"), "series"),
        (human(CAC=5, kvp=100), "kVp"),
        (human(CAC=5, profile="siemens"), "rules"),
    ],
)
def test_what_cannot_be_compared_says_why_and_is_not_flagged(theirs: HumanRead, word: str) -> None:
    found = judged(ours(LAD=900), theirs)
    assert found.tier is Tier.NOT_COMPARABLE
    assert not found.tier.flagged
    assert word in found.reasons[0]


def test_every_obstacle_is_said() -> None:
    assert len(judged(ours(), human(CAC=5, series_uid="9", kvp=100, profile="ge")).reasons) == 3


def test_a_read_of_volumes_only_cannot_be_compared() -> None:
    scores = {"CAC": ReadScore(volume_mm3=4)}
    theirs = HumanRead(source=ReadSource.SR, source_id="1", study=StudyKey(study_uid="1"), scores=scores)
    assert judged(ours(), theirs).tier is Tier.NOT_COMPARABLE


@pytest.mark.parametrize(
    ("mine", "theirs", "tier"),
    [(10, 12, Tier.CONCORDANT), (100, 130, Tier.MINOR), (100, 300, Tier.REVIEW), (0, 30, Tier.PRIORITY)],
)
def test_without_a_total_the_reported_vessels_are_compared(mine: float, theirs: float, tier: Tier) -> None:
    assert judged(ours(LAD=mine, RCA=777), human(LAD=theirs)).tier is tier


def test_a_read_of_the_aorta_only_says_nothing_of_the_coronaries() -> None:
    assert judged(ours(LAD=900), human(AV=0)).tier is Tier.CONCORDANT


def test_an_interval_across_a_limit_is_borderline() -> None:
    assert "100" in judged(ours(LAD=99, interval=(80.0, 120.0)), human(CAC=99)).borderline[0]
    assert "0" in judged(ours(interval=(0.0, 4.0)), human(CAC=0)).borderline[0]
    assert judged(ours(LAD=50, interval=(40.0, 60.0)), human(CAC=50)).borderline == ()


def test_totals_that_do_not_add_up_come_along_as_a_remark() -> None:
    assert judged(ours(LAD=90), human(CAC=90, LAD=5, LM=0, LCX=0, RCA=0)).remarks


@pytest.mark.parametrize(
    "wrong",
    [
        {"same_points": -1.0},
        {"root_factor": math.nan},
        {"category_limits": (400.0, 100.0)},
        {"crucial_limits": (50.0,)},
    ],
)
def test_limits_without_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="limits"):
        Limits(**wrong)  # type: ignore[arg-type]


@given(VESSELS, VESSELS)
def test_symmetric(one: dict[str, float], other: dict[str, float]) -> None:
    assert judged(ours(**one), human(**other)).tier is judged(ours(**other), human(**one)).tier


@given(SCORES, st.lists(st.floats(0.5, 3000), min_size=2, max_size=2), st.booleans())
def test_farther_apart_is_never_less(base: float, steps: list[float], up: bool) -> None:  # noqa: FBT001
    near, far = sorted(steps)
    moved = [base + step if up else max(0.0, base - step) for step in (near, far)]
    tiers = [judged(ours(LAD=base), human(CAC=value)).tier for value in moved]
    assert RANK.index(tiers[0]) <= RANK.index(tiers[1])


@given(VESSELS, VESSELS)
def test_never_silent(one: dict[str, float], other: dict[str, float]) -> None:
    found = judged(ours(**one), human(**other))
    assert bool(found.reasons) == (found.tier is not Tier.CONCORDANT)
    if found.tier.flagged:
        assert found.lesions or found.absent


def test_a_total_below_its_own_parts_names_every_lesion() -> None:
    vessels = {"LM": 0.0, "LAD": 150.0, "LCX": 0.0, "RCA": 30.0}
    found = compare(ours(**vessels), human(**vessels, CAC=20.0), Limits())
    assert (found.tier, found.lesions, found.absent) == (Tier.PRIORITY, (0, 1), ())
    assert any("add up" in remark for remark in found.remarks)
