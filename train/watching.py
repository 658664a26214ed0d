"""How a labeller does on a few prepared cases it is not trained on, bright spot by bright spot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from model.labels import Territory
from model.lesions import CORONARIES, Vessel
from model.network import UNet
from model.preprocess import FIELD, context_slices, crop, fine_input, offsets_mm
from train.cohort import Prepared
from train.config import Aims
from train.losses import THRESHOLD_HU, FineBatch, fine_losses
from train.patches import limited

_CORONARY: Final = tuple(vessel.label for vessel in CORONARIES)
_BATCH: Final = 8
_EIGHT: Final = np.ones((3, 3), dtype=np.bool_)

Calls = NDArray[np.int64]
"""(n, 2) true territory and the territory called, of each 2D component of bright pixels."""


class Watch:
    """Tries a labeller on prepared cases; give it to :class:`train.loop.Sitting`."""

    def __init__(self, cases: Sequence[Prepared], aims: Aims) -> None:
        self._cases = cases
        self._aims = aims

    @torch.no_grad()
    def __call__(self, network: UNet) -> dict[str, float]:
        """Mean loss, and the shares of :func:`shares`."""
        device = next(network.parameters()).device
        training = network.training
        network.eval()
        calls, losses = [], []
        for case in self._cases:
            for first in range(0, len(case.hu), _BATCH):
                batch = fields(case, range(first, min(first + _BATCH, len(case.hu))), self._aims, device)
                heads = network.split(network(batch.image))
                losses.append(float(fine_losses(heads, batch, self._aims)["loss"]))
                calls.append(_calls(heads["territory"].float().cpu().numpy(), batch))
        network.train(training)
        return {"loss": float(np.mean(losses)), **shares(np.concatenate(calls), len(self._cases))}


def fields(case: Prepared, slices: range, aims: Aims, device: torch.device) -> FineBatch:
    """Fields around the heart's centre as they are read, without augmentation."""
    scan = torch.from_numpy(case.hu.astype(np.float32))
    corner = (round(case.centre[1] - (FIELD - 1) / 2), round(case.centre[2] - (FIELD - 1) / 2))
    hu = crop(scan, corner)
    spacing = float(case.spacing_mm[0])
    seen = torch.stack([hu[context_slices(k, len(hu), spacing)] for k in slices])
    heights = torch.tensor([(k - float(case.centre[0])) * spacing for k in slices])
    middle = torch.tensor([[float(case.centre[2]) - corner[1], float(case.centre[1]) - corner[0]]])
    where = offsets_mm(middle.expand(len(slices), 2), heights)
    image = limited(fine_input(seen, where, THRESHOLD_HU), aims)
    labels = [_layer(layer, corner)[slices.start : slices.stop] for layer in (case.calcium, case.territory)]
    anatomy = _layer(case.anatomy, corner)[slices.start : slices.stop]
    shown = hu[slices.start : slices.stop].to(device)
    return FineBatch(
        image=image.to(device),
        hu=shown,
        bright=shown,
        calcium=labels[0].to(device),
        territory=labels[1].to(device),
        anatomy=anatomy.to(device),
        scored=torch.ones(len(slices), dtype=torch.bool, device=device),
    )


def _layer(labels: NDArray[np.uint8], corner: tuple[int, int]) -> torch.Tensor:
    moved = crop(torch.from_numpy(labels.astype(np.float32)) + 1, corner).clamp(min=1) - 1
    return moved.long()


def _calls(logits: NDArray[np.float32], batch: FineBatch) -> Calls:
    """True and called territory of every component of bright pixels; a component is calcium if any of it is."""
    hu, calcium = batch.hu.cpu().numpy(), batch.calcium.cpu().numpy()
    chances = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances /= chances.sum(axis=1, keepdims=True)
    found = []
    for k, image in enumerate(hu):
        number, count = ndimage.label(image >= THRESHOLD_HU, _EIGHT)
        places = number > 0
        group = number[places] - 1
        mean = np.stack([np.bincount(group, chances[k, c][places], count) for c in range(len(Territory))], axis=1)
        votes = np.zeros((count, len(Territory)), dtype=np.int64)
        np.add.at(votes, (group, calcium[k][places]), 1)
        votes[:, 0] = np.where(votes[:, 1:].any(axis=1), 0, 1)
        found.append(np.stack([votes.argmax(axis=1), mean.argmax(axis=1)], axis=1))
    return np.concatenate(found)


def shares(calls: Calls, cases: int) -> dict[str, float]:
    """Figures of a list of components.

    Returns
    -------
    "found": coronary components called coronary; "right": those of them given the right vessel; "false": components
    without coronary calcium called coronary, a case; and each vessel's components called that vessel, by its name.
    Where there is nothing to divide by, a figure is left out.

    """
    truth, called = calls.T
    coronary, as_coronary = np.isin(truth, _CORONARY), np.isin(called, _CORONARY)
    both = coronary & as_coronary
    figures: dict[str, float] = {"false": float((as_coronary & ~coronary).sum() / max(cases, 1))}
    parts: Mapping[str, tuple[NDArray[np.bool_], NDArray[np.bool_]]] = {
        "found": (as_coronary, coronary),
        "right": (called == truth, both),
        **{str(vessel): (called == truth, truth == vessel.label) for vessel in Vessel},
    }
    for name, (good, among) in parts.items():
        if among.any():
            figures[name] = float(good[among].mean())
    return figures
