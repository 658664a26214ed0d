"""What a stack's geometry says for or against a calcium scan. Geometry decides."""

from __future__ import annotations

import math
from collections.abc import Iterator

from node.domain.geometry import angle_deg
from node.domain.grouping import ImageKind, SliceGroup
from node.domain.policy import Policy
from node.domain.verdict import Finding, Reason

_HEAD_TO_FEET = (0.0, 0.0, 1.0)
_SIDEWAYS_MM = 0.5
_NAMED = 3  # positions named in a sentence
_WIDEST_MM = 1000.0  # wider than any scanner images: the pixel spacing is wrong, and every score would be


def stack_findings(group: SliceGroup, policy: Policy) -> Iterator[Finding]:
    """Every finding about one stack's geometry."""
    yield from _kind(group, policy)
    yield from _direction(group, policy)
    yield from _run(group)
    yield from _spacing(group, policy)
    yield from _thickness(group, policy)
    yield from _extent(group, policy)
    if group.disordered_mm:
        yield Finding(
            reason=Reason.ORDER,
            text=f"instance numbers disagree with slice positions at {_places(group.disordered_mm)}",
            weight=policy.weights.order,
        )


def _kind(group: SliceGroup, policy: Policy) -> Iterator[Finding]:
    if group.kind is ImageKind.LOCALIZER:
        yield Finding(reason=Reason.LOCALIZER, text="the images are localizers (ImageType)", decisive=True)
    if group.kind in (ImageKind.PROJECTION, ImageKind.SPECTRAL):
        text = f"{group.kind} images (ImageType): their values are not the Hounsfield units of a slice"
        yield Finding(reason=Reason.IMAGE_TYPE, text=text, decisive=True)
    if any("SECONDARY" in (value.strip().upper() for value in one.image_type[1:2]) for one in group.acquisitions):
        text = "the images were made from others after the examination (ImageType SECONDARY)"
        yield Finding(reason=Reason.IMAGE_TYPE, text=text, weight=policy.weights.secondary)


def _direction(group: SliceGroup, policy: Policy) -> Iterator[Finding]:
    off_axis = angle_deg(group.normal, _HEAD_TO_FEET)
    if off_axis > policy.axial_deg:
        text = f"slices are turned {off_axis:.1f} degrees from axial; up to {policy.axial_deg:g} degrees are accepted"
        yield Finding(reason=Reason.NOT_AXIAL, text=text, decisive=True)
    said = [abs(one.gantry_tilt_deg or 0.0) for one in group.acquisitions]
    tilt = max([group.shear_deg, *(value for value in said if math.isfinite(value))])
    if tilt > policy.tilt_deg:
        text = f"gantry tilt {tilt:.1f} degrees; up to {policy.tilt_deg:g} degrees are accepted"
        yield Finding(reason=Reason.TILT, text=text, decisive=True)
    if group.sideways_mm > _SIDEWAYS_MM:
        text = f"slices lie up to {group.sideways_mm:.1f} mm sideways of one line"
        yield Finding(reason=Reason.IRREGULAR, text=text, decisive=True)


def _run(group: SliceGroup) -> Iterator[Finding]:
    if group.gaps:
        count = sum(gap.missing for gap in group.gaps)
        where = "; ".join(f"{gap.after_mm:.1f} and {gap.before_mm:.1f} mm" for gap in group.gaps[:_NAMED])
        more = "" if len(group.gaps) <= _NAMED else f" and {len(group.gaps) - _NAMED} more places"
        text = f"{count} {'slice is' if count == 1 else 'slices are'} missing between {where}{more}"
        yield Finding(reason=Reason.GAP, text=text, decisive=True)
    if group.duplicates_mm:
        text = f"more than one slice at {_places(group.duplicates_mm)}, and no acquisition, phase or kernel tells why"
        yield Finding(reason=Reason.DUPLICATE, text=text, decisive=True)
    if group.irregular_mm:
        low, high = group.irregular_mm
        text = f"slice spacing varies between {low:.2f} and {high:.2f} mm"
        yield Finding(reason=Reason.IRREGULAR, text=text, decisive=True)


def _spacing(group: SliceGroup, policy: Policy) -> Iterator[Finding]:
    spacing, tolerance = group.spacing_mm, policy.length_tolerance_mm
    if spacing is None:
        return  # a single position; the number of slices says so
    low, high = policy.spacing_mm
    if not low - tolerance <= spacing <= high + tolerance:
        text = f"slice spacing {spacing:.1f} mm; {low:.1f} to {high:.1f} mm are accepted"
        yield Finding(reason=Reason.SPACING, text=text, decisive=True)
    elif all(abs(spacing - standard) > tolerance for standard in policy.standard_spacings_mm):
        usual = " or ".join(f"{standard:g}" for standard in policy.standard_spacings_mm)
        text = f"slice spacing {spacing:.2f} mm where {usual} mm is usual; the score goes by the spacing"
        yield Finding(reason=Reason.SPACING, text=text)


def _thickness(group: SliceGroup, policy: Policy) -> Iterator[Finding]:
    said = [one.slice_thickness_mm for one in group.acquisitions]
    known = [value for value in said if value is not None and math.isfinite(value) and value > 0]
    if not known:
        yield Finding(reason=Reason.THICKNESS, text="slice thickness is not given")
        return
    thickest, thinnest = max(known), min(known)
    if thickest > policy.thickness_most_mm:
        text = f"slice thickness {thickest:.1f} mm; up to {policy.thickness_most_mm:.1f} mm are accepted"
        yield Finding(reason=Reason.THICKNESS, text=text, decisive=True)
    if group.spacing_mm is None:
        return
    between = f"slices of {thinnest:.2f} mm every {group.spacing_mm:.2f} mm"
    if thinnest > group.spacing_mm + policy.length_tolerance_mm:
        yield Finding(reason=Reason.SPACING, text=f"{between} overlap; the score goes by the spacing")
    if thinnest < 0.75 * group.spacing_mm:
        text = f"{between} leave tissue out between them"
        yield Finding(reason=Reason.THICKNESS, text=text, weight=policy.weights.sparse)


def _extent(group: SliceGroup, policy: Policy) -> Iterator[Finding]:
    weights = policy.weights
    if len(group.slices) < policy.minimum_slices:
        text = f"number of slices {len(group.slices)}; at least {policy.minimum_slices} are needed"
        yield Finding(reason=Reason.SLICES, text=text, decisive=True)
    if group.cover_mm < policy.minimum_cover_mm:
        text = f"the stack covers {group.cover_mm:.0f} mm; at least {policy.minimum_cover_mm:.0f} mm are needed"
        yield Finding(reason=Reason.COVER, text=text, decisive=True)
    if group.cover_mm > policy.usual_cover_mm:
        text = f"the stack covers {group.cover_mm:.0f} mm; up to {policy.usual_cover_mm:.0f} mm is usual"
        yield Finding(reason=Reason.COVER, text=text, weight=weights.cover)
    width = group.field_of_view_mm
    if width > policy.usual_field_of_view_mm:
        text = f"field of view {width:.0f} mm; up to {policy.usual_field_of_view_mm:.0f} mm is usual for the heart"
        absurd = width > _WIDEST_MM
        yield Finding(reason=Reason.FIELD_OF_VIEW, text=text, weight=weights.field_of_view, decisive=absurd)
    pixel = max(group.geometry.pixel_spacing_mm or (0.0,))
    if pixel > policy.usual_pixel_mm:
        text = f"pixel spacing {pixel:.2f} mm; up to {policy.usual_pixel_mm:.2f} mm is usual"
        yield Finding(reason=Reason.PIXEL_SPACING, text=text, weight=weights.pixel_spacing)


def _places(positions_mm: tuple[float, ...]) -> str:
    named = ", ".join(f"{place:.1f}" for place in positions_mm[:_NAMED])
    more = "" if len(positions_mm) <= _NAMED else f" and {len(positions_mm) - _NAMED} more positions"
    return f"{named} mm{more}"
