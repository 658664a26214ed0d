"""One patient's coronary tree: which branches there are, where they run, how thick they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import ndimage

from model.lesions import Vessel
from train.anatomy.atlas import HeartAtlas
from train.anatomy.frame import Array, arc_length, resample
from train.anatomy.pose import Pose
from train.anatomy.ranges import CoronaryRanges

_BRANCHES: Final = {
    Vessel.LAD: ("D1", "D2"),
    Vessel.LCX: ("RI", "OM1", "OM2"),
    Vessel.RCA: ("AM",),
}
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

    """

    name: str
    vessel: Vessel
    points: Array
    radius_mm: Array
    start_mm: float

    @property
    def length_mm(self) -> float:
        """Length along the centre line."""
        return float(arc_length(self.points)[-1])


def draw_coronaries(
    rng: np.random.Generator, pose: Pose, atlas: HeartAtlas, ranges: CoronaryRanges
) -> tuple[Course, ...]:
    """Draw a tree: dominance, length of the left main, reach of the LCx, branches, tortuosity, calibre."""
    atlas_paths = _atlas_tree(rng, atlas, ranges)
    radius = rng.uniform(*ranges.proximal_radius_mm)
    courses = []
    for name, (vessel, path, start) in atlas_paths.items():
        wiggled = path + _wiggle(rng, len(path), rng.uniform(*ranges.wiggle_mm))
        points = resample(pose.to_case(wiggled), _STEP_MM)
        share = arc_length(points) / max(arc_length(points)[-1], 1.0)
        main = name in {"LM", "LAD", "LCX", "RCA"}
        calibre = (
            radius * (1.15 if name == "LM" else 1.0 if main else 0.7) * (1 - (0.05 if name == "LM" else 0.5) * share)
        )
        courses.append(Course(name=name, vessel=vessel, points=points, radius_mm=calibre, start_mm=start))
    return tuple(courses)


def _atlas_tree(
    rng: np.random.Generator, atlas: HeartAtlas, ranges: CoronaryRanges
) -> dict[str, tuple[Vessel, Array, float]]:
    paths = dict(atlas.courses)
    main, lad, lcx = _split_left_main(paths["LM"], paths["LAD"], paths["LCX"], rng.uniform(*ranges.main_stem_mm))
    tree: dict[str, tuple[Vessel, Array, float]] = {"LM": (Vessel.LM, main, 0.0), "LAD": (Vessel.LAD, lad, 0.0)}
    dominance = rng.random()
    right = dominance < ranges.right_dominant
    both = not right and dominance < ranges.right_dominant + ranges.codominant
    reach = rng.uniform(0.4, 0.85) if right else 1.0
    tree["LCX"] = (Vessel.LCX, lcx[: max(20, int(len(lcx) * reach))], 0.0)
    rca = paths["RCA"]
    tree["RCA"] = (Vessel.RCA, rca if right or both else rca[: int(len(rca) * rng.uniform(0.55, 0.85))], 0.0)
    posterior = Vessel.RCA if right or both else Vessel.LCX
    lateral = Vessel.RCA if right else Vessel.LCX
    length = {Vessel.RCA: arc_length(rca)[-1], Vessel.LCX: arc_length(lcx)[-1]}
    tree["PDA"] = (posterior, _shortened(rng, paths["PDA"]), float(length[posterior]))
    tree["PL"] = (lateral, _shortened(rng, paths["PL"]), float(length[lateral]))
    for vessel, names in _BRANCHES.items():
        for name in names:
            if rng.random() < (ranges.ramus if name == "RI" else ranges.branch_present):
                trunk = tree[vessel][1]
                start = float(arc_length(trunk)[np.argmin(np.linalg.norm(trunk - paths[name][0], axis=1))])
                tree[name] = (vessel, _shortened(rng, paths[name]), start)
    return tree


def _split_left_main(main: Array, lad: Array, lcx: Array, length_mm: float) -> tuple[Array, Array, Array]:
    """Move the bifurcation along the stem: shorten the left main, or let it run into the first mm of the LAD."""
    travelled = arc_length(main)
    if length_mm <= travelled[-1]:
        cut = max(2, int(np.searchsorted(travelled, length_mm)))
        return main[: cut + 1], np.concatenate([main[cut:], lad[1:]]), np.concatenate([main[cut:], lcx[1:]])
    extra = int(np.searchsorted(arc_length(lad), length_mm - travelled[-1]))
    joined = np.argmin(np.linalg.norm(lcx - lad[extra], axis=1))
    bridge = np.linspace(lad[extra], lcx[joined], 4)
    return np.concatenate([main, lad[1 : extra + 1]]), lad[extra:], np.concatenate([bridge, lcx[joined + 1 :]])


def _shortened(rng: np.random.Generator, path: Array) -> Array:
    return path[: max(10, int(len(path) * rng.uniform(0.55, 1.0)))]


def _wiggle(rng: np.random.Generator, count: int, amplitude_mm: float) -> Array:
    raw = ndimage.gaussian_filter1d(rng.standard_normal((count, 3)), 6.0, axis=0, mode="nearest")
    rise = np.clip(np.arange(count) / 8, 0, 1)[:, None]
    return np.asarray(raw / (raw.std() + 1e-6) * amplitude_mm * rise * 0.7)
