import math
from dataclasses import replace

import pytest

from node.domain.eligibility import ContentFacts, Reason, judge, judge_content
from node.domain.policy import ContentPolicy, Policy, Weights
from tests.node.domain.scans import CORONAL, instance, moved, plane, stack, without

CHEST = {"geometry": {"pixel_spacing_mm": (0.88, 0.88)}, "gating": "", "series_description": "CHEST  3.0  B40f"}
SCOUT = instance(99, plane(0.0, orientation=CORONAL), image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"), kernel="T20f")


def reasons(instances, policy=None):
    verdict = judge(instances, policy)
    assert not verdict.eligible
    return {finding.reason for finding in verdict.reasons}


def test_a_silent_header_over_the_right_geometry_is_read():
    verdict = judge(stack(48))
    assert verdict.eligible
    assert verdict.reasons == verdict.reason_texts == ()
    assert verdict.note_texts == ()
    assert len(verdict.chosen.slices) == 48


def test_a_header_like_the_reference_phantoms_is_read():
    phantom = stack(
        47,
        image_type=("DERIVED", "PRIMARY", "MPR"),
        series_description="Cardiac 3.000",
        protocol="Calcium Score    (Volume)",
        kernel="FC12",
        gating="",
        scan_options=("VOLUME_CT",),
    )
    verdict = judge(phantom)
    assert verdict.eligible
    assert {note.reason for note in verdict.notes} == {Reason.CALCIUM_TEXT, Reason.GATING}


def test_a_whole_ungated_chest_without_contrast_is_read_with_notes():
    coarse = {"rows": 112, "columns": 112, "pixel_spacing_mm": (3.0, 3.0)}
    verdict = judge(stack(112, geometry=coarse, gating="", kernel="", slice_thickness_mm=None))
    assert verdict.eligible
    said = " | ".join(verdict.note_texts)
    assert "field of view 336 mm" in said
    assert "covers 336 mm" in said
    assert "gating: unknown" in said
    assert "ungated" not in said


def test_a_chest_with_contrast_in_the_study_alone_is_declined_with_every_reason():
    chest = stack(102, study_description="CT CHEST W IV CONTRAST", kernel="B40f", **CHEST)
    verdict = judge(chest)
    assert not verdict.eligible
    assert verdict.chosen is None
    assert [finding.reason for finding in verdict.reasons] == [
        Reason.CONTRAST,
        Reason.FIELD_OF_VIEW,
        Reason.COVER,
        Reason.GATING,
    ]
    assert judge(stack(102, study_description="CT CHEST W/O IV CONTRAST", **CHEST)).eligible


@pytest.mark.parametrize(
    ("instances", "reason", "text"),
    [
        (stack(48, 5.0), Reason.SPACING, "slice spacing 5.0 mm; 1.0 to 3.0 mm are accepted"),
        (stack(300, 0.5), Reason.SPACING, "slice spacing 0.5 mm; 1.0 to 3.0 mm are accepted"),
        (stack(19), Reason.SLICES, "number of slices 19; at least 20 are needed"),
        (stack(25), Reason.COVER, "the stack covers 75 mm; at least 80 mm are needed"),
        (without(stack(48), 20, 21), Reason.GAP, "2 slices are missing between 134.0 and 143.0 mm"),
        (without(stack(48), 20), Reason.GAP, "1 slice is missing between 137.0 and 143.0 mm"),
        (without(stack(48), 5, 10, 20, 30, 40), Reason.GAP, "5 slices are missing between 77.0 and 83.0 mm; 107.0"),
        (stack(48, geometry={"orientation": CORONAL}), Reason.NOT_AXIAL, "slices are turned 90.0 degrees from axial"),
        (stack(48, gantry_tilt_deg=-12.0), Reason.TILT, "gantry tilt 12.0 degrees; up to 1 degrees are accepted"),
        (stack(48, image_type=("ORIGINAL", "PRIMARY", "LOCALIZER")), Reason.LOCALIZER, "localizers"),
        (stack(48, image_type=("DERIVED", "PRIMARY", "MIP")), Reason.IMAGE_TYPE, "projection images"),
        (stack(48, image_type=("DERIVED", "PRIMARY", "VNC")), Reason.IMAGE_TYPE, "spectral images"),
        (stack(48, slice_thickness_mm=5.0), Reason.THICKNESS, "slice thickness 5.0 mm; up to 3.5 mm are accepted"),
        (stack(48, contrast="OMNIPAQUE 350"), Reason.CONTRAST, "a contrast agent is named in the header"),
        (stack(48, series_description="CTA 3.0"), Reason.CONTRAST, "the series description says 'cta'"),
        (stack(48, kvp=140.0), Reason.KVP, "tube voltage 140 kV has no score table; 70, 80, 100, 120, 135 kV have"),
        (stack(48, kvp=None), Reason.KVP, "tube voltage is not given, and the site assumes none"),
        (stack(48, kvp=math.nan), Reason.KVP, "tube voltage is not given, and the site assumes none"),
        (stack(48)[:20] + stack(48, kvp=100.0)[20:], Reason.KVP, "changes within the stack: 100, 120 kV"),
        (stack(48, kernel="Br59"), Reason.KERNEL, "reconstruction kernel BR59 is a sharp one"),
        (stack(48, kernel="LUNG"), Reason.KERNEL, "reconstruction kernel LUNG is a sharp one"),
        (stack(48, modality="PT"), Reason.MODALITY, "modality is PT, not CT"),
        (stack(48, modality=""), Reason.MODALITY, "modality is not given, not CT"),
        (stack(48, own=True), Reason.OWN_OBJECT, "made by this software"),
        ([instance(1)], Reason.NO_IMAGES, "the series holds no cross-sectional images"),
        ([], Reason.NO_IMAGES, "the series holds no cross-sectional images"),
        ([*stack(48), instance(49, plane(0, position_lps_mm=None))], Reason.NO_GEOMETRY, "1 images carry no usable"),
        (stack(48) + stack(5, first=49, geometry={"rows": 256}), Reason.MIXED_GEOMETRY, "orientation, matrix or pixel"),
        ([*stack(48), replace(stack(48)[4], sop_uid="9")], Reason.DUPLICATE, "more than one slice at 188.0 mm"),
        ([*stack(48), *(replace(one, sop_uid=f"9.{one.instance_number}") for one in stack(5))],
         Reason.DUPLICATE, "188.0, 191.0, 194.0 mm and 2 more positions"),
        ([*stack(47), moved(stack(48)[47], 60.0)], Reason.IRREGULAR, "slice spacing varies between 2.00 and 3.00 mm"),
        ([*stack(47), instance(48, plane(0, position_lps_mm=(-80.0, -100.0, 59.0)))],
         Reason.IRREGULAR, "mm sideways of one line"),
    ],
)  # fmt: skip
def test_one_decisive_fault_is_enough_and_says_what_was_measured(instances, reason, text):
    verdict = judge(instances)
    assert not verdict.eligible
    assert any(finding.reason is reason and text in finding.text for finding in verdict.reasons), verdict.reason_texts


def test_every_reason_is_given():
    poor = stack(10, 5.0, kernel="B70f", contrast="iodine", kvp=None, modality="MR", image_type=("", "", "LOCALIZER"))
    assert reasons(poor) == {
        Reason.SPACING,
        Reason.THICKNESS,
        Reason.SLICES,
        Reason.COVER,
        Reason.KERNEL,
        Reason.CONTRAST,
        Reason.KVP,
        Reason.MODALITY,
        Reason.LOCALIZER,
    }


def test_overlapping_slices_are_read_and_said_so():
    verdict = judge(stack(90, 1.5))
    assert verdict.eligible
    assert any("slices of 3.00 mm every 1.50 mm overlap" in text for text in verdict.note_texts)
    assert any("slice spacing 1.50 mm where 3 or 2.5 mm is usual" in text for text in verdict.note_texts)


def test_thin_slices_with_tissue_between_them_are_a_doubt():
    verdict = judge(stack(48, slice_thickness_mm=1.0))
    assert verdict.eligible
    assert "leave tissue out" in verdict.note_texts[0]
    assert verdict.notes[0].weight == 0.5


def test_swapped_slices_are_read_and_flagged():
    slices = stack(48)
    slices[3], slices[4] = moved(slices[3], 188.0), moved(slices[4], 191.0)
    verdict = judge(slices)
    assert verdict.eligible
    assert verdict.note_texts == ("instance numbers disagree with slice positions at 191.0 mm",)


def test_doubts_that_do_not_decide_add_up():
    doubtful = stack(48, body_part="ABDOMEN", kernel="B43f", slice_thickness_mm=1.0)
    assert reasons(doubtful) == {Reason.BODY_PART, Reason.KERNEL, Reason.THICKNESS}
    assert judge(doubtful, Policy(threshold=2.0)).eligible
    assert judge(doubtful, Policy(weights=Weights(body_part=0.0))).eligible


def test_a_site_may_assume_a_voltage():
    verdict = judge(stack(48, kvp=None), Policy(assume_kvp=120.0))
    assert verdict.eligible
    assert verdict.note_texts == ("tube voltage is not given; 120 kV is assumed by the site's setting",)


def test_another_voltage_with_a_table_is_noted():
    assert judge(stack(48, kvp=100.0)).note_texts == ("tube voltage 100 kV: the score is kVp-adapted",)


def test_a_localizer_beside_the_stack_is_left_aside():
    verdict = judge([*stack(48), SCOUT])
    assert verdict.eligible
    assert len(verdict.chosen.slices) == 48
    assert any("the series holds 2 stacks" in text for text in verdict.note_texts)


@pytest.mark.parametrize(
    ("first", "second", "chosen"),
    [
        (stack(90, 1.5), stack(48, 3.0, first=91, kernel="B30f"), 3.0),
        (stack(50, 2.5), stack(48, 3.0, first=51, kernel="B35f"), 3.0),
        (stack(90, 1.5), stack(60, 2.0, first=91, kernel="B35f"), 2.0),
    ],
)
def test_of_several_stacks_the_usual_spacing_is_chosen(first, second, chosen):
    verdict = judge(first + second)
    assert verdict.eligible
    assert verdict.chosen.spacing_mm == chosen
    assert "of 2 eligible stacks" in verdict.note_texts[-1]


def test_of_two_phases_the_one_near_three_quarters_is_chosen():
    phases = [stack(48, first=1 + 48 * n, cardiac_phase_percent=p) for n, p in enumerate((40.0, 65.0, 90.0))]
    assert judge([one for phase in phases for one in phase]).chosen.phase_percent == 65.0


def test_of_two_kernels_the_preferred_is_chosen():
    verdict = judge(stack(48, kernel="B30f") + stack(48, first=49, kernel="B35f"))
    assert verdict.chosen.kernel == "B35F"


def test_when_no_stack_will_do_the_largest_one_says_why():
    verdict = judge(stack(48, 5.0) + stack(20, 1.0, first=49, kernel="B30f"))
    assert {finding.reason for finding in verdict.reasons} == {Reason.SPACING, Reason.THICKNESS}
    assert "the series holds 2 stacks" in verdict.note_texts[-1]


def test_image_type_secondary_is_a_doubt():
    assert judge(stack(48, image_type=("DERIVED", "SECONDARY"))).notes[0].reason is Reason.IMAGE_TYPE


def test_content_without_anything_measured_is_no_reason():
    assert judge_content(ContentFacts()).eligible


@pytest.mark.parametrize(
    ("content", "reason", "text"),
    [
        (ContentFacts(heart_found=False), Reason.HEART, "no heart in the field of view"),
        (ContentFacts(blood_pool_hu=100.0), Reason.CONTRAST, "blood measures 100 HU"),
        (ContentFacts(blood_pool_hu=math.inf), Reason.CONTRAST, "blood measures"),
    ],
)
def test_content_that_declines(content, reason, text):
    verdict = judge_content(content)
    assert not verdict.eligible
    assert [finding.reason for finding in verdict.reasons] == [reason]
    assert text in verdict.reason_texts[0]


def test_content_that_is_only_doubtful():
    content = ContentFacts(heart_found=True, heart_truncated=True, blood_pool_hu=99.9, noise_hu=31.0, metal=True)
    verdict = judge_content(content)
    assert verdict.eligible
    assert [note.reason for note in verdict.notes] == [Reason.TRUNCATED, Reason.NOISE, Reason.METAL]
    strict = Policy(content=ContentPolicy(contrast_hu=60.0, noise_hu=40.0))
    assert [finding.reason for finding in judge_content(content, strict).reasons] == [Reason.CONTRAST]


def test_content_that_could_not_be_measured_is_no_reason():
    assert judge_content(ContentFacts(blood_pool_hu=math.nan, noise_hu=math.nan)).notes == ()


def test_what_people_typed_is_not_repeated_in_reasons():
    typed = dict.fromkeys(
        ("series_description", "protocol", "study_description", "body_part", "station"), "DOE^JANE CTA abdomen"
    )
    verdict = judge(stack(48, 5.0, contrast="for DOE^JANE", gating="DOE^JANE", acquisition_time="DOE^JANE", **typed))
    assert len(verdict.reasons) >= 4
    assert "doe" not in " ".join(verdict.reason_texts + verdict.note_texts).lower()


def test_decisive_reasons_come_first_then_the_weightier():
    verdict = judge(stack(48, gating="", kernel="B43f", body_part="HEAD", contrast="iodine"))
    order = [Reason.CONTRAST, Reason.BODY_PART, Reason.KERNEL, Reason.GATING]
    assert [finding.reason for finding in verdict.reasons] == order
    assert [finding.decisive for finding in verdict.reasons] == [True, False, False, False]


def test_three_places_are_named_and_none_left_over():
    twice = [replace(one, sop_uid=f"9.{one.instance_number}") for one in stack(3)]
    assert "at 194.0, 197.0, 200.0 mm, and no" in " ".join(judge([*stack(48), *twice]).reason_texts)


@pytest.mark.parametrize(("pixel", "noted"), [(0.5, False), (0.51, True)])
def test_the_usual_field_of_view_is_not_noted(pixel, noted):
    verdict = judge(stack(48, geometry={"rows": 600, "columns": 600, "pixel_spacing_mm": (pixel, pixel)}))
    assert [note.reason for note in verdict.notes] == [Reason.FIELD_OF_VIEW] * noted


@pytest.mark.parametrize(("slices", "eligible"), [(26, False), (27, True)])
def test_the_least_cover(slices, eligible):
    assert judge(stack(slices)).eligible is eligible
    assert judge(stack(40, 2.0)).eligible


@pytest.mark.parametrize(("slices", "eligible"), [(19, False), (20, True)])
def test_the_least_number_of_slices(slices, eligible):
    assert judge(stack(slices), Policy(minimum_cover_mm=50.0)).eligible is eligible


@pytest.mark.parametrize(("spacing", "eligible"), [(0.9, False), (1.0, True), (3.0, True), (3.1, False)])
def test_the_limits_of_spacing(spacing, eligible):
    assert judge(stack(90, spacing)).eligible is eligible
