"""Slices put in order: one group per stack of like slices, sorted by position, with its defects named."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from statistics import median_low

from node.domain.geometry import (
    angle_deg,
    distance_to_line,
    dot,
    field_of_view_mm,
    minus,
    normal,
    placeable,
    position,
    same_plane_shape,
)
from node.domain.series import Acquisition, Instance, SliceGeometry, Vector

_SAME_POSITION_MM = 0.01
_IRREGULAR = 0.05  # of the spacing
_GAP = 1.5  # of the spacing


class ImageKind(StrEnum):
    """What an image is, by ImageType (PS3.3 C.8.2.1.1.1)."""

    AXIAL = "axial"
    REFORMAT = "reformat"  # says nothing against it: scanners call their axial calcium series MPR
    PROJECTION = "projection"  # MIP, averages, rendered: pixel values are no Hounsfield units of a slice
    SPECTRAL = "spectral"  # virtual non-contrast, iodine, monoenergetic
    LOCALIZER = "localizer"


_KINDS = (
    (ImageKind.LOCALIZER, ("LOCALIZER", "SCOUT", "TOPOGRAM")),
    (ImageKind.PROJECTION, ("MIP", "MINIP", "MAX_IP", "MIN_IP", "PROJECTION IMAGE", "VRT", "VOLUME RENDERED")),
    (ImageKind.SPECTRAL, ("VNC", "IODINE", "MONO", "MONOENERGETIC", "MATERIAL", "VIRTUAL", "EFF_ATOMIC")),
    (ImageKind.REFORMAT, ("MPR", "REFORMATTED", "RESAMPLED")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedSlice:
    """One image plane at its place; ``frame`` counts from 0 within the instance."""

    instance: Instance
    frame: int
    position_mm: float  # along the group's normal
    geometry: SliceGeometry


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Slices missing between two neighbours, by position."""

    after_mm: float
    before_mm: float
    missing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceGroup:
    """A stack of like slices in order of position along the normal.

    Attributes
    ----------
    spacing_mm
        Median distance between neighbouring distinct positions; None with fewer than two.
    duplicates_mm
        Positions that hold more than one slice.
    irregular_mm
        Shortest and longest distance between neighbours (gaps apart), if they are not one spacing.
    disordered_mm
        Positions at which the instance numbers run against their own direction. Positions rule.
    shear_deg
        Angle between the stack's axis and the normal: a tilted gantry.
    sideways_mm
        How far the first pixel of a slice lies off the axis, at most.

    """

    slices: tuple[PlacedSlice, ...]
    normal: Vector
    kernel: str
    phase_percent: float | None
    kind: ImageKind
    spacing_mm: float | None
    gaps: tuple[Gap, ...]
    duplicates_mm: tuple[float, ...]
    irregular_mm: tuple[float, float] | None
    disordered_mm: tuple[float, ...]
    shear_deg: float
    sideways_mm: float

    @property
    def contiguous(self) -> bool:
        """Whether the positions form one run with one spacing and one slice each."""
        return self.spacing_mm is not None and not (self.gaps or self.duplicates_mm or self.irregular_mm)

    @property
    def cover_mm(self) -> float:
        """Length that the stack covers, half a spacing beyond the first and last centre included."""
        return self.slices[-1].position_mm - self.slices[0].position_mm + (self.spacing_mm or 0.0)

    @property
    def field_of_view_mm(self) -> float:
        """The longer side of a slice."""
        return field_of_view_mm(self.geometry)

    @property
    def geometry(self) -> SliceGeometry:
        """Matrix, pixel size and orientation, the same for every slice."""
        return self.slices[0].geometry

    @property
    def acquisitions(self) -> tuple[Acquisition, ...]:
        """How each slice was made, in order of position."""
        return tuple(one.instance.acquisition for one in self.slices)


def group_slices(instances: Sequence[Instance]) -> tuple[SliceGroup, ...]:
    """Stacks of like slices: same orientation, matrix, pixel size, kernel, phase and kind of image; largest first.

    The order of ``instances`` does not matter, nor do instance numbers. Planes that cannot be placed are left out (see
    :func:`unplaced`). A stack with two slices at a position is split by acquisition where that explains them.
    """
    members: list[list[_Plane]] = []
    for plane in _planes(instances):
        if not placeable(plane.geometry):
            continue
        for group in members:
            if _alike(group[0], plane):
                group.append(plane)
                break
        else:
            members.append([plane])
    groups = [_build(part) for group in members for part in _by_acquisition(group)]
    return tuple(sorted(groups, key=lambda group: -len(group.slices)))


def unplaced(instances: Sequence[Instance]) -> int:
    """How many image planes carry no credible position, orientation or pixel size (localizers apart)."""
    return sum(
        not placeable(plane.geometry) and image_kind(plane.instance.acquisition.image_type) is not ImageKind.LOCALIZER
        for plane in _planes(instances)
    )


def image_kind(image_type: Iterable[str]) -> ImageKind:
    """What ImageType says that an image is."""
    values = [value.strip().upper() for value in image_type]
    words = {*values, *(word for value in values for word in value.split())}
    for kind, names in _KINDS:
        if not words.isdisjoint(names):
            return kind
    return ImageKind.AXIAL


def kernel_name(kernel: str) -> str:
    """A kernel's name as it is compared: upper case, one space between words."""
    return " ".join(kernel.upper().split())


@dataclass(frozen=True, slots=True)
class _Plane:
    instance: Instance
    frame: int
    geometry: SliceGeometry

    @property
    def made(self) -> tuple[str, str, ImageKind]:
        acquisition = self.instance.acquisition
        return (kernel_name(acquisition.kernel), _phase(acquisition), image_kind(acquisition.image_type))


def _planes(instances: Iterable[Instance]) -> list[_Plane]:
    """Every plane once, in an order that does not depend on that of arrival."""
    known: dict[str, Instance] = {}
    for instance in sorted(instances, key=lambda one: (one.sop_uid, repr(one))):
        known.setdefault(instance.sop_uid, instance)
    return [
        _Plane(instance, frame, geometry)
        for instance in known.values()
        for frame, geometry in enumerate(instance.slices)
    ]


def _phase(acquisition: Acquisition) -> str:
    phase = acquisition.cardiac_phase_percent
    return "" if phase is None else f"{phase:.1f}"


def _alike(a: _Plane, b: _Plane) -> bool:
    return a.made == b.made and same_plane_shape(a.geometry, b.geometry)


def _by_acquisition(planes: list[_Plane]) -> list[list[_Plane]]:
    """The planes split by acquisition number, if that leaves whole stacks without two slices at a position."""
    parts: dict[str, list[_Plane]] = {}
    for plane in planes:
        parts.setdefault(str(plane.instance.acquisition.acquisition_number), []).append(plane)
    if len(parts) == 1:
        return [planes]
    distinct = len(planes) - len(_duplicates(_positions(planes)))
    if distinct == len(planes):
        return [planes]
    whole = all(not _duplicates(_positions(part)) and 2 * len(part) >= distinct for part in parts.values())
    return [parts[number] for number in sorted(parts)] if whole else [planes]


def _positions(planes: Iterable[_Plane]) -> list[float]:
    planes = list(planes)
    along = normal(planes[0].geometry)
    return sorted(dot(position(plane.geometry), along) for plane in planes)


def _duplicates(ordered: Sequence[float]) -> tuple[float, ...]:
    return tuple(b for a, b in pairwise(ordered) if b - a < _SAME_POSITION_MM)


def _build(planes: Sequence[_Plane]) -> SliceGroup:
    """Put one group in order and name its defects."""
    along = normal(planes[0].geometry)
    placed = sorted(
        (
            PlacedSlice(
                instance=plane.instance,
                frame=plane.frame,
                position_mm=dot(position(plane.geometry), along),
                geometry=plane.geometry,
            )
            for plane in planes
        ),
        key=lambda one: (one.position_mm, one.instance.sop_uid, one.frame),
    )
    steps = [(a.position_mm, b.position_mm) for a, b in pairwise(placed)]
    steps = [(a, b) for a, b in steps if b - a >= _SAME_POSITION_MM]
    spacing = median_low(b - a for a, b in steps) if steps else None
    origin = position(placed[0].geometry)
    axis = minus(position(placed[-1].geometry), origin)
    kernel, _, kind = planes[0].made
    return SliceGroup(
        slices=tuple(placed),
        normal=along,
        kernel=kernel,
        phase_percent=planes[0].instance.acquisition.cardiac_phase_percent,
        kind=kind,
        spacing_mm=spacing,
        gaps=_gaps(steps, spacing),
        duplicates_mm=_duplicates([one.position_mm for one in placed]),
        irregular_mm=_irregular(steps, spacing),
        disordered_mm=_disordered(placed),
        shear_deg=angle_deg(axis, along),
        sideways_mm=max(distance_to_line(minus(position(one.geometry), origin), axis) for one in placed),
    )


def _gaps(steps: Sequence[tuple[float, float]], spacing: float | None) -> tuple[Gap, ...]:
    return tuple(
        Gap(after_mm=a, before_mm=b, missing=max(1, round((b - a) / spacing) - 1))
        for a, b in steps
        if spacing is not None and b - a > _GAP * spacing
    )


def _irregular(steps: Sequence[tuple[float, float]], spacing: float | None) -> tuple[float, float] | None:
    if spacing is None:
        return None
    lengths = [b - a for a, b in steps if b - a <= _GAP * spacing]
    odd = any(abs(length - spacing) > _IRREGULAR * spacing for length in lengths)
    return (min(lengths), max(lengths)) if odd else None


def _disordered(placed: Sequence[PlacedSlice]) -> tuple[float, ...]:
    """Positions where the instance number steps against the way most of them step."""
    numbered = [
        (one.position_mm, one.instance.instance_number)
        for one in placed
        if one.instance.instance_number is not None and len(one.instance.slices) == 1
    ]
    rising = [b for (_, m), (b, n) in pairwise(numbered) if n > m]
    falling = [b for (_, m), (b, n) in pairwise(numbered) if n < m]
    return tuple(rising if len(rising) < len(falling) else falling)
