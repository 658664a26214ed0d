"""The compact heart phantoms are made from: distance fields, coronary courses, landmarks.

Fitted once to the Toronto Heart Atlas by :mod:`train.anatomy.fit`. Coordinates are atlas mm in LPS order (z, y, x).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from train.anatomy.surfaces import Array, Lattice

ATTRIBUTION: Final = (
    "Derived from the Toronto Heart Atlas (normal heart), tgh-apil/TorontoHeartAtlas, CC BY 4.0; changed: "
    "turned into coarse distance fields, coronary courses added."
)
STRUCTURES: Final = ("LV", "RV", "LA", "RA", "AO", "PA")
FIELDS: Final = (*STRUCTURES, "PERICARDIUM", "LV_WALL")

_FIELD_STEP_MM = 0.35  # int8 steps; distances beyond 44 mm are cut off


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeartAtlas:
    """One heart in atlas coordinates.

    Attributes
    ----------
    lattice
        Where the fields' values lie.
    fields
        float32 (8, z, y, x) in the order of :data:`FIELDS`: signed distances in mm, negative inside, of the cavities,
        the great vessels' lumens and the pericardium; last the thickness of the left ventricle's wall.
    courses
        Coronary centre lines (n, 3), proximal first, about one point a millimetre.
    landmarks
        Points (z, y, x), and the aortic axis as a unit vector.

    """

    lattice: Lattice
    fields: NDArray[np.float32]
    courses: dict[str, Array]
    landmarks: dict[str, Array]


def write_atlas(atlas: HeartAtlas, path: Path) -> None:
    """Store an atlas as a compressed npz without pickles, with its attribution inside."""
    arrays = {f"course/{name}": course.astype(np.float32) for name, course in atlas.courses.items()}
    arrays |= {f"landmark/{name}": point.astype(np.float32) for name, point in atlas.landmarks.items()}
    np.savez_compressed(
        path,
        allow_pickle=False,
        attribution=np.asarray(ATTRIBUTION),
        fields=np.clip(np.rint(atlas.fields / _FIELD_STEP_MM), -127, 127).astype(np.int8),
        field_step_mm=np.float32(_FIELD_STEP_MM),
        origin_mm=np.asarray(atlas.lattice.origin_mm),
        step_mm=np.asarray(atlas.lattice.step_mm),
        **arrays,
    )


@lru_cache(maxsize=1)
def load_atlas() -> HeartAtlas:
    """The atlas that comes with the package."""
    with np.load(Path(__file__).with_name("heart.npz"), allow_pickle=False) as stored:
        fields = stored["fields"].astype(np.float32) * float(stored["field_step_mm"])
        origin = tuple(float(value) for value in stored["origin_mm"])
        groups: dict[str, dict[str, Array]] = {"course": {}, "landmark": {}}
        for key in stored.files:
            group, _, name = key.partition("/")
            if name:
                groups[group][name] = stored[key].astype(np.float64)
        step = float(stored["step_mm"])
    lattice = Lattice(origin_mm=(origin[0], origin[1], origin[2]), step_mm=step, shape=fields.shape[1:])
    return HeartAtlas(lattice=lattice, fields=fields, courses=groups["course"], landmarks=groups["landmark"])
