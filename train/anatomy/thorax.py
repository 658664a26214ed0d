"""Body wall, spine, ribs and sternum around a heart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from train.anatomy.frame import Frame, smooth_noise
from train.anatomy.front_wall import cartilage_layers, draw_breastbone, sternal_layers
from train.anatomy.heart import Heart
from train.anatomy.layers import Layer
from train.anatomy.ranges import BodyRanges


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chest:
    """Distances and places the rest of the body is laid out by.

    Attributes
    ----------
    cavity
        Signed distance to the inner chest wall.
    wall_mm
        Thickness of the muscular wall; ``skin`` is the distance to the body's surface.
    midline_mm, spine_front_mm, front_mm, centre_y_mm
        Midline x, front of the vertebral bodies y, inner front wall y, and the middle of the cavity y.
    half_width_mm, half_depth_mm
        Half axes of the cavity.
    angle
        0 at the front midline to pi at the back, on the lattice.

    """

    frame: Frame
    cavity: Tensor
    skin: Tensor
    wall_mm: float
    midline_mm: float
    spine_front_mm: float
    front_mm: float
    centre_y_mm: float
    half_width_mm: float
    half_depth_mm: float
    angle: Tensor


def draw_chest(rng: np.random.Generator, heart: Heart, body: BodyRanges) -> Chest:
    """Lay a chest around the heart: the heart reaches the front wall and lies left of the midline."""
    frame = heart.frame
    z, y, x = frame.coordinates()
    midline = heart.centre_mm[2] - rng.uniform(8, 30)
    spine_front = heart.high_mm[1] + rng.uniform(6, 24)
    front = heart.low_mm[1] - rng.uniform(2.5, 12)
    depth = (spine_front - front + rng.uniform(40, 75)) / 2
    centre_y = front + depth
    width = depth * rng.uniform(1.25, 1.6)
    power = rng.uniform(2.1, 3.0)
    lean = 1 - (z - float(heart.centre_mm[0])) * rng.uniform(0.0004, 0.0016)  # the chest widens downwards
    across = ((x - midline).abs() / (width * lean)) ** power
    radius = (across + ((y - centre_y).abs() / depth) ** power) ** (1 / power)
    cavity = (radius - 1) * depth + smooth_noise(rng, frame, 50.0) * 2.0
    wall = rng.uniform(*body.wall_mm)
    fat = rng.uniform(*body.subcutaneous_mm)
    skin = cavity - wall - fat * (1 + 0.25 * smooth_noise(rng, frame, 90.0)).clamp(0.4, 1.8)
    angle = torch.atan2((x - midline).abs().expand(frame.shape), (centre_y - y).expand(frame.shape))
    return Chest(
        frame=frame, cavity=cavity, skin=skin, wall_mm=wall, midline_mm=midline, spine_front_mm=spine_front,
        front_mm=front, centre_y_mm=centre_y, half_width_mm=width, half_depth_mm=depth, angle=angle,
    )  # fmt: skip


def wall_layers(rng: np.random.Generator, chest: Chest, body: BodyRanges, fat_hu: float) -> list[Layer]:
    """Fat under the skin, breast tissue at times, muscle with fat planes."""
    frame = chest.frame
    muscle = rng.uniform(*body.muscle_hu) + smooth_noise(rng, frame, 8.0) * 8
    planes = smooth_noise(rng, frame, 14.0).abs() - rng.uniform(0.08, 0.2)
    layers = [Layer(distance=chest.skin, hu=fat_hu + smooth_noise(rng, frame, 8.0) * 6)]
    layers.append(Layer(distance=chest.skin, hu=rng.uniform(0, 40), band_mm=(-2.0, 0.0)))
    if rng.random() < 0.35:
        gland = torch.maximum(chest.skin + 5, chest.angle - 1.1) + smooth_noise(rng, frame, 14.0) * 6 + 5
        layers.append(Layer(distance=torch.maximum(gland, chest.wall_mm + 4 - chest.cavity), hu=rng.uniform(0, 40)))
    ragged = chest.cavity - chest.wall_mm - smooth_noise(rng, frame, 24.0) * 2.5
    layers.append(Layer(distance=ragged, hu=muscle))
    inside_wall = torch.maximum(chest.cavity - chest.wall_mm + 2, 1 - chest.cavity)
    layers.append(Layer(distance=torch.maximum(planes * 8, inside_wall), hu=fat_hu + 15))
    return layers


@dataclass(frozen=True, slots=True, kw_only=True)
class Vertebra:
    """Size and place of the vertebral bodies in plane (mm), and their distance and phase along the spine."""

    middle_x_mm: float
    middle_y_mm: float
    half_x_mm: float
    half_y_mm: float
    pitch_mm: float
    phase: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Skeleton:
    """Bones and the muscle along the spine: layers, and distances to any bone, the vertebral bodies, the muscle."""

    layers: list[Layer]
    bone: Tensor
    vertebrae: Tensor
    vertebra: Vertebra
    back_muscle: Tensor
    sternum_front_mm: float
    sternum_x_mm: float


def draw_skeleton(rng: np.random.Generator, chest: Chest, heart: Heart, body: BodyRanges) -> Skeleton:
    """Spine with discs and processes, ribs with costal cartilage, sternum down to the xiphoid."""
    cortical = rng.uniform(*body.cortical_hu)
    marrow = rng.uniform(*body.trabecular_hu) + smooth_noise(rng, chest.frame, 5.0) * rng.uniform(25, 80)
    marrow = marrow.clamp(min=-20.0)
    muscle = _back_muscle(rng, chest)
    half_y = rng.uniform(13, 18)
    vertebra = Vertebra(
        middle_x_mm=chest.midline_mm,
        middle_y_mm=chest.spine_front_mm + half_y,
        half_x_mm=rng.uniform(17, 24),
        half_y_mm=half_y,
        pitch_mm=rng.uniform(23, 31),
        phase=rng.random(),
    )
    spine_layers, vertebrae, processes = _spine(rng, chest, vertebra, marrow, cortical)
    lower = (float(heart.centre_mm[0]) - chest.frame.axis(0)).clamp(-30, 60)
    bony = (rng.uniform(0.45, 0.8) + 0.006 * lower - chest.angle) * 60  # the lower, the longer the cartilage
    rib_layers, ribs = _ribs(rng, chest, bony, marrow, cortical)
    breastbone = draw_breastbone(rng, heart, chest.midline_mm, chest.front_mm, chest.wall_mm)
    sternum_layers, sternum = sternal_layers(rng, breastbone, chest.frame, marrow, cortical)
    cartilage, soft = cartilage_layers(rng, breastbone, chest.frame, chest.cavity, bony)
    bones = (vertebrae, processes, ribs, sternum, soft)  # calcified, cartilage looks like bone
    bone = torch.stack([part.expand(chest.frame.shape) for part in bones]).amin(dim=0)
    back = Layer(distance=muscle, hu=rng.uniform(*body.muscle_hu))
    return Skeleton(
        layers=[back, *spine_layers, *rib_layers, *cartilage, *sternum_layers],
        bone=bone,
        vertebrae=vertebrae,
        vertebra=vertebra,
        back_muscle=muscle,
        sternum_front_mm=breastbone.middle_y_mm - breastbone.half_y_mm,
        sternum_x_mm=breastbone.middle_x_mm,
    )


def _back_muscle(rng: np.random.Generator, chest: Chest) -> Tensor:
    """Muscle around the vertebral arches, which the lungs do not reach."""
    _, y, x = chest.frame.coordinates()
    half_x, half_y = rng.uniform(34, 48), rng.uniform(28, 36)
    middle_y = chest.spine_front_mm + rng.uniform(16, 22) + half_y
    oval = torch.sqrt(((x - chest.midline_mm) / half_x) ** 2 + ((y - middle_y) / half_y) ** 2)
    return torch.maximum((oval - 1) * half_y, chest.cavity - chest.wall_mm)


def _spine(
    rng: np.random.Generator, chest: Chest, vertebra: Vertebra, marrow: Tensor, cortical: float
) -> tuple[list[Layer], Tensor, Tensor]:
    frame = chest.frame
    z, y, x = frame.coordinates()
    half_x, half_y, middle_y = vertebra.half_x_mm, vertebra.half_y_mm, vertebra.middle_y_mm
    pitch, phase = vertebra.pitch_mm, vertebra.phase
    level = torch.remainder(z / pitch + phase, 1.0)
    waist = 1 - 0.1 * torch.sin(np.pi * level)  # bodies are narrower in the middle, lips stand out at the discs
    spurs = smooth_noise(rng, frame, 11.0) * rng.uniform(0.3, 2.0)
    oval = torch.sqrt(((x - chest.midline_mm) / half_x) ** 2 + ((y - middle_y) / half_y) ** 2)
    bodies = (oval / waist - 1) * half_y + spurs
    broken = (0.7 + 0.4 * smooth_noise(rng, frame, 5.0)).clamp(0.1, 1.0)
    to_disc = (torch.remainder(level + 0.4, 1.0) - 0.5).abs() * pitch - 0.1 * pitch
    plate = ((to_disc - 0.8).abs() - rng.uniform(0.6, 1.3)).expand(frame.shape)
    disc = ((level < 0.2).float() * 3 - 1.5).expand(frame.shape)
    canal_y = middle_y + half_y + 8
    canal = torch.sqrt(((x - chest.midline_mm) / 1.2) ** 2 + (y - canal_y) ** 2) - 8
    arch = torch.maximum((canal - 3.5).abs() - 3.0, 6 - (level - 0.5).abs() * 12 - 3.0)
    spinous = torch.maximum((x - chest.midline_mm).abs() - 3.5, (y - canal_y - 25).abs() - 15)
    transverse = torch.maximum((y - canal_y - 3 - 0.25 * (x - chest.midline_mm).abs()).abs() - 5,
                               ((x - chest.midline_mm).abs() - 23).abs() - 11)  # fmt: skip
    slabs = (torch.remainder(z / pitch + phase + 0.3, 1.0) - 0.3).abs() * pitch - 7
    processes = torch.minimum(torch.maximum(torch.minimum(spinous, transverse), slabs), arch)
    layers = [
        Layer(distance=bodies, hu=marrow),
        Layer(distance=bodies, hu=cortical * 0.8, band_mm=(-rng.uniform(1.2, 3.2), 0.0), opacity=broken),
        Layer(distance=torch.maximum(bodies, -disc), hu=rng.uniform(65, 110)),
        Layer(distance=torch.maximum(bodies, plate), hu=cortical * rng.uniform(0.4, 0.9), opacity=broken),
        Layer(distance=processes, hu=rng.uniform(150, 350) + 1.5 * (marrow - marrow.mean())),
        Layer(distance=processes, hu=cortical, band_mm=(-rng.uniform(1.2, 2.4), 0.0)),
        Layer(distance=canal.expand(frame.shape), hu=30.0),
    ]
    return layers, bodies, processes


def _ribs(
    rng: np.random.Generator, chest: Chest, bony: Tensor, marrow: Tensor, cortical: float
) -> tuple[list[Layer], Tensor]:
    """Ribs where ``bony`` is negative; further to the front they are cartilage."""
    z, _, x = chest.frame.coordinates()
    pitch, slope = rng.uniform(23, 32), rng.uniform(16, 34)
    side = 0.5 * (x > chest.midline_mm).float() * rng.uniform(-0.3, 0.3)
    level = torch.remainder((z - slope * (chest.angle - 1.6)) / pitch + rng.random() + side, 1.0)
    depth = (chest.cavity - rng.uniform(3.5, 6.5)).abs() - rng.uniform(2.5, 4.2)
    ribs = torch.maximum((level - 0.5).abs() * pitch - rng.uniform(4.5, 7), depth)
    ribs = torch.maximum(ribs, bony)
    layers = [
        Layer(distance=ribs, hu=marrow),
        Layer(distance=ribs, hu=cortical, band_mm=(-rng.uniform(1.2, 2.2), 0.0)),
    ]
    return layers, ribs
