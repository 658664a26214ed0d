"""Whatever arrives, the judge answers; and a fault never makes a series better."""

import math
from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from node.domain.completeness import judge_completeness
from node.domain.eligibility import ContentFacts, judge, judge_content
from node.domain.ranking import Candidate, choose_reconstruction
from node.domain.series import Acquisition, Instance, SeriesRecord, SeriesState, SliceGeometry
from tests.node.domain.scans import AXIAL, CORONAL, stack, without

numbers = st.one_of(st.sampled_from([0.0, -1.0, 3.0, 120.0, 1e308, -1e308, math.inf, math.nan]), st.floats())
maybe = st.none() | numbers
words = st.sampled_from(["", "CT", "B35f", "CTA", "CaSc", "NONE", "LOCALIZER", "\x00", "é" * 200]) | st.text(max_size=8)
planes = st.builds(
    SliceGeometry,
    position_lps_mm=st.none() | st.tuples(numbers, numbers, numbers),
    orientation=st.none() | st.sampled_from([AXIAL, CORONAL]) | st.tuples(*[numbers] * 6),
    rows=st.sampled_from([-1, 0, 1, 512, 2**40]),
    columns=st.sampled_from([-1, 0, 1, 512]),
    pixel_spacing_mm=st.none() | st.just((0.4, 0.4)) | st.tuples(numbers, numbers),
)
acquisitions = st.builds(
    Acquisition,
    modality=words,
    image_type=st.lists(words, max_size=4).map(tuple),
    series_description=words,
    protocol=words,
    study_description=words,
    kernel=words,
    kvp=maybe,
    slice_thickness_mm=maybe,
    contrast=words,
    scan_options=st.lists(words, max_size=2).map(tuple),
    gating=words,
    cardiac_phase_percent=maybe,
    gantry_tilt_deg=maybe,
    acquisition_number=st.none() | st.integers(),
    acquisition_time=words,
    frame_of_reference_uid=st.sampled_from(["", "1.2"]),
    body_part=words,
)
absurd = st.builds(
    Instance,
    sop_uid=st.text(max_size=2),
    sop_class_uid=words,
    series_uid=words,
    study_uid=st.just("1"),
    transfer_syntax_uid=words,
    instance_number=st.none() | st.integers(),
    acquisition=acquisitions,
    slices=st.lists(planes, max_size=4).map(tuple),
    made_by_this_software=st.booleans(),
)
NOW = datetime(2026, 1, 2, tzinfo=UTC)
RECORD = SeriesRecord(
    series_uid="1",
    study_uid="1",
    state=SeriesState.OPEN,
    generation=0,
    first_received=NOW,
    last_received=NOW,
    open_associations=0,
)

FAULTS = {
    "own": lambda one: replace(one, made_by_this_software=True),
    "modality": lambda one: replace(one, acquisition=replace(one.acquisition, modality="MR")),
    "contrast": lambda one: replace(one, acquisition=replace(one.acquisition, contrast="Ultravist")),
    "kvp": lambda one: replace(one, acquisition=replace(one.acquisition, kvp=None)),
    "kernel": lambda one: replace(one, acquisition=replace(one.acquisition, kernel="LUNG")),
    "tilt": lambda one: replace(one, acquisition=replace(one.acquisition, gantry_tilt_deg=20.0)),
    "localizer": lambda one: replace(one, acquisition=replace(one.acquisition, image_type=("", "", "LOCALIZER"))),
    "thickness": lambda one: replace(one, acquisition=replace(one.acquisition, slice_thickness_mm=8.0)),
    "turned": lambda one: replace(one, slices=tuple(replace(s, orientation=CORONAL) for s in one.slices)),
    "unplaced": lambda one: replace(one, slices=tuple(replace(s, position_lps_mm=None) for s in one.slices)),
}
scans = st.builds(
    stack,
    st.integers(1, 60),
    st.sampled_from([0.6, 1.5, 2.5, 3.0, 5.0]),
    series_description=st.sampled_from(["", "CaSc", "CTA", "ABDOMEN"]),
    study_description=st.sampled_from(["", "CT CHEST W CONTRAST"]),
    kernel=st.sampled_from(["", "B35f", "B43f", "B60f"]),
    kvp=st.sampled_from([None, 80.0, 120.0, 140.0]),
)


def consistent(verdict):
    assert verdict.eligible == (not verdict.reasons)
    assert verdict.eligible or verdict.chosen is None
    assert all(finding.against and finding.text for finding in verdict.reasons)
    return verdict


@settings(max_examples=150, deadline=None)
@given(st.lists(absurd, max_size=6), st.randoms(use_true_random=False))
def test_nothing_makes_the_judge_raise_and_order_makes_no_difference(instances, rng):
    verdict = consistent(judge(instances))
    assert not verdict.eligible
    shuffled = rng.sample(instances, len(instances))
    assert judge(shuffled).reason_texts == verdict.reason_texts
    assert judge(shuffled).note_texts == verdict.note_texts
    decision = judge_completeness(instances, RECORD, NOW)
    assert judge_completeness(shuffled, RECORD, NOW) == decision


@settings(max_examples=150, deadline=None)
@given(scans, st.lists(acquisitions, min_size=1, max_size=3), st.booleans())
def test_absurd_headers_over_sound_geometry_never_raise(slices, headers, choose):
    spoilt = [replace(one, acquisition=headers[n % len(headers)]) for n, one in enumerate(slices)]
    verdict = consistent(judge(spoilt))
    if choose:
        choose_reconstruction([Candidate(series_uid=uid, verdict=verdict) for uid in ("1", "2")])


@settings(max_examples=150, deadline=None)
@given(scans, st.lists(st.sampled_from(sorted(FAULTS)), min_size=1, max_size=4))
def test_another_decisive_fault_never_helps(slices, faults):
    for name in faults:
        slices = [FAULTS[name](one) for one in slices]
        after = consistent(judge(slices))
        assert not after.eligible
        assert len(after.reasons) >= 1


@settings(max_examples=60, deadline=None)
@given(scans, st.data())
def test_losing_a_slice_never_makes_a_series_eligible(slices, data):
    before = judge(slices)
    lost = data.draw(st.integers(0, len(slices) - 1))
    after = consistent(judge(without(slices, lost)))
    assert before.eligible or not after.eligible
    if before.eligible and 0 < lost < len(slices) - 1:
        assert not after.eligible


@given(
    st.builds(
        ContentFacts,
        heart_found=st.none() | st.booleans(),
        heart_truncated=st.none() | st.booleans(),
        blood_pool_hu=maybe,
        noise_hu=maybe,
        metal=st.none() | st.booleans(),
    )
)
def test_content_is_declined_for_no_heart_or_enhanced_blood_alone(content):
    verdict = consistent(judge_content(content))
    enhanced = content.blood_pool_hu is not None and content.blood_pool_hu >= 100
    assert verdict.eligible == (content.heart_found is not False and not enhanced)
