"""The front of the chest's skeleton: the sternum with its xiphoid, and costal cartilage with its calcified shell.

Cartilages rise towards the sternum, the lower the steeper, so that a section meets several beside each other. From
middle age on their shell is calcified in patches, often 5 to 30 mm from the heart's front.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from train.anatomy.frame import Frame, smooth_noise
from train.anatomy.heart import Heart
from train.anatomy.layers import Layer

_CALCIFIED = 0.85  # share of adults with some calcium in their cartilages


@dataclass(frozen=True, slots=True, kw_only=True)
class Breastbone:
    """Middle and half axes of the sternum's body (mm), where body and xiphoid end (z), and its wall's inner front y."""

    middle_x_mm: float
    middle_y_mm: float
    half_x_mm: float
    half_y_mm: float
    body_end_mm: float
    tip_mm: float


def draw_breastbone(
    rng: np.random.Generator, heart: Heart, midline_mm: float, front_mm: float, wall_mm: float
) -> Breastbone:
    """The body ends a little under the middle of the heart, the xiphoid 10 to 32 mm further down."""
    half_y = rng.uniform(4.5, min(7.5, wall_mm / 2))
    end = float(heart.centre_mm[0]) - rng.uniform(-12, 18)
    return Breastbone(
        middle_x_mm=midline_mm + rng.uniform(-3, 3),
        middle_y_mm=front_mm - half_y - rng.uniform(0.5, 2.0),
        half_x_mm=rng.uniform(13, 21),
        half_y_mm=half_y,
        body_end_mm=end,
        tip_mm=end - rng.uniform(10, 32),
    )


def sternal_layers(
    rng: np.random.Generator, bone: Breastbone, frame: Frame, marrow: Tensor, cortical: float
) -> tuple[list[Layer], Tensor]:
    """Layers of body and xiphoid, and the distance to both."""
    z, y, x = frame.coordinates()
    taper = (0.55 + (z - bone.body_end_mm) / 45).clamp(0.5, 1.0)  # narrows towards the xiphoid
    power = rng.uniform(2.2, 4.0)
    across = ((x - bone.middle_x_mm).abs() / (bone.half_x_mm * taper)) ** power
    oval = (across + ((y - bone.middle_y_mm).abs() / bone.half_y_mm) ** power) ** (1 / power)
    body = torch.maximum((oval - 1) * bone.half_y_mm, bone.body_end_mm - z)
    xiphoid = _xiphoid(rng, bone, frame)
    broken = (0.8 + 0.4 * smooth_noise(rng, frame, 7.0)).clamp(0.2, 1.0)
    layers = [
        Layer(distance=body, hu=marrow * 0.8),
        Layer(distance=body, hu=cortical * 0.8, band_mm=(-rng.uniform(0.9, 2.2), 0.0), opacity=broken),
        Layer(distance=xiphoid, hu=rng.uniform(80, 180)),
    ]
    if rng.random() < 0.75:
        low = ((bone.tip_mm + rng.uniform(4, 30) - z) / 3).clamp(0, 1)  # calcium is most of all at the tip
        layers.append(Layer(distance=xiphoid, hu=rng.uniform(250, 700), opacity=low * broken))
    return layers, torch.minimum(body, xiphoid)


def _xiphoid(rng: np.random.Generator, bone: Breastbone, frame: Frame) -> Tensor:
    """A small plate or, at times, two prongs; often bent to the front or back."""
    z, y, x = frame.coordinates()
    down = (bone.body_end_mm - z).clamp(min=0)
    middle_y = bone.middle_y_mm + rng.uniform(-1, 2) + rng.uniform(-0.12, 0.2) * down
    half_x, half_y = rng.uniform(3.5, 8), rng.uniform(2.2, 3.8)
    aside = (x - bone.middle_x_mm - rng.uniform(-0.15, 0.15) * down).abs()
    if rng.random() < 0.35:
        aside, half_x = (aside - 2 - rng.uniform(0.1, 0.4) * down).abs(), 0.6 * half_x
    narrowed = half_x * (1 - 0.5 * down / (bone.body_end_mm - bone.tip_mm)).clamp(min=0.4)
    oval = (torch.sqrt((aside / narrowed) ** 2 + ((y - middle_y) / half_y) ** 2) - 1) * half_y
    return torch.maximum(oval, torch.maximum(bone.tip_mm - z, z - bone.body_end_mm - 2))


def cartilage_layers(
    rng: np.random.Generator, bone: Breastbone, frame: Frame, cavity: Tensor, bony: Tensor
) -> tuple[list[Layer], Tensor]:
    """Layers of the cartilages and the distance to them; ``bony`` is negative where ribs are of bone."""
    cartilage = torch.maximum(_cartilages(rng, bone, frame, cavity), -bony)
    layers = [Layer(distance=cartilage, hu=rng.uniform(75, 150))]
    if rng.random() >= _CALCIFIED:
        return layers, cartilage
    amount = rng.uniform(-1.1, 0.5)  # most have little, some an unbroken shell
    patches = ((smooth_noise(rng, frame, rng.uniform(4, 8)) + amount) * 2.2).clamp(0, 1)
    shell = rng.uniform(300, 900)
    layers.append(Layer(distance=cartilage, hu=shell, band_mm=(-rng.uniform(1.0, 1.9), 0.0), opacity=patches))
    if rng.random() < 0.4:
        core = (smooth_noise(rng, frame, 6.0) - rng.uniform(0.2, 1.2)).clamp(0, 1)
        layers.append(Layer(distance=cartilage + 1.2, hu=rng.uniform(160, 500), opacity=core))
    return layers, cartilage


def _cartilages(rng: np.random.Generator, bone: Breastbone, frame: Frame, cavity: Tensor) -> Tensor:
    z, _, x = frame.coordinates()
    side = x - bone.middle_x_mm
    aside = side.abs()
    under = bone.body_end_mm - z  # below the body's end the arch opens
    steepness = rng.uniform(0.25, 0.55) + rng.uniform(0.006, 0.012) * (under + 25).clamp(0, 60)
    pitch = rng.uniform(15, 23)
    shift = rng.random() + torch.sign(side) * rng.uniform(0, 0.25)
    level = torch.remainder((z + steepness * (aside - bone.half_x_mm)) / pitch + shift, 1.0)
    half, thick = rng.uniform(0.3, 0.42) * pitch, rng.uniform(3.8, 5.6)
    depth = cavity - rng.uniform(0.5, 2.5) - thick
    oval = torch.sqrt((((level - 0.5) * pitch) / half) ** 2 + (depth / thick) ** 2)
    inner = bone.half_x_mm * (1.0 + rng.uniform(0.02, 0.15)) - 9 * (under / 15).clamp(0, 1)
    inner = inner + rng.uniform(0.3, 0.9) * (under - 18).clamp(min=0)
    return torch.maximum((oval - 1) * min(half, thick), inner - aside)
