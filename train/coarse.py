"""Training of the localiser: whole scans of every extent, bent and made noisier. Never mirrored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from model.labels import Organ
from model.network import UNet
from train.cohort import Cohort, Prepared
from train.config import Augmentation
from train.solids import solids


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CoarseBatch:
    """Volumes (batch, 1, z, y, x) in units of 500 HU and organs (batch, z, y, x)."""

    image: Tensor
    organs: Tensor


class CoarseTask:
    """Where the heart is, over whole scans of every extent; now and then a phantom of plastic, which has none."""

    shape: Final = (48, 64, 64)

    def __init__(self, cohort: Cohort, augmentation: Augmentation, seed: int) -> None:
        self._cases = cohort.cases
        self._augmentation = augmentation
        self._seed = seed

    def batch(self, step: int, size: int, device: torch.device) -> CoarseBatch:
        """Volumes of one step."""
        rng = np.random.default_rng((self._seed, 3, step))
        samples = [self._sample(rng) for _ in range(size)]
        images = torch.stack([image for image, _ in samples])[:, None]
        return CoarseBatch(
            image=(images.clamp(-1000.0, 1000.0) / 500.0).to(device),
            organs=torch.stack([organs for _, organs in samples]).to(device),
        )

    def losses(self, network: UNet, batch: CoarseBatch) -> dict[str, Tensor]:
        """See :func:`coarse_losses`."""
        return coarse_losses(network(batch.image), batch.organs)

    def _sample(self, rng: Generator) -> tuple[Tensor, Tensor]:
        plan = self._augmentation
        if rng.random() < plan.solids:
            hu, organs = (torch.from_numpy(values) for values in solids(rng, self.shape))
        else:
            hu, organs = self._scan(rng)
        hu = hu * float(1 + rng.normal(0.0, plan.gain_sd)) + float(rng.normal(0.0, plan.offset_sd_hu))
        return hu + torch.from_numpy(rng.standard_normal(hu.shape).astype(np.float32)) * float(
            rng.uniform(0, 15)
        ), organs

    def _scan(self, rng: Generator) -> tuple[Tensor, Tensor]:
        """A case, turned and scaled, seen through a random box."""
        plan = self._augmentation
        case = self._cases[int(rng.integers(len(self._cases)))]
        size, target = np.array(case.organs.shape), np.array(self.shape)
        bend = _bend(rng, plan)
        theta = np.zeros((3, 3))
        theta[:2, :2] = bend
        theta[2, 2] = rng.uniform(0.9, 1.12)
        # the scan begins at the box's first voxel, as when reading; some of it is cut off at either end
        start, stop = _box(case, rng)
        shift = (target - size) / 2 + start
        lines = [np.arange(n) - (n - 1) / 2 for n in self.shape]
        z, y, x = np.meshgrid(*lines, indexing="ij")
        offset = np.stack([x, y, z], axis=-1) @ theta.T + shift[::-1]
        places = (offset + (size[::-1] - 1) / 2 + 0.5) * 2 / size[::-1] - 1
        grid = torch.from_numpy(places.astype(np.float32))[None]
        image = torch.from_numpy(case.coarse_hu.astype(np.float32))[None, None]
        organs = torch.from_numpy(case.organs.astype(np.float32))[None, None]
        hu = F.grid_sample(image + 1000.0, grid, align_corners=False)[0, 0] - 1000.0
        label = F.grid_sample(organs, grid, mode="nearest", align_corners=False)[0, 0].long()
        for axis, width in enumerate(np.clip(stop - start, 1, target).astype(int).tolist()):
            hu.narrow(axis, width, int(target[axis]) - width).fill_(-1000.0)
            label.narrow(axis, width, int(target[axis]) - width).fill_(Organ.OTHER)
        if rng.random() < plan.contrast:
            blood = ((label == Organ.AORTA) | (label == Organ.HEART) | (label == Organ.PULMONARY_ARTERY)).float()
            hu = hu + blood * float(rng.uniform(60, 350))
        return hu, label


def _box(case: Prepared, rng: Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """First and last voxel (z, y, x) of the scan that are seen: a field of 160-260 mm, some slices cut off."""
    size = np.array(case.organs.shape)
    middle = case.centre / np.array(case.hu.shape) * size
    field = rng.uniform(40, 66)
    start = middle + rng.normal(0, 4, 3) - field / 2
    stop = start + field
    start[0], stop[0] = 0, size[0]
    if rng.random() < 0.5:
        start[0] = rng.uniform(0, 10)
    if rng.random() < 0.4:
        stop[0] -= rng.uniform(0, 10)
    return np.clip(start, 0, size - 8), np.clip(stop, 8, size)


def _bend(rng: Generator, plan: Augmentation) -> NDArray[np.float64]:
    """2 x 2 map from field offsets to case offsets (x, y)."""
    angle = np.deg2rad(rng.normal(0.0, plan.rotation_sd_deg))
    scale = 1.0 / rng.uniform(*plan.scale)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    stretch = scale * np.exp(rng.normal(0.0, 0.03, 2))
    return np.asarray(turn @ np.diag(stretch))


def coarse_losses(logits: Tensor, organs: Tensor) -> dict[str, Tensor]:
    """Losses of the localiser: cross entropy of all organs and the heart's Dice, over (batch, classes, z, y, x)."""
    values = logits.float()
    entropy = F.cross_entropy(values, organs)
    heart = values.softmax(1)[:, Organ.HEART]
    truth = (organs == Organ.HEART).float()
    axes = (1, 2, 3)
    overlap = 2 * (heart * truth).sum(axes) + 100.0
    dice = 1 - (overlap / (heart.sum(axes) + truth.sum(axes) + 100.0)).mean()
    return {"loss": entropy + dice, "entropy": entropy, "dice": dice}
