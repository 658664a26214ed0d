"""What fills spaces that are empty in health: pleural and pericardial fluid, dense lung, a hiatal hernia."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from train.anatomy.abdomen import Abdomen
from train.anatomy.frame import smooth_noise
from train.anatomy.heart import Heart
from train.anatomy.layers import Layer
from train.anatomy.mediastinum import Mediastinum
from train.anatomy.ranges import BodyRanges
from train.anatomy.thorax import Chest


def lung_layers(rng: np.random.Generator, lung: Tensor, chest: Chest, body: BodyRanges) -> list[Layer]:
    """Lung that is denser towards the back, and fluid behind it; to be painted over the lungs."""
    layers: list[Layer] = []
    _, y, x = chest.frame.coordinates()
    back = chest.centre_y_mm + chest.half_depth_mm
    if rng.random() < body.dependent_lung:
        rim = lung + rng.uniform(3, 22) + smooth_noise(rng, chest.frame, 20.0) * 5  # > 0 near the lung's border
        rim = torch.maximum(lung, -rim)
        front, span = back - rng.uniform(15, 60), rng.uniform(10, 40)
        graded = ((y - front + 6 * smooth_noise(rng, chest.frame, 18.0)) / span).clamp(0, 1)  # no line at its front
        layers.append(Layer(distance=rim, hu=rng.uniform(-600, -50), opacity=graded * rng.uniform(0.3, 1.0)))
    if rng.random() < body.pleural_fluid:
        level = back - rng.uniform(5, 45) + 6 * torch.cos((x - chest.midline_mm) / 35) + chest.frame.axis(0) * 0.25
        side = (x - chest.midline_mm) * float(rng.choice([-1.0, 1.0])) if rng.random() < 0.5 else torch.zeros_like(x)
        fluid = torch.maximum(torch.maximum(lung, level - y), side)
        layers.append(Layer(distance=fluid, hu=rng.uniform(0, 35)))
    return layers


def hernia_layers(
    rng: np.random.Generator, parts: Mediastinum, organs: Abdomen, heart: Heart, body: BodyRanges
) -> list[Layer]:
    """Dense contents of the oesophagus, and stomach that has slid up behind the heart, with food or contrast in it."""
    layers: list[Layer] = []
    frame = heart.frame
    if rng.random() < body.dense_gullet:
        core = parts.oesophagus + rng.uniform(2.0, 4.0) + smooth_noise(rng, frame, 20.0) * 1.5
        core = torch.maximum(torch.maximum(core, 2 - parts.descending), 1 - heart.pericardium)
        layers.append(Layer(distance=core, hu=rng.uniform(90, 450)))
    if rng.random() < body.hernia:
        z = frame.axis(0) - float(heart.low_mm[0]) - rng.uniform(-5, 25)
        sac = parts.oesophagus - rng.uniform(8, 22) * torch.exp(-((z / rng.uniform(15, 28)) ** 2))
        sac = torch.maximum(torch.maximum(sac, 2 - parts.descending), 2 - heart.pericardium)
        food = smooth_noise(rng, frame, 9.0) * rng.uniform(5, 70) + rng.uniform(10, 160)
        layers += [Layer(distance=sac, hu=40.0), Layer(distance=sac + 3, hu=food)]
        if rng.random() < 0.6:
            depth = frame.axis(1) - float(heart.high_mm[1]) - rng.uniform(0, 12)
            layers.append(Layer(distance=torch.maximum(sac + 3.5, depth), hu=-850.0))
    if rng.random() < body.dense_stomach:
        dense = smooth_noise(rng, frame, 8.0) * 90 + rng.uniform(80, 400)
        seat = torch.maximum(torch.maximum(organs.stomach + 4, 1 - organs.gas), organs.below)
        layers.append(Layer(distance=seat, hu=dense, opacity=rng.uniform(0.4, 1.0)))
    return layers


def pericardial_layers(rng: np.random.Generator, heart: Heart, body: BodyRanges) -> list[Layer]:
    """Fluid between heart and pericardium: at the back, and around the great vessels where the sac ends."""
    if rng.random() >= body.pericardial_fluid:
        return []
    uneven = smooth_noise(rng, heart.frame, 25.0)
    depth = rng.uniform(1.0, 7.0) * (0.4 + 0.6 * uneven).clamp(0, 1.5)
    low = (heart.frame.axis(1) - float(heart.centre_mm[1])) * 0.06  # supine: fluid gathers behind
    film = torch.maximum(heart.pericardium, -heart.pericardium - depth - low.clamp(-2, 4))
    return [Layer(distance=film, hu=rng.uniform(0, 30))]
