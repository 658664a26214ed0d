"""Image planes in the patient: which can be placed at all, and where (PS3.3 C.7.6.2.1.1)."""

from __future__ import annotations

import math

from node.domain.series import SliceGeometry, Vector

_MOST_MM = 1e5  # no scanner is larger; beyond it a position is a fault, and sums could overflow
_UNIT_TOLERANCE = 1e-2
_SAME_DIRECTION = 1e-3  # difference of direction cosines, about 0.06 degrees
_SAME_LENGTH_MM = 1e-3


def dot(a: Vector, b: Vector) -> float:
    """Scalar product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def cross(a: Vector, b: Vector) -> Vector:
    """Vector product."""
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def placeable(plane: SliceGeometry) -> bool:
    """Whether a plane has a position, two perpendicular unit directions, a matrix and a pixel size, all credible."""
    position, orientation, spacing = plane.position_lps_mm, plane.orientation, plane.pixel_spacing_mm
    if position is None or orientation is None or spacing is None or min(plane.rows, plane.columns) < 1:
        return False
    if not all(abs(value) < _MOST_MM for value in position):  # false for NaN
        return False
    if not all(_SAME_LENGTH_MM < value < _MOST_MM for value in spacing):
        return False
    if not all(abs(value) <= 1 + _UNIT_TOLERANCE for value in orientation):
        return False
    row, column = orientation[:3], orientation[3:]
    return (
        abs(dot(row, row) - 1) < _UNIT_TOLERANCE
        and abs(dot(column, column) - 1) < _UNIT_TOLERANCE
        and abs(dot(row, column)) < _UNIT_TOLERANCE
    )


def normal(plane: SliceGeometry) -> Vector:
    """Unit normal of a placeable plane: row direction × column direction."""
    orientation = plane.orientation or (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    x, y, z = cross(orientation[:3], orientation[3:])
    length = math.sqrt(x * x + y * y + z * z)
    return (x / length, y / length, z / length)


def position(plane: SliceGeometry) -> Vector:
    """Centre of the first pixel of a placeable plane."""
    return plane.position_lps_mm or (0.0, 0.0, 0.0)


def same_plane_shape(a: SliceGeometry, b: SliceGeometry) -> bool:
    """Whether two placeable planes have the same matrix, pixel size and orientation."""
    if (a.rows, a.columns) != (b.rows, b.columns):
        return False
    spacing = zip(a.pixel_spacing_mm or (), b.pixel_spacing_mm or (), strict=True)
    orientation = zip(a.orientation or (), b.orientation or (), strict=True)
    return all(abs(p - q) <= _SAME_LENGTH_MM for p, q in spacing) and all(
        abs(p - q) <= _SAME_DIRECTION for p, q in orientation
    )


def minus(a: Vector, b: Vector) -> Vector:
    """Difference."""
    return (a[0] - b[0], a[1] - b[1], a[2] - b[2])


def distance_to_line(point: Vector, axis: Vector) -> float:
    """Distance of a point from the line through the origin along ``axis``; from the origin where it has no length."""
    length = math.sqrt(dot(axis, axis))
    off = cross(point, axis) if length > 0 else point
    return math.sqrt(dot(off, off)) / (length or 1.0)


def angle_deg(a: Vector, b: Vector) -> float:
    """Angle between two lines (0 to 90 degrees), whichever way the vectors point; 0 where one has no length."""
    lengths = math.sqrt(dot(a, a) * dot(b, b))
    if lengths == 0:
        return 0.0
    return math.degrees(math.acos(min(1.0, abs(dot(a, b)) / lengths)))


def field_of_view_mm(plane: SliceGeometry) -> float:
    """The longer side of a placeable plane."""
    between_rows, between_columns = plane.pixel_spacing_mm or (0.0, 0.0)
    return max(plane.rows * between_rows, plane.columns * between_columns)
