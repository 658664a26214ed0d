"""Surfaces are read in the right orientation and filled to the right volume."""

import numpy as np
import pytest

from train.anatomy.frame import arc_length, resample
from train.anatomy.surfaces import Lattice, Surface, fill, read_obj, signed_distance

LATTICE = Lattice(origin_mm=(-15.0, -15.0, -15.0), step_mm=1.0, shape=(31, 31, 31))


def sphere(radius: float, rings: int = 24) -> Surface:
    polar, around = np.meshgrid(np.linspace(0, np.pi, rings), np.linspace(0, 2 * np.pi, 2 * rings), indexing="ij")
    points = radius * np.stack([np.cos(polar), np.sin(polar) * np.sin(around), np.sin(polar) * np.cos(around)], axis=-1)
    index = np.arange(rings * 2 * rings).reshape(rings, 2 * rings)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    triangles = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    return Surface(points=points.reshape(-1, 3), triangles=triangles)


def test_sphere_fills_to_its_volume() -> None:
    inside = fill(sphere(10.0), LATTICE)
    assert inside.sum() == pytest.approx(4 / 3 * np.pi * 10.6**3, rel=0.06)  # the shell's outer half included
    assert inside[15, 15, 15]
    assert not inside[0, 0, 0]


def test_distance_is_negative_inside() -> None:
    distance = signed_distance(fill(sphere(10.0), LATTICE), 1.0)
    assert distance[15, 15, 15] == pytest.approx(-10, abs=1.5)
    assert distance[15, 15, 30] == pytest.approx(5, abs=1.5)


def test_obj_axes_turn_into_lps_without_a_mirror(tmp_path) -> None:
    path = tmp_path / "triangle.obj"
    path.write_text("v 1 2 3\nvn 0 0 1\nv 4 5 6\nv 7 8 10\nf 1//1 2//1 3//1\n", encoding="utf-8")
    surface = read_obj(path)
    assert surface.points.tolist() == [[2.0, 3.0, -1.0], [5.0, 6.0, -4.0], [8.0, 10.0, -7.0]]  # (z, y, x)
    assert surface.triangles.tolist() == [[0, 1, 2]]
    turn = np.array([[-1, 0, 0], [0, 0, 1], [0, 1, 0]])  # (x, y, z) = (-X, Z, Y)
    assert np.linalg.det(turn) == pytest.approx(1.0)


def test_faces_other_than_triangles_are_refused(tmp_path) -> None:
    path = tmp_path / "square.obj"
    path.write_text("v 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nf 1 2 3 4\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"square\.obj is not a triangle mesh"):
        read_obj(path)


def test_resampling_keeps_ends_and_length() -> None:
    path = np.array([[0.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 3.0, 4.0]])
    even = resample(path, 0.5)
    assert np.allclose(even[[0, -1]], path[[0, -1]])
    assert arc_length(even)[-1] == pytest.approx(7.0, abs=0.2)
    assert np.diff(arc_length(even)).max() < 0.55
