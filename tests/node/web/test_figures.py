"""Counting over columns gives what the domain says case by case, whatever the cases are."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.domain import agreement as said
from node.domain import drift
from node.domain import statistics as told
from node.domain.review import ReviewOutcome
from node.domain.statistics import Observation, Period
from node.domain.tiers import Limits, Tier
from node.storage.case_blocks import OUTCOMES, TIERS, CaseColumns, microseconds
from node.web import figures

START = datetime(2026, 3, 20, 12, tzinfo=UTC)  # clocks change in Berlin in the days after
LIMITS = Limits()
SCORES = st.one_of(st.sampled_from([0.0, 11.6, 99.9999, 100.0, 400.0]), st.floats(0, 50_000))


@st.composite
def a_case(draw) -> Observation:
    return Observation(
        id=0,
        made_at=START + timedelta(minutes=draw(st.integers(0, 60 * 24 * 40))),
        tier=draw(st.sampled_from(tuple(Tier))),
        outcome=draw(st.sampled_from((None, *ReviewOutcome))),
        scanner=draw(st.sampled_from(["", "A", "B"])),
        model_version=draw(st.sampled_from(["1", "2"])),
        ours=draw(st.one_of(st.none(), SCORES)),
        human=draw(st.one_of(st.none(), SCORES)),
    )


CASES = st.lists(a_case(), max_size=40).map(lambda cases: sorted(cases, key=lambda one: one.made_at))


def columns(cases: Sequence[Observation]) -> CaseColumns:
    scanners, models = sorted({one.scanner for one in cases}), sorted({one.model_version for one in cases})
    return CaseColumns(
        ids=np.array([one.id for one in cases], np.int64),
        made_at=np.array([microseconds(one.made_at) for one in cases], np.int64),
        tiers=np.array([TIERS.index(one.tier) for one in cases], np.uint8),
        outcomes=np.array([OUTCOMES.index(one.outcome) for one in cases], np.uint8),
        scanners=np.array([scanners.index(one.scanner) for one in cases], np.intp),
        models=np.array([models.index(one.model_version) for one in cases], np.intp),
        ours=np.array([np.nan if one.ours is None else one.ours for one in cases]),
        human=np.array([np.nan if one.human is None else one.human for one in cases]),
        scanner_names=tuple(scanners),
        model_names=tuple(models),
    )


@settings(deadline=None)
@given(CASES)
def test_counts_are_the_same(cases):
    held = columns(cases)
    assert figures.rates(held) == told.rates(cases)
    assert figures.rates_by_tier(held) == told.rates_by_tier(cases)
    by_scanner = told.rates_by(cases, lambda one: one.scanner or "not known")
    assert list(figures.rates_by_name(held, held.scanners, held.scanner_names).items()) == list(by_scanner.items())


@settings(deadline=None)
@given(CASES, st.sampled_from(tuple(Period)), st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu"]))
def test_pieces_of_time_are_the_same_in_every_zone(cases, period, zone):
    known = ZoneInfo(zone)
    assert figures.rates_by_period(columns(cases), period, known) == told.rates_by_period(cases, period, known)
    moments = [cases[0].made_at, cases[-1].made_at] if cases else []
    assert figures.fitting_period(columns(cases)) is told.period_for(moments)


@settings(deadline=None)
@given(CASES)
def test_agreement_is_the_same(cases):
    pairs = figures.pairs_of(columns(cases))
    assert pairs.tolist() == [list(pair) for pair in told.pairs_of(cases)]
    here, there = figures.agreement(pairs, LIMITS), said.agreement(told.pairs_of(cases), LIMITS)
    assert (here.count, here.confusion) == (there.count, there.confusion)
    assert (here.within, here.zero_ours, here.zero_human) == (there.within, there.zero_ours, there.zero_human)
    assert (here.icc is None) == (there.icc is None)
    if here.icc is not None:
        assert here.icc == pytest.approx(there.icc, abs=1e-6)
    for one, other in ((here.raw, there.raw), (here.root, there.root)):
        assert (one is None) == (other is None)
        if one is not None:
            assert (one.count, one.bias, one.sd) == pytest.approx((other.count, other.bias, other.sd), abs=1e-6)


@settings(deadline=None)
@given(CASES)
def test_sums_are_the_same(cases):
    rule = drift.CusumRule(h=2, baseline=5)
    here, there = figures.cusum(columns(cases), rule), drift.cusum(cases, rule)
    assert here.high == pytest.approx(there.high)
    assert here.low == pytest.approx(there.low)
    assert here.alarm_places == there.alarm_places
    assert [(one.case, one.made_at) for one in here.alarms] == [(one.case, one.made_at) for one in there.alarms]


@settings(deadline=None)
@given(CASES)
def test_what_waits_for_a_decision_is_counted_and_gives_no_score(cases):
    held = figures.veiled(columns(cases))
    waiting = [one for one in cases if one.tier.flagged and one.outcome is None]
    assert int(figures.waiting(held).sum()) == len(waiting)
    assert figures.rates(held).flagged == told.rates(cases).flagged
    shown = [one for one in cases if one not in waiting]
    assert figures.pairs_of(held).tolist() == [list(pair) for pair in told.pairs_of(shown)]
