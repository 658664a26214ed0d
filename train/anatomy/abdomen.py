"""Under the diaphragm: liver, stomach, spleen, fat, bowel gas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from train.anatomy.frame import smooth_noise
from train.anatomy.heart import Heart
from train.anatomy.layers import Layer
from train.anatomy.ranges import BodyRanges
from train.anatomy.thorax import Chest


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Abdomen:
    """``below`` is the signed height over the diaphragm (negative under it); organs are signed distances."""

    below: Tensor
    liver: Tensor
    stomach: Tensor
    gas: Tensor
    spleen: Tensor


def draw_abdomen(rng: np.random.Generator, heart: Heart, chest: Chest, back_muscle: Tensor) -> Abdomen:
    """Two domes, the right one higher; the liver fills the right and reaches over, the stomach lies left behind."""
    frame = heart.frame
    y, x = frame.axis(1), frame.axis(2)
    floor = float(heart.low_mm[0])
    right = floor + (8 + 47 * rng.beta(1.3, 2.0))
    left = right - rng.uniform(-4, 28)
    below = _over_diaphragm(rng, heart, chest, back_muscle, (right, left))
    midline_gap = chest.midline_mm + rng.uniform(10, 60) + smooth_noise(rng, frame, 40.0) * 8
    lean = rng.uniform(0.1, 0.5) * (y - chest.centre_y_mm) + rng.uniform(0.0, 0.8) * (frame.axis(0) - floor)
    bulge = rng.uniform(0.0, 0.012) * (y - float(heart.centre_mm[1])) ** 2
    liver = torch.maximum(below + 2, (x - midline_gap + lean + bulge) * 0.8)
    front_fat = chest.front_mm + rng.uniform(0, 30) - y
    liver = torch.maximum(liver, front_fat + smooth_noise(rng, frame, 40.0) * 6)
    bed = np.array(
        [left - rng.uniform(25, 55), chest.centre_y_mm + rng.uniform(0, 35), chest.midline_mm + rng.uniform(45, 80)]
    )
    axes = np.array([rng.uniform(28, 50), rng.uniform(24, 42), rng.uniform(24, 42)])
    stomach = _ellipsoid(frame.coordinates(), bed, axes) + smooth_noise(rng, frame, 30.0) * 4
    stomach = torch.maximum(torch.maximum(stomach, below + 3), 2 - liver)
    gas = torch.maximum(stomach + 3, y - (bed[1] - rng.uniform(-5, 25)))  # supine: gas rises to the front
    home = np.array(
        [left - rng.uniform(30, 60), chest.centre_y_mm + rng.uniform(30, 55), chest.midline_mm + rng.uniform(85, 115)]
    )
    spleen = _ellipsoid(frame.coordinates(), home, np.array([rng.uniform(35, 55), 32.0, 24.0]))
    spleen = torch.maximum(torch.maximum(spleen, below + 2), 2 - stomach)
    return Abdomen(below=below, liver=liver, stomach=stomach, gas=gas, spleen=spleen)


def _beside(heart: Heart, chest: Chest) -> Tensor:
    """Distance in plane from the line between the heart's middle and the crura, over which no lung reaches across."""
    _, y, x = heart.frame.coordinates()
    start = heart.centre_mm[1:]
    along = np.array([chest.spine_front_mm - 42, chest.midline_mm - 22]) - start
    off_y, off_x = y - float(start[0]), x - float(start[1])
    share = ((off_y * float(along[0]) + off_x * float(along[1])) / float(along @ along)).clamp(0, 1)
    return torch.sqrt((off_y - share * float(along[0])) ** 2 + (off_x - share * float(along[1])) ** 2)


def _over_diaphragm(
    rng: np.random.Generator, heart: Heart, chest: Chest, back_muscle: Tensor, tops: tuple[float, float]
) -> Tensor:
    """Signed height over the diaphragm: a dome on each side, the heart's seat, deep recesses at the back and sides."""
    frame = heart.frame
    z, _, x = frame.coordinates()
    inward = torch.minimum(-chest.cavity, back_muscle)  # from wall and back muscle
    towards_back = ((1 - torch.cos(chest.angle)) / 2) ** 1.5
    drop = rng.uniform(2, 22) * (1 - towards_back) + rng.uniform(55, 110) * towards_back
    reach = rng.uniform(42, 66)
    near = (1 - inward / reach).clamp(0, 1.4)
    half = chest.half_width_mm / 2
    domes = []
    for top, side in zip(tops, (-1.0, 1.0), strict=True):
        off = (x - chest.midline_mm - side * half * rng.uniform(0.8, 1.1)) / half
        domes.append(top - rng.uniform(14, 34) * off**2)
    dome = torch.maximum(*domes) + smooth_noise(rng, frame, 40.0, "z") * 3.0 - drop * near**2
    apart = _beside(heart, chest)
    seat = float(heart.low_mm[0]) + rng.uniform(4, 12) - (apart - 43).clamp(min=0) * rng.uniform(0.5, 1.1)
    slope = torch.where(dome > seat, 2 * drop * near / reach, torch.full_like(dome, 0.8))
    return (z - torch.maximum(dome, seat)) / torch.sqrt(1.3 + slope**2)


def abdominal_layers(
    rng: np.random.Generator, organs: Abdomen, chest: Chest, body: BodyRanges, fat_hu: float
) -> list[Layer]:
    """Paint the abdomen inside the chest wall; the heart is painted over it later."""
    frame = chest.frame
    inside = chest.cavity

    def within(distance: Tensor) -> Tensor:
        return torch.maximum(distance, inside)

    strands = smooth_noise(rng, frame, 7.0)
    food = smooth_noise(rng, frame, 12.0) * rng.uniform(5, 60) + rng.uniform(0, 60)
    layers = [
        Layer(distance=within(organs.below), hu=rng.uniform(20, 50)),
        Layer(distance=within(organs.below + rng.uniform(2.0, 4.0)), hu=fat_hu + strands * 12),
        Layer(distance=within(organs.spleen), hu=rng.uniform(38, 58)),
        Layer(distance=within(organs.stomach), hu=45.0),
        Layer(distance=within(organs.stomach + 3), hu=food),
    ]
    if rng.random() < 0.75:
        layers.append(Layer(distance=within(organs.gas), hu=-900.0))
    layers.append(
        Layer(distance=within(organs.liver), hu=rng.uniform(*body.liver_hu) + smooth_noise(rng, frame, 10.0) * 3)
    )
    if rng.random() < 0.4:
        bowel = smooth_noise(rng, frame, 26.0) * 12 + 14
        loops = torch.maximum(torch.maximum(bowel, organs.below + 8), 4 - torch.minimum(organs.liver, organs.stomach))
        layers.append(Layer(distance=within(loops), hu=35.0))
        layers.append(Layer(distance=within(loops + 3), hu=-850.0))
    return layers


def _ellipsoid(coordinates: tuple[Tensor, Tensor, Tensor], centre: np.ndarray, axes: np.ndarray) -> Tensor:
    squares = [((axis - float(centre[k])) / float(axes[k])) ** 2 for k, axis in enumerate(coordinates)]
    return (torch.sqrt(squares[0] + squares[1] + squares[2]) - 1) * float(axes.mean())
