"""One patient's chambers, great vessels and pericardium as signed distances on the case's lattice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from train.anatomy.atlas import FIELDS, STRUCTURES, HeartAtlas
from train.anatomy.frame import Array, Frame, smooth_noise
from train.anatomy.pose import Pose
from train.anatomy.ranges import HeartRanges

# The atlas ends at the arch and at the caval stubs; beyond, the last cross-section goes on as a tube.
_TOP_MM = 45.0
_CAVA_BOTTOM_MM = -58.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heart:
    """Signed distances in mm (negative inside) on the lattice, and points in case mm (z, y, x).

    ``lv`` .. ``pulmonary`` are the blood pools, the ``*_wall`` fields the outside of the walls; ``cavae`` is the right
    atrium prolonged up and down by both venae cavae. ``aortic_height`` is the distance (mm, atlas scale) above the
    aortic annulus along the root's axis. ``centre_mm``, ``low_mm`` and ``high_mm`` are of the four chambers.
    """

    frame: Frame
    pose: Pose
    lv: Tensor
    rv: Tensor
    la: Tensor
    ra: Tensor
    cavae: Tensor
    aorta: Tensor
    pulmonary: Tensor
    lv_wall: Tensor
    rv_wall: Tensor
    la_wall: Tensor
    ra_wall: Tensor
    aorta_wall: Tensor
    pulmonary_wall: Tensor
    pericardium: Tensor
    aortic_height: Tensor
    centre_mm: Array
    low_mm: Array
    high_mm: Array

    def muscle(self) -> Tensor:
        """Distance to the outside of the four chambers."""
        return torch.minimum(torch.minimum(self.lv_wall, self.rv_wall), torch.minimum(self.la_wall, self.ra_wall))

    def vessels(self) -> Tensor:
        """Distance to the outside of the aortic root and the pulmonary trunk."""
        return torch.minimum(self.aorta_wall, self.pulmonary_wall)


def place_heart(rng: np.random.Generator, pose: Pose, atlas: HeartAtlas, ranges: HeartRanges) -> Heart:
    """Carry the atlas into the case and vary chamber sizes, wall thickness and epicardial fat."""
    frame = pose.frame
    where = pose.atlas_coordinates()
    sampled = _sample(atlas, where) * pose.scale
    fields, cavae = sampled[:-1], sampled[-1]
    cavities = {name: fields[FIELDS.index(name)] + rng.uniform(*ranges.inflate_mm) for name in STRUCTURES}
    cavities["AO"] = fields[FIELDS.index("AO")]  # its diameter is drawn with the proportions
    thickness = fields[FIELDS.index("LV_WALL")] * pose.proportions.lv_wall_scale
    walls = {
        "lv_wall": cavities["LV"] - thickness,
        "rv_wall": cavities["RV"] - rng.uniform(2.0, 4.0),
        "la_wall": cavities["LA"] - rng.uniform(1.0, 2.5),
        "ra_wall": cavities["RA"] - rng.uniform(1.0, 2.5),
        "aorta_wall": cavities["AO"] - rng.uniform(1.2, 2.0),
        "pulmonary_wall": cavities["PA"] - rng.uniform(1.0, 1.6),
    }
    cavae = _part_atria(rng, walls, cavae, fields[FIELDS.index("PERICARDIUM")], pose)
    soft = torch.stack(list(walls.values())).amin(dim=0)
    pericardium = _pericardium(rng, fields[FIELDS.index("PERICARDIUM")], soft, pose, ranges)
    muscle = torch.stack([walls[name] for name in ("lv_wall", "rv_wall", "la_wall", "ra_wall")]).amin(dim=0)
    corners = frame.position(torch.nonzero(muscle < 0).cpu().numpy())
    if len(corners) == 0:
        raise ValueError("the heart lies outside the field of view")
    return Heart(
        frame=frame, pose=pose, lv=cavities["LV"], rv=cavities["RV"], la=cavities["LA"], ra=cavities["RA"], cavae=cavae,
        aorta=cavities["AO"], pulmonary=cavities["PA"], **walls, pericardium=pericardium,
        aortic_height=_aortic_height(atlas, where), centre_mm=corners.mean(axis=0),
        low_mm=corners.min(axis=0), high_mm=corners.max(axis=0),
    )  # fmt: skip


def _part_atria(
    rng: np.random.Generator, walls: dict[str, Tensor], cavae: Tensor, spanned: Tensor, pose: Pose
) -> Tensor:
    """Wedges of fat between atria and ventricles and between the atria, open to the surface.

    The atria of ``walls`` are changed, and the venae cavae that make way are given back. A wedge reaches as deep as
    ``spanned``, the distance to a surface that bridges the grooves, allows.
    """
    stout = 0.4 + 0.6 * pose.proportions.fat
    groove, septal = rng.uniform(1.5, 5.0) * stout, rng.uniform(0.0, 4.0) * stout
    depth = rng.uniform(9, 18)
    wedge = 1 + spanned.clamp(max=0) / depth  # 1 at the surface, 0 at the depth
    ventricles = torch.minimum(walls["lv_wall"], walls["rv_wall"])
    walls["la_wall"] = torch.maximum(walls["la_wall"], groove * wedge - ventricles)
    walls["ra_wall"] = torch.maximum(walls["ra_wall"], groove * wedge - ventricles)
    walls["ra_wall"] = torch.maximum(walls["ra_wall"], septal * wedge - walls["la_wall"])
    return torch.maximum(cavae, torch.maximum(groove * wedge - ventricles, septal * wedge - walls["la_wall"]))


def _pericardium(rng: np.random.Generator, spanned: Tensor, soft: Tensor, pose: Pose, ranges: HeartRanges) -> Tensor:
    """Fat over the walls ``soft``: ``spanned`` bridges the grooves, which the lean fill only to a part."""
    share = pose.proportions.fat
    uneven = smooth_noise(rng, pose.frame, 40.0) * rng.uniform(0.3, 1.0 + share)
    fat = float(np.interp(share, (0, 1), ranges.epicardial_fat_mm)) + uneven
    groove = float(np.interp(share, (0, 1), ranges.groove_fat_mm))
    filled = torch.maximum(spanned - fat + 1.5, soft - (groove + uneven).clamp(min=1.0))
    return torch.minimum(filled, soft - rng.uniform(0.5, 1.5))


def _sample(atlas: HeartAtlas, where: Tensor) -> Tensor:
    """Atlas fields at atlas coordinates (3, z, y, x), the aorta prolonged upwards; last the prolonged right atrium."""
    device = where.device
    fields = torch.from_numpy(atlas.fields).to(device)
    low = torch.tensor(atlas.lattice.origin_mm, device=device)
    span = (torch.tensor(atlas.lattice.shape, device=device) - 1) * atlas.lattice.step_mm
    outside = sum((where[k] - (low[k] + span[k] / 2)).abs().sub(span[k] / 2 - 2).clamp(min=0) for k in range(3))

    def look_up(names: tuple[str, ...], z: Tensor) -> Tensor:
        unit = torch.stack([where[2], where[1], z], dim=-1)
        unit = (unit - low.flip(0)) / span.flip(0) * 2 - 1
        chosen = fields[[FIELDS.index(name) for name in names]][None]
        return F.grid_sample(chosen, unit[None].float(), align_corners=True, padding_mode="border")[0]

    sampled = torch.empty((len(FIELDS) + 1, *where.shape[1:]), device=device)
    plain = ("LV", "RV", "LA", "PERICARDIUM", "LV_WALL", "PA")
    sampled[[FIELDS.index(name) for name in plain]] = look_up(plain, where[0])
    beyond = [FIELDS.index(name) for name in plain if name != "LV_WALL"]
    sampled[beyond] += outside
    clamped = where[0].clamp(_CAVA_BOTTOM_MM, _TOP_MM)
    sampled[FIELDS.index("AO")], sampled[-1] = look_up(("AO", "RA"), clamped)
    beyond_stubs = (where[0] - clamped).abs()
    sampled[FIELDS.index("RA")] = torch.where(beyond_stubs > 0, sampled[-1].maximum(beyond_stubs), sampled[-1])
    return sampled


def _aortic_height(atlas: HeartAtlas, where: Tensor) -> Tensor:
    annulus, axis = atlas.landmarks["annulus"], atlas.landmarks["aortic_axis"]
    return sum(((where[k] - float(annulus[k])) * float(axis[k]) for k in range(3)), torch.zeros_like(where[0]))
