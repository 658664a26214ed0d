"""The baseline: a plain 2D U-Net over whole slices, with softmax over n + 1 classes and a weighted Dice loss.

After Singh, G. et al., "End-to-End, Pixel-Wise Vessel-Specific Coronary and Aortic Calcium Detection and Scoring Using
Deep Learning", Diagnostics 2021, 11(2), 215. Kept: 16 filters doubling over five levels, one slice at a time, rotation,
shear, shift and zoom. Not the same: it is trained on the phantoms that our networks are trained on, which are prepared
at 1 mm, so by default it sees 256 x 256 pixels of 1 mm; 512 x 512 pixels of 0.5 mm (``pixels = 512``) hold no finer
detail then, and want a GPU. Class weights and the extent of the augmentation are ours.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor

from model import scoring
from model.definition import definition_for
from model.lesions import CalciumMask, Lesion, Vessel
from model.network import NetworkConfig, UNet, folded, paper_network
from model.preprocess import AIR_HU, Millimetre, Upright, crop
from model.scoring import Definition, Scores
from model.volume import CtVolume
from train.cohort import Cohort, Prepared

FIELD_MM: Final = 256
CLASSES: Final = 1 + len(Vessel)
_BACKGROUND_WEIGHT: Final = 0.1
_ABSENT_WEIGHT: Final = 0.1
_WITH_CALCIUM: Final = 0.8
_POSITIVE_HU: Final = 70
_BATCH: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SliceBatch:
    """Slices (batch, 1, pixels, pixels) in units of 500 HU, and their labels (batch, pixels, pixels)."""

    image: Tensor
    labels: Tensor


class BaselineTask:
    """Calcium by vessel, slice by slice, without anything around it."""

    def __init__(self, cohort: Cohort, pixels: int, seed: int) -> None:
        self._cases = cohort.cases
        self._pixels = pixels
        self._seed = seed
        self._slices = [np.flatnonzero(case.present[:, 1 : len(Vessel) + 1].any(axis=1)) for case in cohort.cases]

    def batch(self, step: int, size: int, device: torch.device) -> SliceBatch:
        """Slices of one step."""
        rng = np.random.default_rng((self._seed, 6, step))
        samples = [self._sample(rng) for _ in range(size)]
        return SliceBatch(
            image=_input(torch.cat([image for image, _ in samples])).to(device),
            labels=torch.cat([labels for _, labels in samples]).to(device),
        )

    def losses(self, network: UNet, batch: SliceBatch) -> dict[str, Tensor]:
        """See :func:`weighted_dice`."""
        return {"loss": weighted_dice(network(batch.image).float(), batch.labels)}

    def _sample(self, rng: Generator) -> tuple[Tensor, Tensor]:
        number = int(rng.integers(len(self._cases)))
        case, slices = self._cases[number], self._slices[number]
        wanted = bool(slices.size) and rng.random() < _WITH_CALCIUM
        k = int(rng.choice(slices)) if wanted else int(rng.integers(len(case.hu)))
        grid = _grid(case, rng, self._pixels)
        hu = torch.from_numpy(case.hu[k].astype(np.float32))[None, None]
        shown = F.grid_sample(hu - AIR_HU, grid, align_corners=False)[0] + AIR_HU
        shown = shown + torch.from_numpy(rng.normal(0, rng.uniform(0, 15), shown.shape).astype(np.float32))
        calcium = np.where((case.calcium[k] < CLASSES) & (case.hu[k] >= _POSITIVE_HU), case.calcium[k], 0)
        truth = torch.from_numpy(calcium.astype(np.float32))[None, None]
        return shown, F.grid_sample(truth, grid, mode="nearest", align_corners=False)[0].long()


def _grid(case: Prepared, rng: Generator, pixels: int) -> Tensor:
    """Rotation, shear, shift and zoom about the slice's middle. Never mirrored: vessels have sides."""
    _, rows, columns = case.hu.shape
    angle, shear = np.deg2rad(rng.uniform(-15, 15)), rng.uniform(-0.1, 0.1)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.array([[1.0, shear], [0.0, 1.0]]) / rng.uniform(0.85, 1.15)
    line = ((np.arange(pixels) + 0.5) / pixels - 0.5) * FIELD_MM
    places = np.stack(np.meshgrid(line, line, indexing="xy"), axis=-1) @ matrix.T + rng.normal(0, 10, 2)
    scaled = places * 2 / np.array([columns * case.spacing_mm[2], rows * case.spacing_mm[1]])
    return torch.from_numpy(scaled.astype(np.float32))[None]


def _input(hu: Tensor) -> Tensor:
    return (hu.clamp(-1000.0, 1000.0) / 500.0)[:, None]


def weighted_dice(logits: Tensor, labels: Tensor) -> Tensor:
    """1 - Dice of the softmax (batch, classes, rows, columns), over the batch, mean over classes by weight.

    With squares in the denominator (Milletari et al. 2016), and little weight on what the batch does not hold: with a
    plain sum and even weights the network learned to call nothing at all, which is right for most vessels in any one
    slice, and never left it.
    """
    chances = logits.softmax(dim=1)
    truth = F.one_hot(labels, logits.shape[1]).movedim(-1, 1).to(chances.dtype)
    both = (chances * truth).sum(dim=(0, 2, 3))
    there = truth.sum(dim=(0, 2, 3))
    dice = (2 * both + 1.0) / (chances.square().sum(dim=(0, 2, 3)) + there + 1.0)
    weights = torch.where(there > 0, 1.0, _ABSENT_WEIGHT)
    weights[0] = _BACKGROUND_WEIGHT
    return 1 - (weights * dice).sum() / weights.sum()


def baseline_network() -> NetworkConfig:
    """The paper's network with a class for background and one a vessel."""
    return paper_network(CLASSES)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BaselineReading:
    """What the baseline makes of a scan."""

    mask: CalciumMask
    scores: Scores
    lesions: tuple[Lesion, ...]
    definition: Definition


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BaselineReader:
    """Reads scans by the baseline's network; what it labels counts from the threshold on, by the area rule."""

    network: UNet
    pixels: int
    device: torch.device

    @classmethod
    def load(cls, path: Path, device: torch.device) -> Self:
        """Load what :func:`save` wrote: a ``.safetensors`` file with its ``.json`` beside it."""
        values = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        network = UNet(NetworkConfig.from_dict(values["network"]))
        network.load_state_dict(load_file(path))
        return cls(network=folded(network).to(device), pixels=int(values["pixels"]), device=device)

    @torch.inference_mode()
    def read(self, volume: CtVolume) -> BaselineReading:
        """Label and score a scan; raises :class:`model.preprocess.OrientationError` if it is no axial stack."""
        definition = definition_for(kvp=volume.kvp)
        upright = Upright.of(volume)
        labels = self._labels(Millimetre.of(upright, self.device), (upright.grid.shape[1], upright.grid.shape[2]))
        labels[upright.hu < definition.threshold_hu] = 0
        places = np.argwhere(labels > 0).T
        native = np.zeros(volume.grid.shape, dtype=np.uint8)
        native[tuple(upright.native_index(places))] = labels[tuple(places)]
        mask = scoring.keep(volume, CalciumMask(labels=native, grid=volume.grid), definition)
        return BaselineReading(
            mask=mask,
            scores=scoring.score(volume, mask, definition),
            lesions=scoring.lesions(volume, mask, definition),
            definition=definition,
        )

    def _labels(self, scan: Millimetre, size: tuple[int, int]) -> NDArray[np.uint8]:
        """Vessel of every voxel of the upright scan (slices, rows, columns), whatever its HU."""
        _, rows, columns = scan.hu.shape
        corner = ((rows - FIELD_MM) // 2, (columns - FIELD_MM) // 2)
        field = crop(scan.hu, corner, FIELD_MM)
        labels = np.zeros((len(field), *size), dtype=np.uint8)
        at = [
            scan.pixel_of(axis, np.arange(count)) - first
            for axis, (count, first) in enumerate(zip(size, corner, strict=True))
        ]
        inside = [np.flatnonzero((place >= 0) & (place < FIELD_MM)) for place in at]
        chosen = np.ix_(at[0][inside[0]], at[1][inside[1]])
        for first in range(0, len(field), _BATCH):
            image = _input(field[first : first + _BATCH])
            image = F.interpolate(image, size=(self.pixels, self.pixels), mode="bilinear", align_corners=False)
            logits = F.interpolate(self.network(image), size=(FIELD_MM, FIELD_MM), mode="area")
            found = logits.max(1).indices.to(torch.uint8).cpu().numpy()
            for k, best in enumerate(found, start=first):
                labels[k][np.ix_(inside[0], inside[1])] = best[chosen]
        return labels


def save(path: Path, network: UNet, pixels: int, experiment: dict[str, Any]) -> None:
    """Write a trained baseline: ``path`` (``.safetensors``) and a ``.json`` beside it that describes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, path)
    values = {"network": asdict(network.config), "pixels": pixels, "experiment": experiment}
    path.with_suffix(".json").write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
