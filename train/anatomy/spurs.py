"""What wear adds to a spine: bridging spurs, dense end plates, a calcified ligament; and the heads of the ribs.

All of it is bone. Spurs reach towards the descending aorta and stop at most a few millimetres from its wall, where
their cortex is easily taken for calcium of the aorta.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from train.anatomy.frame import Frame, smooth_noise
from train.anatomy.layers import Layer
from train.anatomy.ranges import BodyRanges
from train.anatomy.thorax import Skeleton, Vertebra

_DISC_HALF = 0.1  # of the pitch


def wear(rng: np.random.Generator, skeleton: Skeleton, aorta_wall: Tensor, frame: Frame, body: BodyRanges) -> Skeleton:
    """The skeleton with rib heads and, at the drawn rates, signs of wear; none of it inside ``aorta_wall``."""
    clear = rng.uniform(*body.spur_gap_mm) - aorta_wall  # negative where bone may be
    cortical = rng.uniform(*body.cortical_hu)
    parts = [_rib_heads(rng, skeleton.vertebra, frame)]
    if rng.random() < body.spurs:
        parts.append(_spurs(rng, skeleton, frame, body))
    if rng.random() < body.calcified_ligament:
        parts.append(_ligament(rng, skeleton, frame))
    layers, bone = list(skeleton.layers), skeleton.bone
    for part in parts:
        kept = torch.maximum(part, clear)
        # the vertebra stays as it was drawn, but its cortex goes over into the spur
        outside = torch.maximum(kept, -1.5 - skeleton.vertebrae)
        layers.append(Layer(distance=outside, hu=rng.uniform(150, 0.8 * cortical)))
        layers.append(Layer(distance=outside, hu=cortical, band_mm=(-rng.uniform(0.9, 1.8), 0.0)))
        bone = torch.minimum(bone, kept)
    if rng.random() < body.sclerotic_plates:
        rim = (_to_disc_mm(skeleton.vertebra, frame) - _DISC_HALF * skeleton.vertebra.pitch_mm - 1.2).abs() - 1.5
        layers.append(Layer(distance=torch.maximum(skeleton.vertebrae, rim), hu=rng.uniform(250, 700), opacity=0.8))
    return replace(skeleton, layers=layers, bone=bone)


def _to_disc_mm(vertebra: Vertebra, frame: Frame) -> Tensor:
    level = frame.axis(0) / vertebra.pitch_mm + vertebra.phase - _DISC_HALF
    return (torch.remainder(level + 0.5, 1.0) - 0.5).abs() * vertebra.pitch_mm


def _spurs(rng: np.random.Generator, skeleton: Skeleton, frame: Frame, body: BodyRanges) -> Tensor:
    """Lips at the discs along front and sides, grown together over the disc where they are broad."""
    vertebra = skeleton.vertebra
    _, y, _ = frame.coordinates()
    lips = torch.exp(-((_to_disc_mm(vertebra, frame) / rng.uniform(4, 13)) ** 2))
    uneven = (0.5 + 0.6 * smooth_noise(rng, frame, 16.0)).clamp(0, 1.5)
    grown = skeleton.vertebrae - rng.uniform(*body.spur_mm) * lips * uneven
    return torch.maximum(grown, y - vertebra.middle_y_mm - 0.6 * vertebra.half_y_mm)


def _ligament(rng: np.random.Generator, skeleton: Skeleton, frame: Frame) -> Tensor:
    _, y, _ = frame.coordinates()
    sheet = (skeleton.vertebrae - rng.uniform(1.0, 2.5)).abs() - rng.uniform(0.8, 1.8)
    patches = (smooth_noise(rng, frame, 22.0) - rng.uniform(-0.3, 0.8)) * 6
    return torch.maximum(
        torch.maximum(sheet, patches), y - skeleton.vertebra.middle_y_mm + 0.3 * skeleton.vertebra.half_y_mm
    )


def _rib_heads(rng: np.random.Generator, vertebra: Vertebra, frame: Frame) -> Tensor:
    """A neck on either side from the body's hind corner outwards and backwards, at the height of each disc."""
    _, y, x = frame.coordinates()
    start = np.array([vertebra.middle_y_mm + rng.uniform(0.2, 0.6) * vertebra.half_y_mm, 0.85 * vertebra.half_x_mm])
    along = np.array([rng.uniform(14, 24), rng.uniform(20, 30)])
    out_x, out_y = (x - vertebra.middle_x_mm).abs() - float(start[1]), y - float(start[0])
    share = ((out_y * float(along[0]) + out_x * float(along[1])) / float(along @ along)).clamp(0, 1)
    apart = torch.sqrt((out_y - share * float(along[0])) ** 2 + (out_x - share * float(along[1])) ** 2)
    return torch.maximum(apart - rng.uniform(3.0, 5.0), _to_disc_mm(vertebra, frame) - rng.uniform(4.0, 6.5))
