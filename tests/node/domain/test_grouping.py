import random
from dataclasses import replace

import pytest

from node.domain.grouping import Gap, ImageKind, group_slices, image_kind, unplaced
from tests.node.domain.scans import AXIAL, CORONAL, instance, moved, plane, stack, without


def test_sorts_by_position_not_by_instance_number():
    (group,) = group_slices(stack(5))
    assert [one.position_mm for one in group.slices] == [188.0, 191.0, 194.0, 197.0, 200.0]
    assert [one.instance.instance_number for one in group.slices] == [5, 4, 3, 2, 1]
    assert group.spacing_mm == 3.0
    assert group.cover_mm == 15.0
    assert group.field_of_view_mm == pytest.approx(204.8)
    assert group.normal == (0.0, 0.0, 1.0)
    assert group.contiguous
    assert group.disordered_mm == ()


def test_order_of_arrival_does_not_matter():
    slices = stack(30)
    shuffled = random.Random(1).sample(slices, len(slices))
    assert group_slices(shuffled) == group_slices(slices)


def test_the_same_instance_twice_counts_once():
    assert group_slices(stack(5) + stack(5)) == group_slices(stack(5))


def test_names_gaps_with_the_number_of_missing_slices():
    (group,) = group_slices(without(stack(10), 3, 4, 7))
    assert group.gaps == (
        Gap(after_mm=176.0, before_mm=182.0, missing=1),
        Gap(after_mm=185.0, before_mm=194.0, missing=2),
    )
    assert group.spacing_mm == 3.0
    assert group.irregular_mm is None
    assert not group.contiguous


def test_names_positions_that_hold_two_slices():
    slices = stack(10)
    (group,) = group_slices([*slices, replace(slices[4], sop_uid="1.2.99")])
    assert group.duplicates_mm == (188.0,)
    assert not group.contiguous


def test_two_scans_in_one_series_are_told_apart_by_acquisition():
    groups = group_slices(stack(10) + stack(10, first=11, acquisition_number=3))
    assert [len(group.slices) for group in groups] == [10, 10]
    assert all(group.contiguous for group in groups)
    assert [group.acquisitions[0].acquisition_number for group in groups] == [2, 3]


def test_steps_of_one_scan_stay_together():
    halves = stack(10)[:5] + [
        replace(one, acquisition=replace(one.acquisition, acquisition_number=3)) for one in stack(10)[5:]
    ]
    (group,) = group_slices(halves)
    assert group.contiguous


def test_a_repeated_slab_is_not_explained_by_its_acquisition():
    again = [instance(n + 20, plane(200.0 - n * 3.0), acquisition_number=3) for n in range(2)]
    (group,) = group_slices(stack(10) + again)
    assert len(group.duplicates_mm) == 2


def test_irregular_spacing_is_measured():
    slices = stack(10)
    slices[4] = moved(slices[4], slices[4].slices[0].position_lps_mm[2] + 0.5)
    (group,) = group_slices(slices)
    assert group.irregular_mm == (2.5, 3.5)
    assert group.gaps == ()


def test_swapped_positions_disagree_with_the_numbers():
    slices = stack(10)
    slices[3], slices[4] = moved(slices[3], 188.0), moved(slices[4], 191.0)
    (group,) = group_slices(slices)
    assert group.disordered_mm == (191.0,)
    assert group.contiguous


def test_feet_first_numbering_is_in_order():
    rising = [instance(n, plane(n * 3.0)) for n in range(1, 11)]
    assert group_slices(rising)[0].disordered_mm == ()


def test_unnumbered_slices_and_frames_have_no_order_to_disagree_with():
    frames = instance(1, *(plane(z * 3.0) for z in (4, 1, 3, 2)))
    (group,) = group_slices([frames, replace(instance(None, plane(15.0)), sop_uid="9")])
    assert group.disordered_mm == ()
    assert [one.frame for one in group.slices] == [1, 3, 2, 0, 0]


@pytest.mark.parametrize(
    ("geometry", "acquisition"),
    [
        ({"orientation": CORONAL}, {}),
        ({"rows": 256}, {}),
        ({"pixel_spacing_mm": (0.5, 0.5)}, {}),
        ({}, {"kernel": "Br59"}),
        ({}, {"cardiac_phase_percent": 40.0}),
        ({}, {"image_type": ("DERIVED", "PRIMARY", "MIP")}),
    ],
)
def test_unlike_slices_are_kept_apart(geometry, acquisition):
    others = stack(4, first=11, geometry=geometry, **acquisition)
    assert [len(group.slices) for group in group_slices(stack(10) + others)] == [10, 4]


def test_cosines_that_differ_by_rounding_are_one_orientation():
    slices = stack(10)
    slices[2] = instance(3, plane(194.0, orientation=(0.9999999, 0.0004, 0.0, -0.0004, 0.9999999, 0.0)))
    assert len(group_slices(slices)) == 1


def test_a_tilted_gantry_shears_the_stack():
    sheared = [instance(n, plane(0, position_lps_mm=(0.0, n * 0.3, n * 3.0))) for n in range(10)]
    (group,) = group_slices(sheared)
    assert group.shear_deg == pytest.approx(5.71, abs=0.01)
    assert group.sideways_mm == pytest.approx(0.0, abs=1e-6)


def test_one_slice_off_the_line_is_seen():
    slices = stack(10)
    slices[4] = instance(5, plane(0, position_lps_mm=(-90.0, -100.0, 188.0)))
    (group,) = group_slices(slices)
    assert group.sideways_mm == pytest.approx(10.0)
    assert group.shear_deg == 0.0


def test_one_slice_is_a_group_without_spacing():
    (group,) = group_slices(stack(1))
    assert group.spacing_mm is None
    assert group.cover_mm == 0.0
    assert not group.contiguous


@pytest.mark.parametrize(
    "fault",
    [
        {"position_lps_mm": None},
        {"position_lps_mm": (0.0, float("nan"), 0.0)},
        {"position_lps_mm": (0.0, 1e300, 0.0)},
        {"orientation": None},
        {"orientation": (0.0,) * 6},
        {"orientation": (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)},
        {"orientation": (1.0, 0.0, 0.0, 0.0, 0.5, 0.0)},
        {"orientation": (1e200, 0.0, 0.0, 0.0, 1.0, 0.0)},
        {"orientation": (*AXIAL[:5], float("nan"))},
        {"rows": 0},
        {"columns": -1},
        {"pixel_spacing_mm": None},
        {"pixel_spacing_mm": (0.0, 0.4)},
        {"pixel_spacing_mm": (0.4, float("inf"))},
    ],
)
def test_planes_that_cannot_be_placed_are_left_out_and_counted(fault):
    slices = [*stack(5), instance(6, plane(0.0, **fault))]
    assert len(group_slices(slices)[0].slices) == 5
    assert unplaced(slices) == 1


def test_a_localizer_needs_no_position():
    assert (
        unplaced([instance(1, plane(0.0, position_lps_mm=None), image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"))]) == 0
    )


@pytest.mark.parametrize(
    ("image_type", "kind"),
    [
        (("ORIGINAL", "PRIMARY", "AXIAL"), ImageKind.AXIAL),
        (("DERIVED", "PRIMARY", "MPR"), ImageKind.REFORMAT),
        (("ORIGINAL", "PRIMARY", "LOCALIZER", "CT_SOM5 TOP"), ImageKind.LOCALIZER),
        (("DERIVED", "SECONDARY", "AXIAL", "CT_SOM5 SPI MIP"), ImageKind.PROJECTION),
        (("derived", "primary", "axial", "vnc"), ImageKind.SPECTRAL),
        ((), ImageKind.AXIAL),
    ],
)
def test_image_kind(image_type, kind):
    assert image_kind(image_type) is kind


def test_nothing_gives_no_groups():
    assert group_slices([]) == ()


def test_equal_instance_numbers_run_neither_way():
    (group,) = group_slices([replace(one, instance_number=one.instance_number // 2) for one in stack(10)])
    assert group.disordered_mm == ()
