"""Training samples of the fine network: fields cut from prepared cases, bent and made noisier. Never mirrored."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from model.labels import Territory
from model.network import CONTEXT_SLICES, UNet
from model.preprocess import AIR_HU, fine_input, offsets_mm
from train.bending import Bend, stack
from train.cohort import Cohort, Prepared
from train.config import Aims, Augmentation
from train.disturbance import agent, brightest, grain, narrow, noise_bank, scanner
from train.losses import THRESHOLD_HU, FineBatch, fine_losses
from train.planting import change, plant, plaques

_WITH_CALCIUM = 0.7
_OFTEN: Final = {
    Territory.LM: 0.16,
    Territory.LAD: 0.2,
    Territory.LCX: 0.18,
    Territory.RCA: 0.18,
    Territory.AV: 0.1,
    Territory.TA: 0.08,
    Territory.CONFUSER: 0.1,
}

Sample = tuple[Tensor, Tensor, Tensor, Tensor, bool]


class FineTask:
    """Which vessel a candidate belongs to, slice by slice."""

    def __init__(self, cohort: Cohort, augmentation: Augmentation, seed: int, aims: Aims | None = None) -> None:
        self._cases = cohort.cases
        self._augmentation = augmentation
        self._aims = aims or Aims()
        self._seed = seed
        self._slices = [_slices_with(case) for case in cohort.cases]
        self._noise = noise_bank(np.random.default_rng((seed, 1)))
        self._plaques = plaques(cohort.cases, np.random.default_rng((seed, 4)))

    def batch(self, step: int, size: int, device: torch.device) -> FineBatch:
        """Fields of one step."""
        rng = np.random.default_rng((self._seed, 2, step))
        samples = [self._sample(rng) for _ in range(size)]
        images, hu, bright, labels, scored = (list(column) for column in zip(*samples, strict=True))
        stacked = torch.stack(labels).to(device)
        return FineBatch(
            image=limited(torch.cat(images), self._aims).to(device).contiguous(memory_format=torch.channels_last),
            hu=torch.stack(hu).to(device),
            bright=torch.stack(bright).to(device),
            calcium=stacked[:, 0],
            territory=stacked[:, 1],
            anatomy=stacked[:, 2],
            scored=torch.tensor(scored, device=device),
        )

    def losses(self, network: UNet, batch: FineBatch) -> dict[str, Tensor]:
        """See :func:`train.losses.fine_losses`."""
        return fine_losses(network.split(network(batch.image)), batch, self._aims)

    def _choose(self, rng: Generator) -> tuple[Prepared, int]:
        classes, shares = list(_OFTEN), np.array(list(_OFTEN.values()))
        while True:
            number = int(rng.integers(len(self._cases)))
            case = self._cases[number]
            if rng.random() >= _WITH_CALCIUM:
                return case, int(rng.integers(len(case.hu)))
            wanted = classes[int(rng.choice(len(classes), p=shares / shares.sum()))]
            slices = self._slices[number][wanted]
            if slices.size:
                return case, int(rng.choice(slices))
            if not any(group.size for group in self._slices[number].values()):
                return case, int(rng.integers(len(case.hu)))

    def _sample(self, rng: Generator) -> Sample:
        plan = self._augmentation
        case, middle = self._choose(rng)
        bend = Bend.draw(rng, plan)
        source, seen = stack(case, middle, rng, plan)
        calcium = case.calcium[seen]
        change(source, calcium, rng, plan)
        if rng.random() < plan.planted_share:
            plant(source, case, middle, self._plaques, rng)
        grid = bend.grid(case)
        hu = F.grid_sample((torch.from_numpy(source) - AIR_HU)[None], grid, align_corners=False)[0] + AIR_HU
        layers = np.stack([calcium[CONTEXT_SLICES], case.territory[middle], case.anatomy[middle]])
        labels = F.grid_sample(
            torch.from_numpy(layers.astype(np.float32))[None], grid, mode="nearest", align_corners=False
        )[0].long()
        contrast = bool(rng.random() < plan.contrast)
        if contrast:
            hu = hu + agent(labels[2], rng)
        hu = scanner(hu, rng, plan) + grain(self._noise, len(hu), rng, plan)
        if rng.random() < plan.narrow_share:
            hu, labels = narrow(hu, labels, rng)
        where = self._where(rng, case, middle, bend)
        seen_hu = hu[CONTEXT_SLICES]
        return fine_input(hu[None], where, THRESHOLD_HU), seen_hu, brightest(seen_hu, rng, plan), labels, not contrast

    def _where(self, rng: Generator, case: Prepared, middle: int, bend: Bend) -> Tensor:
        """Position channels by a localiser that is a little wrong."""
        plan = self._augmentation
        height = (middle - float(case.centre[0])) * float(case.spacing_mm[0]) + rng.normal(0.0, plan.centre_sd_mm)
        centre = bend.centre() + rng.normal(0.0, plan.centre_sd_mm, 2)
        where = offsets_mm(
            torch.tensor(centre[None].copy(), dtype=torch.float32), torch.tensor([height], dtype=torch.float32)
        )
        return torch.zeros_like(where) if rng.random() < plan.no_position else where


def limited(image: Tensor, aims: Aims) -> Tensor:
    """The labeller's input (batch, FINE_CHANNELS, ...) without what it shall do without."""
    slices = 2 * CONTEXT_SLICES + 1
    if not aims.context:
        image[:, :slices] = image[:, CONTEXT_SLICES : CONTEXT_SLICES + 1].clone()
    if not aims.candidate:
        image[:, slices] = 0.0
    if not aims.position:
        image[:, slices + 1 :] = 0.0
    return image


def _slices_with(case: Prepared) -> dict[Territory, NDArray[np.int64]]:
    return {label: np.flatnonzero(case.present[:, label]) for label in _OFTEN}
