"""What lies between the lungs besides the heart: fat, aorta, oesophagus, airways, hilar vessels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from train.anatomy.frame import Array, Frame, resample, smooth_noise, smooth_union, tube
from train.anatomy.heart import Heart
from train.anatomy.layers import Layer
from train.anatomy.thorax import Chest, Skeleton, Vertebra

# Atlas mm (z, y, x); the carina lies above the left atrium, behind the ascending aorta.
_CARINA = np.array([47.0, 33.0, -8.0])
_RIGHT_BRONCHUS = np.array(
    [[47.0, 33.0, -8.0], [38.0, 38.0, -24.0], [30.0, 42.0, -40.0], [8.0, 52.0, -48.0], [-15.0, 62.0, -55.0]]
)
_LEFT_BRONCHUS = np.array(
    [[47.0, 33.0, -8.0], [38.0, 38.0, 10.0], [30.0, 46.0, 30.0], [10.0, 56.0, 42.0], [-15.0, 64.0, 52.0]]
)
_HILA = (np.array([24.0, 34.0, -46.0]), np.array([28.0, 44.0, 46.0]))
_ARCH_END = np.array([48.0, 46.0, 16.0])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Mediastinum:
    """Distances on the lattice.

    ``retrocrural`` is the fat around aorta and spine, which the abdomen's organs stay clear of. ``hila`` are the two
    lung roots (z, y, x) in the case, right first.
    """

    outline: Tensor
    retrocrural: Tensor
    descending: Tensor
    descending_lumen: Tensor
    oesophagus: Tensor
    azygos: Tensor
    airway_wall: Tensor
    airway: Tensor
    hilar: Tensor
    hila: tuple[Array, Array]
    carina_mm: Array


def draw_mediastinum(rng: np.random.Generator, heart: Heart, chest: Chest, skeleton: Skeleton) -> Mediastinum:
    """Place aorta, oesophagus, azygos vein, airways and lung roots, and wrap them with the heart in fat."""
    frame = heart.frame
    z, y, x = frame.coordinates()
    aorta_wall, aorta = _descending(rng, heart, skeleton.vertebra)
    gullet_x = (
        chest.midline_mm + rng.uniform(-9, 7) + rng.uniform(-0.08, 0.12) * z + smooth_noise(rng, frame, 60.0, "yx")
    )
    gullet_y = chest.spine_front_mm - rng.uniform(6, 12) + smooth_noise(rng, frame, 60.0, "yx") * 1.5
    gullet_y = torch.maximum(gullet_y, float(heart.high_mm[1]) + 2 - 0.0 * z)
    oesophagus = torch.sqrt(((x - gullet_x) / 1.4) ** 2 + (y - gullet_y) ** 2) - rng.uniform(4, 7)
    azygos = torch.sqrt(
        (x - chest.midline_mm + rng.uniform(4, 14)) ** 2 + (y - chest.spine_front_mm + rng.uniform(1, 5)) ** 2
    )
    azygos = azygos - rng.uniform(2.5, 4.5)
    airway, carina = _airways(rng, heart)
    hila = tuple(heart.pose.to_case(point + rng.standard_normal(3) * 4)[0] for point in _HILA)
    hilar = torch.minimum(*[_lung_root(rng, frame, hilum, side) for hilum, side in zip(hila, (-1, 1), strict=True)])
    strip = rng.uniform(4, 14) + rng.uniform(0.1, 0.7) * (y - chest.front_mm).clamp(min=0)  # widens to the vessels
    rise = (z - float(heart.centre_mm[0]) - 15).clamp(min=0)  # the vessels lie further back than the heart
    reach = heart.low_mm[1] + rng.uniform(8, 30) + 0.7 * rise
    behind_sternum = torch.maximum((x - chest.midline_mm - 4).abs() - strip, y - reach)
    paraspinal = torch.maximum((x - chest.midline_mm - 4).abs() - rng.uniform(10, 20), heart.centre_mm[1] + 12 - y)
    paraspinal = torch.maximum(paraspinal, y - chest.spine_front_mm)
    members = [
        heart.pericardium - rng.uniform(0.5, 6.0), heart.vessels() - rng.uniform(1, 6), heart.cavae - 2,
        aorta_wall - rng.uniform(0.5, 4), skeleton.vertebrae - rng.uniform(1, 5), oesophagus - 2, airway - 4, hilar - 1,
        behind_sternum, paraspinal,
    ]  # fmt: skip
    around = [aorta_wall - rng.uniform(0.5, 3), skeleton.vertebrae - rng.uniform(0.5, 3), oesophagus - 0.5, azygos - 1]
    retrocrural = smooth_union(frame, around, 4.0) + rng.uniform(0, 2)
    outline = smooth_union(frame, members, 4.0) + smooth_noise(rng, frame, 30.0) * 1.5
    return Mediastinum(
        outline=outline, retrocrural=retrocrural, descending=aorta_wall, descending_lumen=aorta,
        oesophagus=oesophagus.expand(frame.shape),
        azygos=azygos.expand(frame.shape), airway_wall=airway - rng.uniform(1.0, 2.0), airway=airway, hilar=hilar,
        hila=(hila[0], hila[1]), carina_mm=carina,
    )  # fmt: skip


def crural_layers(rng: np.random.Generator, parts: Mediastinum, below: Tensor, fat_hu: float) -> list[Layer]:
    """The diaphragm's crura around the fat that holds aorta and spine, under the diaphragm (``below`` negative)."""
    crus = torch.maximum(parts.retrocrural - rng.uniform(1.5, 5.0), below)
    return [
        Layer(distance=crus, hu=rng.uniform(35, 55)),
        Layer(distance=torch.maximum(parts.retrocrural, below), hu=fat_hu + 5),
    ]


def mediastinal_layers(rng: np.random.Generator, parts: Mediastinum, heart: Heart, blood_hu: float) -> list[Layer]:
    """Paint what lies outside the pericardium; the fat around it is there already."""
    frame = heart.frame
    layers = [
        Layer(distance=parts.hilar, hu=blood_hu + rng.uniform(-3, 12)),
        Layer(distance=parts.oesophagus, hu=rng.uniform(25, 45)),
        Layer(distance=parts.azygos, hu=blood_hu),
        Layer(distance=parts.descending, hu=blood_hu + rng.uniform(-2, 6)),
    ]
    if rng.random() < 0.4:
        gas = parts.oesophagus + rng.uniform(3.0, 5.0) + smooth_noise(rng, frame, 30.0, "yx").expand(frame.shape) * 1.5
        layers.append(Layer(distance=gas, hu=-700.0))
    outside_heart = 1.5 - heart.vessels()
    layers.append(Layer(distance=torch.maximum(parts.airway_wall, outside_heart), hu=45.0))
    layers.append(Layer(distance=torch.maximum(parts.airway, outside_heart + 1), hu=-960.0))
    return layers


def _descending(rng: np.random.Generator, heart: Heart, spine: Vertebra) -> tuple[Tensor, Tensor]:
    """Aorta from the arch's end down the left side of the spine and on to its front."""
    frame = heart.frame
    z, y, x = frame.coordinates()
    radius = rng.uniform(9.5, 15.5) * heart.pose.scale**0.5
    arch = heart.pose.to_case(_ARCH_END)[0]
    drop = ((float(arch[0]) - z) / 90).clamp(0, 1.6)  # 0 at the arch, 1 behind the heart's lower border
    # it leans on the vertebral bodies: at the arch on their left, further down more and more on their front
    around = np.deg2rad(rng.uniform(35, 75)) - np.deg2rad(rng.uniform(5, 25)) * drop
    gap = radius + rng.uniform(1.0, 6.0)
    middle_x = spine.middle_x_mm + (spine.half_x_mm + gap) * torch.sin(around)
    middle_y = spine.middle_y_mm - (spine.half_y_mm + gap) * torch.cos(around)
    middle_x = middle_x + smooth_noise(rng, frame, 70.0, "yx")
    middle_y = middle_y - smooth_noise(rng, frame, 70.0, "yx").abs()
    narrowing = radius * (1 - 0.08 * drop)
    wall = torch.sqrt((x - middle_x) ** 2 + (y - middle_y) ** 2) - narrowing + smooth_noise(rng, frame, 25.0) * 0.5
    return wall, wall + rng.uniform(1.2, 2.2)


def _airways(rng: np.random.Generator, heart: Heart) -> tuple[Tensor, Array]:
    shift = rng.standard_normal(3) * np.array([5.0, 2.0, 3.0])
    trachea = np.array([_CARINA + np.array([60.0, -14.0, 0.0]), _CARINA])
    parts = []
    for path, radius in (
        (trachea, rng.uniform(7, 9.5)),
        (_RIGHT_BRONCHUS, rng.uniform(5, 7)),
        (_LEFT_BRONCHUS, rng.uniform(4.5, 6.5)),
    ):
        points = resample(heart.pose.to_case(path + shift), 2.0)
        taper = np.linspace(1.0, 0.55 if path is not trachea else 1.0, len(points))
        parts.append(tube(heart.frame, points, radius * taper))
    return torch.stack(parts).amin(dim=0), heart.pose.to_case(_CARINA + shift)[0]


def _lung_root(rng: np.random.Generator, frame: Frame, hilum: Array, side: int) -> Tensor:
    """Arteries and veins of one lung root; right is -1, left +1 along x."""
    parts = []
    for _ in range(rng.integers(4, 8)):
        direction = np.array([rng.normal(-0.2, 0.6), rng.normal(0.2, 0.5), side * rng.uniform(0.4, 1.2)])
        direction /= np.linalg.norm(direction)
        steps = np.arange(0.0, rng.uniform(20, 45), 2.5)
        bend = np.cumsum(rng.standard_normal((len(steps), 3)) * 0.25, axis=0)
        points = hilum + rng.standard_normal(3) * 6 + steps[:, None] * direction + bend
        parts.append(tube(frame, points, np.linspace(rng.uniform(4, 7), 2.5, len(steps)), reach_mm=6.0))
    return torch.stack(parts).amin(dim=0)
