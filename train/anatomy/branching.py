"""How the coronary trunks leave the aorta, divide, stray from their grooves and give off branches; atlas mm."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from train.anatomy.atlas import FIELDS, HeartAtlas
from train.anatomy.frame import Array, arc_length, resample
from train.anatomy.ranges import CoronaryRanges

_OSTIUM_REACH_MM = 14.0
_DRIFT_MM = 22.0  # a drift keeps its direction over about this far
_RISE_MM = 20.0


def move_ostium(rng: np.random.Generator, path: Array, atlas: HeartAtlas, ranges: CoronaryRanges) -> Array:
    """Offset (3,) of an ostium on its sinus: around the aorta and along it, rarely above the sinotubular junction."""
    axis = atlas.landmarks["aortic_axis"]
    out = path[0] - atlas.landmarks["annulus"]
    around = np.cross(axis, out - axis * (out @ axis))
    around /= np.linalg.norm(around)
    shift = np.clip(rng.standard_normal(2), -2, 2) * ranges.ostium_sd_mm
    rise = rng.uniform(5, 11) if rng.random() < ranges.high_take_off else 0.0
    return np.asarray(around * shift[0] + axis * (0.8 * shift[1] + rise))


def pull_along(path: Array, origin: Array, shift: Array) -> Array:
    """The path, carried along with its ostium near it."""
    near = np.exp(-(np.linalg.norm(path - origin, axis=1) ** 2) / (2 * _OSTIUM_REACH_MM**2))
    return np.asarray(path + near[:, None] * shift)


def divide(rng: np.random.Generator, trunks: tuple[Array, Array, Array], ranges: CoronaryRanges) -> tuple[Array, ...]:
    """Left main, LAD and LCx with the bifurcation at a drawn distance, direction and angle.

    ``trunks`` are the atlas' own. The daughters leave the new bifurcation at the drawn angle and run into their
    grooves within 8 to 20 mm.
    """
    main, lad, lcx = trunks
    length = ranges.main_stem_mm[0] + (ranges.main_stem_mm[1] - ranges.main_stem_mm[0]) * rng.beta(2, 3)
    own = arc_length(main)[-1]
    beyond = max(0.0, length - own)
    share = rng.uniform(0.15, 0.6)
    far = (1 - share) * _at(lad, beyond) + share * _at(lcx, beyond)
    turn = np.clip(rng.standard_normal(2), -2, 2) * np.array([1.0, 0.5]) * ranges.stem_turn_sd_deg
    heading = Rotation.from_euler("xz", turn - np.array([8.0, 0.0]), degrees=True).apply(far - main[0])
    heading /= np.linalg.norm(heading)
    fork = main[0] + heading * length * 0.97
    stem = _hermite(main[0], fork, heading + rng.normal(0, 0.2, 3), heading + rng.normal(0, 0.2, 3))
    half = np.deg2rad(rng.uniform(*ranges.bifurcation_deg)) / 2
    daughters = []
    for path in (lad, lcx):
        join = beyond + max(0.0, own - length) * 0.5 + rng.uniform(8, 20)
        clear = np.flatnonzero(np.linalg.norm(path - fork, axis=1) < 6.0)  # a join too near would double back
        join = max(join, float(arc_length(path)[clear[-1]]) + 3.0 if len(clear) else 0.0)
        place = min(int(np.searchsorted(arc_length(path), join)), len(path) - 3)
        side = path[place] - fork
        side = side - heading * (side @ heading)
        side /= np.linalg.norm(side) + 1e-6
        bridge = _hermite(
            fork, path[place], np.cos(half) * heading + np.sin(half) * side, path[place + 2] - path[place]
        )
        joined = np.concatenate([bridge, path[place + 1 :]])
        smooth = ndimage.gaussian_filter1d(joined, 2.5, axis=0, mode="nearest")
        smooth[0] = fork
        daughters.append(smooth)
    return stem, daughters[0], daughters[1]


def stray(rng: np.random.Generator, path: Array, atlas: HeartAtlas, most_mm: float) -> Array:
    """The path, drifting slowly to either side along the heart's surface; its first point stays."""
    travelled = arc_length(path)
    raw = ndimage.gaussian_filter1d(rng.standard_normal(len(path) + 200), _DRIFT_MM)[100:-100]
    amount = np.clip(raw / (np.std(raw) + 1e-6) * 0.5 + rng.normal(0, 0.4), -1, 1) * most_mm
    amount *= np.clip(travelled / _RISE_MM, 0, 1) * np.clip((travelled[-1] - travelled) / _RISE_MM + 0.3, 0, 1)
    tangent = np.gradient(path, axis=0)
    side = np.cross(tangent, _outward(atlas, path))
    side /= np.linalg.norm(side, axis=1, keepdims=True) + 1e-6
    side = ndimage.gaussian_filter1d(side, 4.0, axis=0, mode="nearest")
    return np.asarray(path + side * amount[:, None])


def attach(path: Array, trunk: Array, along_mm: float) -> Array:
    """A branch's path moved to leave the trunk at a distance from the trunk's start; its end moves half as far."""
    shift = _at(trunk, along_mm) - path[0]
    return np.asarray(path + np.linspace(1.0, 0.5, len(path))[:, None] * shift)


def conus(rca: Array, rng: np.random.Generator) -> Array:
    """From the first centimetre of the right coronary over the outflow tract."""
    start = _at(rca, rng.uniform(2, 7))
    end = np.array([rng.uniform(-5, 12), rng.uniform(-60, -52), rng.uniform(-2, 14)])
    return _hermite(start, end, np.array([0.1, -1.0, -0.1]), np.array([-0.2, -0.3, 1.0]))


def _at(path: Array, along_mm: float) -> Array:
    travelled = arc_length(path)
    return np.array([np.interp(along_mm, travelled, path[:, k]) for k in range(3)])


def _hermite(start: Array, end: Array, leaving: Array, arriving: Array) -> Array:
    """Smooth curve (n, 3), about a point a millimetre, with given directions at both ends."""
    chord = float(np.linalg.norm(end - start))
    out, into = (chord * v / (np.linalg.norm(v) + 1e-6) for v in (leaving, arriving))
    t = np.linspace(0, 1, max(3, int(chord) + 2))[:, None]
    curve = (2 * t**3 - 3 * t**2 + 1) * start + (t**3 - 2 * t**2 + t) * out
    return resample(curve + (3 * t**2 - 2 * t**3) * end + (t**3 - t**2) * into, 1.0)


@lru_cache(maxsize=1)
def _slopes(atlas: HeartAtlas) -> tuple[NDArray[np.float32], ...]:
    cavities = [atlas.fields[FIELDS.index(name)] for name in ("RV", "LA", "RA", "AO", "PA")]
    walls = np.minimum.reduce([atlas.fields[0] - atlas.fields[FIELDS.index("LV_WALL")], *cavities])
    return tuple(np.gradient(ndimage.gaussian_filter(walls, 1.0)))


def _outward(atlas: HeartAtlas, points: Array) -> Array:
    where = atlas.lattice.index(points).T
    return np.stack(
        [ndimage.map_coordinates(slope, where, order=1, mode="nearest") for slope in _slopes(atlas)], axis=1
    )
