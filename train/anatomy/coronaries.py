"""One patient's coronary tree: which branches there are, where they run, how thick they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from model.lesions import Vessel
from train.anatomy.atlas import HeartAtlas
from train.anatomy.branching import attach, conus, divide, move_ostium, pull_along, stray
from train.anatomy.frame import Array, arc_length, resample
from train.anatomy.pose import Pose
from train.anatomy.ranges import CoronaryRanges

# Which atlas path a diagonal or marginal is made from, and where (mm) the trunk gives it off.
_DIAGONALS: Final = (("D1", "D1", (10.0, 34.0)), ("D2", "D2", (30.0, 62.0)), ("D3", "D2", (58.0, 85.0)))
_MARGINALS: Final = (("OM1", "OM1", (12.0, 36.0)), ("OM2", "OM2", (34.0, 60.0)), ("OM3", "OM2", (55.0, 78.0)))
Tree = dict[str, tuple[Vessel, Array, float]]
_STEP_MM = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Course:
    """One artery's centre line in the case.

    Attributes
    ----------
    name
        Artery, e.g. ``"OM1"``.
    vessel
        The territory its calcium is scored in.
    points
        (n, 3) case mm (z, y, x), proximal first, 1 mm apart.
    radius_mm
        (n,) lumen radius.
    start_mm
        Distance from the vessel's own ostium to the first point, so that branches count as distal.
    depth_mm
        (n,) wanted distance of the centre line from the walls of chambers and great vessels; negative in a bridge.

    """

    name: str
    vessel: Vessel
    points: Array
    radius_mm: Array
    start_mm: float
    depth_mm: Array

    @property
    def length_mm(self) -> float:
        """Length along the centre line."""
        return float(arc_length(self.points)[-1])


def draw_coronaries(
    rng: np.random.Generator, pose: Pose, atlas: HeartAtlas, ranges: CoronaryRanges
) -> tuple[Course, ...]:
    """Draw a tree: ostia, left main and its division, dominance, branches, drifts, depth in the fat, calibre."""
    tree = _atlas_tree(rng, atlas, ranges)
    radius = rng.uniform(*ranges.proximal_radius_mm)
    sizes = {Vessel.LM: 1.15, Vessel.LAD: 1.0, Vessel.LCX: rng.uniform(0.65, 1.1), Vessel.RCA: rng.uniform(0.8, 1.15)}
    if tree["PDA"][0] is Vessel.LCX:
        sizes |= {Vessel.LCX: 1.05, Vessel.RCA: 0.7}
    courses = []
    for name, (vessel, path, start) in tree.items():
        wiggled = path + _wiggle(rng, len(path), rng.uniform(*ranges.wiggle_mm))
        points = resample(pose.to_case(wiggled), _STEP_MM)
        share = arc_length(points) / max(arc_length(points)[-1], 1.0)
        main = name in {"LM", "LAD", "LCX", "RCA"}
        calibre = radius * sizes[vessel] * (1.0 if main else 0.7) * (1 - (0.05 if name == "LM" else 0.5) * share)
        if main and rng.random() < ranges.ectasia:
            bulge = np.exp(-((share - rng.uniform(0.1, 0.6)) ** 2) / 0.02)
            calibre = np.minimum(calibre * (1 + rng.uniform(0.3, 0.9) * bulge), np.maximum(calibre, 3.0))
        depth = _depth(rng, calibre, ranges, bridged=name == "LAD" and rng.random() < ranges.bridge)
        courses.append(
            Course(name=name, vessel=vessel, points=points, radius_mm=calibre, start_mm=start, depth_mm=depth)
        )
    return tuple(courses)


def _atlas_tree(rng: np.random.Generator, atlas: HeartAtlas, ranges: CoronaryRanges) -> Tree:
    paths = dict(atlas.courses)
    for names in (("LM", "LAD", "LCX", "RI"), ("RCA",)):
        origin, shift = paths[names[0]][0], move_ostium(rng, paths[names[0]], atlas, ranges)
        paths |= {name: pull_along(paths[name], origin, shift) for name in names}
    main, lad, lcx = divide(rng, (paths["LM"], paths["LAD"], paths["LCX"]), ranges)
    lad, lcx, rca = (stray(rng, path, atlas, rng.uniform(*ranges.drift_mm)) for path in (lad, lcx, paths["RCA"]))
    dominance = rng.random()
    right = dominance < ranges.right_dominant
    both = not right and dominance < ranges.right_dominant + ranges.codominant
    if right:
        lcx = lcx[: max(20, int(len(lcx) * rng.uniform(0.4, 0.85)))]
    if not right and not both:
        rca = rca[: int(len(rca) * rng.uniform(0.55, 0.85))]
    tree: Tree = {"LM": (Vessel.LM, main, 0.0), "LAD": (Vessel.LAD, lad, 0.0), "LCX": (Vessel.LCX, lcx, 0.0)}
    tree["RCA"] = (Vessel.RCA, rca, 0.0)
    suppliers = {"PDA": Vessel.RCA if right or both else Vessel.LCX, "PL": Vessel.RCA if right else Vessel.LCX}
    for name, vessel in suppliers.items():
        _give_off(rng, tree, name, vessel, paths[name], 1e6)
    _add_branches(rng, tree, paths, ranges)
    return tree


def _add_branches(rng: np.random.Generator, tree: Tree, paths: dict[str, Array], ranges: CoronaryRanges) -> None:
    for vessel, kinds, odds in (
        (Vessel.LAD, _DIAGONALS, ranges.diagonals),
        (Vessel.LCX, _MARGINALS, ranges.marginals),
    ):
        for name, model, reach in kinds[: rng.choice(4, p=odds)]:
            _give_off(rng, tree, name, vessel, paths[model], rng.uniform(*reach))
    if rng.random() < ranges.ramus:
        _give_off(rng, tree, "RI", Vessel.LCX, paths["RI"], 0.5)
    if rng.random() < ranges.acute_marginal:
        _give_off(rng, tree, "AM", Vessel.RCA, paths["AM"], rng.uniform(48, 72))
    if rng.random() < ranges.conus:
        _give_off(rng, tree, "CONUS", Vessel.RCA, conus(tree["RCA"][1], rng), rng.uniform(2, 7))


def _give_off(rng: np.random.Generator, tree: Tree, name: str, vessel: Vessel, path: Array, along_mm: float) -> None:
    """Add a branch where its trunk reaches that far; beyond 1e5 mm means from the trunk's end."""
    trunk = tree[vessel.value][1]
    length = float(arc_length(trunk)[-1])
    if length < along_mm < 1e5:
        return
    start = min(along_mm, length)
    tree[name] = (vessel, _shortened(rng, attach(path, trunk, start)), start)


def _depth(rng: np.random.Generator, radius: Array, ranges: CoronaryRanges, *, bridged: bool) -> Array:
    """Wanted depth of the centre line over the muscle, starting at the aortic wall or the trunk."""
    count = len(radius)
    slow = ndimage.gaussian_filter1d(rng.standard_normal(count + 120), 15.0)[60:-60]
    fat = rng.uniform(*ranges.depth_mm) + slow / (slow.std() + 1e-6) * rng.uniform(0, 1.2)
    depth = 0.5 * radius + np.clip(fat, 0, 6) * np.clip(np.arange(count) / 10, 0, 1)
    if bridged:
        middle, width = rng.uniform(30, 65), rng.uniform(8, 14)
        cover = np.exp(-(((np.arange(count) - middle) / width) ** 4))
        depth = depth * (1 - cover) - 1.2 * cover
    return np.asarray(depth)


def _shortened(rng: np.random.Generator, path: Array) -> Array:
    return path[: max(10, int(len(path) * rng.uniform(0.55, 1.0)))]


def _wiggle(rng: np.random.Generator, count: int, amplitude_mm: float) -> Array:
    raw = ndimage.gaussian_filter1d(rng.standard_normal((count, 3)), 6.0, axis=0, mode="nearest")
    rise = np.clip(np.arange(count) / 8, 0, 1)[:, None]
    return np.asarray(raw / (raw.std() + 1e-6) * amplitude_mm * rise * 0.7)
