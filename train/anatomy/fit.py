"""Fit the compact heart the phantoms are made from to the surfaces of the Toronto Heart Atlas.

``python -m train.anatomy.fit OBJ_DIR`` reads NORMAL_{LV,RV,LA,RA,AO,PA}.obj and writes ``heart.npz`` beside this file:
signed distances on a coarse lattice, landmarks, and coronary courses found in the grooves. Needed once; making phantoms
reads only the result.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from scipy import ndimage

from train.anatomy.atlas import ATTRIBUTION, STRUCTURES, HeartAtlas, write_atlas
from train.anatomy.grooves import Field, GrooveFinder, LongAxis, OuterWalls, long_axis
from train.anatomy.surfaces import Array, Lattice, fill, read_obj, signed_distance

_FINE = Lattice(origin_mm=(-95.0, -105.0, -100.0), step_mm=1.0, shape=(191, 211, 201))
_FINE_STEPS_PER_COARSE = 3

# Read off the aortic surface, which carries short stubs of the coronaries; (z, y, x) in atlas mm.
_LEFT_OSTIUM = np.array([23.0, 4.0, 8.0])
_RIGHT_OSTIUM = np.array([16.0, -29.5, -10.0])
_LEFT_BIFURCATION = np.array([20.0, 10.0, 15.0])
_ANNULUS = np.array([0.0, -5.0, -5.0])
_AORTIC_AXIS = np.array([0.95, -0.15, -0.25])

_LV_WALL_MM = 9.0
_RV_WALL_MM = 3.0
_ATRIAL_WALL_MM = 2.0
_VESSEL_WALL_MM = 1.5
_CLOSING_MM = 14.0  # the pericardium spans grooves up to twice this width


def distances(folder: Path) -> dict[str, Field]:
    """Signed distance of each structure's surface on the fine lattice."""
    fields = {}
    for name in STRUCTURES:
        inside = fill(read_obj(folder / f"NORMAL_{name}.obj"), _FINE)
        if name == "AO":  # opening cuts off the stubs of the coronaries, which would leave a lump on the root
            inside = _opened(inside, 6.0)
        fields[name] = ndimage.gaussian_filter(signed_distance(inside, _FINE.step_mm), 0.7)
    return fields


def outer_walls(fields: dict[str, Field]) -> tuple[OuterWalls, Field]:
    """Outer walls on the fine lattice, and the left ventricle's wall thickness, which thins out towards the valves."""
    valves = np.clip((np.minimum(fields["LA"], fields["AO"]) + 2) / 14, 0.15, 1)
    lv_wall = (_LV_WALL_MM * valves).astype(np.float32)
    walls = {
        "lv": fields["LV"] - lv_wall,
        "rv": fields["RV"] - _RV_WALL_MM,
        "la": fields["LA"] - _ATRIAL_WALL_MM,
        "ra": fields["RA"] - _ATRIAL_WALL_MM,
        "aorta": fields["AO"] - _VESSEL_WALL_MM,
        "pulmonary": fields["PA"] - _VESSEL_WALL_MM,
    }
    union = np.minimum.reduce(list(walls.values())) < 0
    grown = ndimage.distance_transform_edt(~union) < _CLOSING_MM
    closed = ndimage.distance_transform_edt(grown) >= _CLOSING_MM
    pericardium = ndimage.gaussian_filter(signed_distance(closed, _FINE.step_mm), 2.0)
    return OuterWalls(lattice=_FINE, pericardium=pericardium, **walls), lv_wall


def left_courses(finder: GrooveFinder, walls: OuterWalls, axis: LongAxis, crux: Array) -> dict[str, Array]:
    """Left main, LAD with diagonals, LCx with marginals, ramus."""
    groove = finder.groove_cost(walls.lv, walls.rv)
    av_groove = finder.groove_cost(walls.la, walls.lv)
    free = finder.wall_cost(walls.lv)
    middle = finder.snap(finder.groove_point(axis, 0.35, anterior=True), 10)
    far = finder.snap(finder.groove_point(axis, 0.8, anterior=True), 10)
    tip = finder.snap(axis.apex + axis.along * 10, 12)
    main = finder.route([_LEFT_OSTIUM, _LEFT_BIFURCATION])
    start = main[-1]
    lad = finder.route([start, middle], finder.wall_cost(walls.lv))
    lad = np.concatenate([lad, finder.route([middle, far, tip], groove)[1:]])
    lateral = finder.meeting_point([walls.lv, walls.la], toward=np.array([0.0, 0.0, 1.0]), pull=0.3)
    lcx = finder.route([start, lateral, crux], av_groove)
    courses = {"LM": main, "LAD": lad, "LCX": lcx}
    for name, along_mm, fraction in (("D1", 25.0, 0.35), ("D2", 45.0, 0.6)):
        target = finder.snap(axis.point(fraction, 22.0, 32.0), 20)
        courses[name] = finder.route([_at(lad, along_mm), target], free)
    for name, along_mm, fraction, below_mm in (("OM1", 22.0, 0.5, 10.0), ("OM2", 45.0, 0.45, 35.0)):
        target = finder.snap(axis.point(fraction, -below_mm, 40.0), 20)
        courses[name] = finder.route([_at(lcx, along_mm), target], free)
    courses["RI"] = finder.route([start, finder.snap(axis.point(0.5, 12.0, 40.0), 20)], free)
    return courses


def right_courses(finder: GrooveFinder, walls: OuterWalls, axis: LongAxis, crux: Array) -> dict[str, Array]:
    """Right coronary to the crux, posterior descending and posterolateral branch, acute marginal."""
    groove = finder.groove_cost(walls.ra, walls.rv)
    right_edge = finder.meeting_point([walls.rv, walls.ra], toward=np.array([0.0, -0.7, -0.7]), pull=0.3)
    bottom = finder.meeting_point([walls.rv, walls.ra], toward=np.array([-1.0, 0.0, 0.0]), pull=0.3)
    rca = finder.route([_RIGHT_OSTIUM, right_edge, bottom, crux], groove)
    pda_end = finder.snap(finder.groove_point(axis, 0.5, anterior=False), 10)
    pda = finder.route([crux, pda_end], finder.groove_cost(walls.lv, walls.rv))
    posterolateral = finder.route([crux, finder.snap(axis.point(0.35, -35.0, 15.0), 15)], finder.wall_cost(walls.lv))
    start = _at(rca, 60.0)
    acute = finder.route([start, finder.snap(start + axis.along * 35, 15)], finder.wall_cost(walls.rv))
    return {"RCA": rca, "PDA": pda, "PL": posterolateral, "AM": acute}


def fit_atlas(folder: Path) -> HeartAtlas:
    """The whole fit: fields, landmarks, courses."""
    fields = distances(folder)
    walls, lv_wall = outer_walls(fields)
    axis = long_axis(fields["LV"], fields["RV"], fields["LA"], _FINE)
    finder = GrooveFinder(walls)
    crux = finder.meeting_point([walls.lv, walls.rv, walls.la, walls.ra], np.array([-1.0, 1.0, 0.0]), 0.15)
    courses = left_courses(finder, walls, axis, crux) | right_courses(finder, walls, axis, crux)
    stored = np.stack([fields[name] for name in STRUCTURES] + [walls.pericardium, lv_wall])
    step = _FINE_STEPS_PER_COARSE
    coarse = np.stack([ndimage.gaussian_filter(field, 0.8) for field in stored])[:, ::step, ::step, ::step]
    tricuspid = _FINE.position(np.argwhere((fields["RA"] < 3) & (fields["RV"] < 3)).mean(axis=0))
    landmarks = {
        "annulus": _ANNULUS,
        "aortic_axis": _AORTIC_AXIS / np.linalg.norm(_AORTIC_AXIS),
        "mitral": axis.base,
        "apex": axis.apex,
        "tricuspid": tricuspid,
        "crux": crux,
    }
    lattice = Lattice(origin_mm=_FINE.origin_mm, step_mm=_FINE.step_mm * step, shape=coarse.shape[1:])
    return HeartAtlas(lattice=lattice, fields=coarse.astype(np.float32), courses=courses, landmarks=landmarks)


def main(folder: Annotated[Path, typer.Argument(help="Folder with NORMAL_*.obj of the Toronto Heart Atlas")]) -> None:
    """Fit and write ``heart.npz`` beside this file."""
    target = Path(__file__).with_name("heart.npz")
    atlas = fit_atlas(folder)
    write_atlas(atlas, target)
    console = Console()
    for name, course in atlas.courses.items():
        length = np.linalg.norm(np.diff(course, axis=0), axis=1).sum()
        console.print(f"{name:4} {length:6.1f} mm  {course[0].round(1)} to {course[-1].round(1)}")
    console.print(f"{target.name}: {target.stat().st_size / 1e6:.2f} MB. {ATTRIBUTION}")


def _opened(inside: np.ndarray, radius_mm: float) -> np.ndarray:
    kept = ndimage.distance_transform_edt(inside) > radius_mm
    return np.asarray((ndimage.distance_transform_edt(~kept) < radius_mm + 0.7) & inside)


def _at(course: Array, along_mm: float) -> Array:
    travelled = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(course, axis=0), axis=1))])
    return np.asarray(course[min(int(np.searchsorted(travelled, along_mm)), len(course) - 1)])


if __name__ == "__main__":
    typer.run(main)
