"""Training samples of the fine network: fields cut from prepared cases, bent and made noisier. Never mirrored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from model.labels import Anatomy, Territory
from model.network import CONTEXT_SLICES, UNet
from model.preprocess import AIR_HU, FIELD, context_slices, fine_input, offsets_mm
from train.cohort import Cohort, Prepared
from train.config import Augmentation
from train.losses import fine_losses

_BLOOD: Final = (*range(Anatomy.LEFT_VENTRICLE, Anatomy.DESCENDING_AORTA + 1),)
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FineBatch:
    """Inputs and labels of a batch of fields; shapes as in :func:`train.losses.fine_losses`."""

    image: Tensor
    hu: Tensor
    calcium: Tensor
    territory: Tensor
    anatomy: Tensor
    scored: Tensor


class FineTask:
    """Which vessel a candidate belongs to, slice by slice."""

    def __init__(self, cohort: Cohort, augmentation: Augmentation, seed: int) -> None:
        self._cases = cohort.cases
        self._augmentation = augmentation
        self._seed = seed
        self._slices = [_slices_with(case) for case in cohort.cases]
        self._noise = noise_bank(np.random.default_rng((seed, 1)))

    def batch(self, step: int, size: int, device: torch.device) -> FineBatch:
        """Fields of one step."""
        rng = np.random.default_rng((self._seed, 2, step))
        samples = [self._sample(rng) for _ in range(size)]
        images, hu, labels, scored = (list(column) for column in zip(*samples, strict=True))
        stacked = torch.stack(labels).to(device)
        return FineBatch(
            image=torch.cat(images).to(device).contiguous(memory_format=torch.channels_last),
            hu=torch.stack(hu).to(device),
            calcium=stacked[:, 0],
            territory=stacked[:, 1],
            anatomy=stacked[:, 2],
            scored=torch.tensor(scored, device=device),
        )

    def losses(self, network: UNet, batch: FineBatch) -> dict[str, Tensor]:
        """See :func:`train.losses.fine_losses`."""
        heads = network.split(network(batch.image))
        return fine_losses(heads, batch.hu, batch.calcium, batch.territory, batch.anatomy, batch.scored)

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

    def _sample(self, rng: Generator) -> tuple[Tensor, Tensor, Tensor, bool]:
        plan = self._augmentation
        case, middle = self._choose(rng)
        bend = _bend(rng, plan)
        shift = rng.normal(0.0, plan.shift_sd_mm, 2)
        seen = context_slices(middle, len(case.hu), float(case.spacing_mm[0]))
        grid = _grid(case, bend, shift)
        images = torch.from_numpy(case.hu[seen].astype(np.float32))
        hu = F.grid_sample((images - AIR_HU)[None], grid, align_corners=False)[0] + AIR_HU
        layers = np.stack([case.calcium[middle], case.territory[middle], case.anatomy[middle]])
        labels = F.grid_sample(
            torch.from_numpy(layers.astype(np.float32))[None], grid, mode="nearest", align_corners=False
        )[0].long()
        scored = True
        if rng.random() < plan.contrast:
            scored = False
            hu = hu + _agent(labels[2], rng)
        hu = _scanner(hu, rng, plan)
        hu = hu + self._grain(rng, hu.shape[0])
        if rng.random() < 0.5:
            hu, labels = _narrow(hu, labels, rng)
        height = (middle - float(case.centre[0])) * float(case.spacing_mm[0]) + rng.normal(0.0, plan.centre_sd_mm)
        wobble = rng.normal(0.0, plan.centre_sd_mm, 2)
        # the field's pixel that shows the heart's centre: the shift moved it there, the localiser is a little wrong
        centre = (FIELD - 1) / 2 - np.linalg.solve(bend, shift) + wobble
        where = offsets_mm(
            torch.tensor(centre[None].copy(), dtype=torch.float32), torch.tensor([height], dtype=torch.float32)
        )
        if rng.random() < plan.no_position:
            where = torch.zeros_like(where)
        return fine_input(hu[None], where, 130.0), hu[CONTEXT_SLICES], labels, scored

    def _grain(self, rng: Generator, count: int) -> Tensor:
        low, high = self._augmentation.noise_hu
        sd = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        sheet = self._noise[int(rng.integers(len(self._noise)))]
        first = int(rng.integers(sheet.shape[0] - count + 1))
        row, column = (int(rng.integers(sheet.shape[1] - FIELD + 1)) for _ in range(2))
        return sheet[first : first + count, row : row + FIELD, column : column + FIELD] * sd


def _slices_with(case: Prepared) -> dict[Territory, NDArray[np.int64]]:
    return {label: np.flatnonzero((case.calcium == label).any(axis=(1, 2))) for label in _OFTEN}


def _bend(rng: Generator, plan: Augmentation) -> NDArray[np.float64]:
    """2 x 2 map from field offsets to case offsets (x, y)."""
    angle = np.deg2rad(rng.normal(0.0, plan.rotation_sd_deg))
    scale = 1.0 / rng.uniform(*plan.scale)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    stretch = scale * np.exp(rng.normal(0.0, 0.03, 2))
    return np.asarray(turn @ np.diag(stretch))


def _grid(case: Prepared, bend: NDArray[np.float64], shift: NDArray[np.float64]) -> Tensor:
    """Sampling grid (1, FIELD, FIELD, 2) around the heart's centre moved by ``shift`` (x, y) in case pixels."""
    _, rows, columns = case.hu.shape
    line = np.arange(FIELD) - (FIELD - 1) / 2
    x, y = np.meshgrid(line, line, indexing="xy")
    across = bend[0, 0] * x + bend[0, 1] * y + shift[0] + case.centre[2]
    down = bend[1, 0] * x + bend[1, 1] * y + shift[1] + case.centre[1]
    places = np.stack([(across + 0.5) * 2 / columns - 1, (down + 0.5) * 2 / rows - 1], axis=-1)
    return torch.from_numpy(places.astype(np.float32))[None]


def _agent(anatomy: Tensor, rng: Generator) -> Tensor:
    """Contrast agent in the blood."""
    blood = torch.isin(anatomy, torch.tensor(_BLOOD)).float()
    return F.avg_pool2d(blood[None], 5, stride=1, padding=2) * float(rng.uniform(60, 350))


def _scanner(hu: Tensor, rng: Generator, plan: Augmentation) -> Tensor:
    """Another scanner's sharpness, gain and offset."""
    blurred = F.avg_pool2d(F.pad(hu[None], [1] * 4, mode="replicate"), 3, stride=1)[0]
    hu = hu + (hu - blurred) * float(rng.uniform(-0.6, 0.5))
    return hu * float(1 + rng.normal(0.0, plan.gain_sd)) + float(rng.normal(0.0, plan.offset_sd_hu))


def _narrow(hu: Tensor, labels: Tensor, rng: Generator) -> tuple[Tensor, Tensor]:
    """A smaller field of view: air outside it."""
    half = rng.uniform(74, 98)
    middle = rng.normal((FIELD - 1) / 2, 5.0, 2)
    low = np.clip(middle - half, 0, FIELD).astype(int)
    high = np.clip(middle + half, 0, FIELD).astype(int)
    inside = torch.zeros(FIELD, FIELD, dtype=torch.bool)
    inside[low[0] : high[0], low[1] : high[1]] = True
    return torch.where(inside, hu, torch.tensor(AIR_HU)), labels * inside


def noise_bank(rng: Generator, sheets: int = 10, slices: int = 8, size: int = 256) -> Tensor:
    """Band-limited noise of unit SD (sheets, slices, size, size); CT noise peaks near 0.2 cycles/mm."""
    across = np.fft.fftfreq(size)[:, None]
    along = np.fft.rfftfreq(size)[None]
    frequency = np.hypot(across, along)
    made = np.empty((sheets, slices, size, size), dtype=np.float32)
    for number in range(sheets):
        edge, rise = rng.uniform(0.3, 0.55), rng.uniform(0.04, 0.2)
        power = np.exp(-((frequency / edge) ** 2)) * frequency / (frequency + rise)
        white = np.fft.rfft2(rng.standard_normal((slices, size, size)))
        grain = np.fft.irfft2(white * power, s=(size, size))
        made[number] = grain / grain.std()
    return torch.from_numpy(made)
