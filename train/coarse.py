"""Training of the localiser: whole scans of every extent, bent and made noisier. Never mirrored."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from torch import Tensor

from model.labels import Organ
from model.network import UNet
from model.preprocess import COARSE_MM
from train.cohort import paths
from train.config import Augmentation
from train.neck import necked
from train.solids import solids
from train.views import UNKNOWN, Views, Volume, draw_bend, draw_box, framed, see, within
from train.wide import WIDE, wide_paths

_CONTRAST = 0.18  # more often than for the labeller: the node must find the heart to say that there is agent in it
_BLOOD: Final = (Organ.HEART, Organ.ROOT, Organ.AORTA, Organ.PULMONARY_ARTERY)
_BELLY: Final = (Organ.ABDOMEN, Organ.STOMACH, Organ.DIAPHRAGM)
_SOFT_HU = -20.0

# most of a scan is lung, liver and what has no name; the small ones are what aortic calcium is judged by
_WEIGHT: Final = {
    Organ.OTHER: 0.6,
    Organ.HEART: 1.0,
    Organ.AORTA: 2.0,
    Organ.PULMONARY_ARTERY: 1.5,
    Organ.ABDOMEN: 0.6,
    Organ.STOMACH: 1.0,
    Organ.LUNG: 0.5,
    Organ.BONE: 1.2,
    Organ.ROOT: 2.0,
    Organ.DIAPHRAGM: 1.0,
}
_SMOOTH = 60.0  # voxels; an organ that is hardly in view must not outweigh the others


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CoarseBatch:
    """Volumes (batch, 1, z, y, x) in units of 500 HU and organs (batch, z, y, x), :data:`UNKNOWN` outside the scan."""

    image: Tensor
    organs: Tensor


class CoarseTask:
    """Where the heart is, over whole scans of every extent; now and then a phantom of plastic, which has none."""

    shape: Final = (48, 64, 64)
    wide_shape: Final = (72, 88, 88)

    def __init__(
        self, volumes: Sequence[Volume], augmentation: Augmentation, seed: int, views: Views | None = None
    ) -> None:
        self._volumes = volumes
        self._augmentation = augmentation
        self._seed = seed
        self._views = views or Views()

    @classmethod
    def of_run(cls, run: Path, augmentation: Augmentation, seed: int) -> Self:
        """Read the prepared cases and whole chests of a run; raises FileNotFoundError if there is none."""
        files = [*paths(run / "cases"), *wide_paths(run / WIDE)]
        if not files:
            raise FileNotFoundError(f"no prepared cases in {run}")
        return cls(tuple(Volume.read(file) for file in files), augmentation, seed)

    def batch(self, step: int, size: int, device: torch.device) -> CoarseBatch:
        """Volumes of one step; every fourth is of half as many, larger ones."""
        rng = np.random.default_rng((self._seed, 3, step))
        shape, count = (self.wide_shape, max(1, size // 2)) if step % 4 == 3 else (self.shape, size)
        samples = [self._sample(rng, shape) for _ in range(count)]
        images = torch.stack([image for image, _ in samples])[:, None]
        return CoarseBatch(
            image=(images.clamp(-1000.0, 1000.0) / 500.0).to(device),
            organs=torch.stack([organs for _, organs in samples]).to(device),
        )

    def losses(self, network: UNet, batch: CoarseBatch) -> dict[str, Tensor]:
        """See :func:`coarse_losses`."""
        return coarse_losses(network(batch.image), batch.organs)

    def _sample(self, rng: Generator, shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
        plan = self._augmentation
        if rng.random() < plan.solids:
            box = draw_box(rng, self._views, shape)
            hu, organs = (torch.from_numpy(values) for values in solids(rng, box.size))
            hu, organs = framed(hu, organs, box, shape)
        else:
            hu, organs = self._scan(rng, shape)
        outside = organs == UNKNOWN
        hu = hu * float(1 + rng.normal(0.0, plan.gain_sd)) + float(rng.normal(0.0, plan.offset_sd_hu))
        return grained(hu, rng).masked_fill(outside, -1000.0), organs

    def _scan(self, rng: Generator, shape: tuple[int, int, int]) -> tuple[Tensor, Tensor]:
        volume = self._volumes[int(rng.integers(len(self._volumes)))]
        bend = draw_bend(rng, self._views)
        box = within(draw_box(rng, self._views, shape), bend, volume)
        hu, organs = see(rng, volume, box, bend, rng.uniform(*self._views.elastic_mm) / COARSE_MM)
        hu = tinted(hu, organs, rng)
        # the lungs' tops lie 90 to 150 mm above the middle of a heart of average size
        level = float(box.heart[0] + rng.uniform(90.0, 150.0) / COARSE_MM / bend[0, 0])
        if level < len(hu) - 1 and rng.random() < self._views.neck:
            hu, organs = necked(hu, organs, level, rng)
        return framed(hu, organs, box, shape)


def tinted(hu: Tensor, organs: Tensor, rng: Generator) -> Tensor:
    """Contrast agent in the blood, not the same in every chamber; fatty or enhanced livers."""
    soft = ((hu - _SOFT_HU) / 30.0).clamp(0.0, 1.0)
    if rng.random() < _CONTRAST:
        knots = torch.from_numpy(rng.uniform(0.3, 1.0, (1, 1, 3, 4, 4)).astype(np.float32))
        share = F.interpolate(knots, size=tuple(hu.shape), mode="trilinear", align_corners=True)[0, 0]
        hu = hu + soft * share * _among(organs, _BLOOD) * float(rng.uniform(50.0, 400.0))
    if rng.random() < 0.4:
        hu = hu + soft * _among(organs, _BELLY) * float(rng.normal(0.0, 25.0))
    return hu


def grained(hu: Tensor, rng: Generator) -> Tensor:
    """Noise of two grain sizes, blur, and slices thicker than the voxels."""
    if rng.random() < 0.4:
        soft = F.avg_pool3d(hu[None, None], 3, stride=1, padding=1, count_include_pad=False)[0, 0]
        hu = torch.lerp(hu, soft, float(rng.uniform(0.2, 1.0)))
    fine, broad = (torch.from_numpy(rng.standard_normal(hu.shape, dtype=np.float32)) for _ in range(2))
    broad = F.avg_pool3d(broad[None, None], 3, stride=1, padding=1)[0, 0] * 5.0
    hu = hu + fine * float(rng.uniform(0.0, 14.0)) + broad * float(rng.uniform(0.0, 8.0))
    if rng.random() < 0.2:
        fewer = round(len(hu) * rng.uniform(0.6, 0.9))
        thick = F.interpolate(hu[None, None], size=(fewer, *hu.shape[1:]), mode="area")
        hu = F.interpolate(thick, size=tuple(hu.shape), mode="nearest")[0, 0]
    return hu


def _among(organs: Tensor, chosen: Iterable[Organ]) -> Tensor:
    return torch.isin(organs, torch.tensor([*chosen]))


def coarse_losses(logits: Tensor, organs: Tensor) -> dict[str, Tensor]:
    """Losses of the localiser over (batch, classes, z, y, x): weighted cross entropy, and Dice of every organ.

    Dice is that of the whole batch; the heart's counts as much as all others together. Voxels of :data:`UNKNOWN` are
    left out.
    """
    values = logits.float()
    weight = torch.tensor([_WEIGHT[organ] for organ in Organ], device=values.device)
    entropy = F.cross_entropy(values, organs, weight=weight, ignore_index=UNKNOWN)
    known = organs != UNKNOWN
    truth = F.one_hot(organs.clamp(min=0), len(Organ)).movedim(-1, 1) * known[:, None]
    share = values.softmax(1) * known[:, None]
    axes = (0, 2, 3, 4)
    both, sizes = (share * truth).sum(axes), share.sum(axes) + truth.sum(axes)
    dice = 1 - (2 * both + _SMOOTH) / (sizes + _SMOOTH)
    heart = dice[Organ.HEART]
    others = (dice.sum() - heart) / (len(Organ) - 1)
    return {"loss": entropy + heart + others, "entropy": entropy, "dice": heart, "others": others}
