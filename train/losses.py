"""What the labeller is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from model.labels import Anatomy, Territory
from train.config import Aims

# LM is small and easily given to the LAD; aortic calcium is plenty and easy
_TERRITORY_WEIGHT: Final = {
    Territory.BACKGROUND: 0.0,
    Territory.LM: 2.0,
    Territory.LAD: 1.0,
    Territory.LCX: 1.3,
    Territory.RCA: 1.0,
    Territory.AV: 1.0,
    Territory.TA: 0.7,
    Territory.CONFUSER: 1.0,
}
_HARD_NEGATIVES: Final = (*(a for a in Anatomy if 1 <= a <= 7), Anatomy.EPICARDIAL)
_MEETING: Final = (Territory.LM, Territory.LAD, Territory.LCX)
_MEETING_PIXELS = 9
_CROWD_PIXELS = 9
THRESHOLD_HU: Final = 130.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FineBatch:
    """Fields and what is known of them.

    Attributes
    ----------
    image
        Input of the network (batch, channels, rows, columns).
    hu
        (batch, rows, columns) of the slice to label, at 1 mm.
    bright
        The same as the brightest native pixel in each pixel might be.
    calcium, territory, anatomy
        Labels (batch, rows, columns), int64.
    scored
        (batch,) bool: False for scans with contrast agent, in which only the anatomy is learned.

    """

    image: Tensor
    hu: Tensor
    bright: Tensor
    calcium: Tensor
    territory: Tensor
    anatomy: Tensor
    scored: Tensor


def fine_losses(heads: Mapping[str, Tensor], batch: FineBatch, aims: Aims) -> dict[str, Tensor]:
    """Losses of the labeller, from its "territory", "anatomy" and "calcium" logits (batch, classes, rows, columns).

    Calcium weighs the same for every vessel, and a large plaque less a pixel than a small one; bright spots that are no
    calcium weigh more inside the heart, where they are hard to tell; the dense territories and the anatomy teach the
    network where it is. Pixels beside calcium are nobody's: they may belong to it at native resolution.
    """
    logits = heads["territory"].float()
    chances = F.log_softmax(logits, dim=1)
    truth = torch.where(batch.calcium > 0, batch.calcium, batch.territory)
    entropy = _entropy(chances, truth, aims.soft_boundary)
    learn = batch.scored[:, None, None]
    positive = (batch.calcium > 0) & (batch.hu >= aims.positive_hu) & learn
    beside = F.max_pool2d((batch.calcium > 0).float()[:, None], 3, stride=1, padding=1)[:, 0] > 0
    negative = (batch.bright >= THRESHOLD_HU) & ~beside & learn
    found = _found(entropy, batch.calcium, positive)
    inside = torch.isin(batch.anatomy, torch.tensor(_HARD_NEGATIVES, device=logits.device))
    share = torch.where(inside, aims.hard_negative, 1.0) * negative
    missed = -(chances[:, Territory.BACKGROUND] * share).sum() / share.sum().clamp(min=1.0)
    dense_weight = torch.where(batch.territory > 0, 4.0, 1.0) * (~negative & learn)
    dense = (entropy * dense_weight).sum() / dense_weight.sum().clamp(min=1.0)
    tissue = F.cross_entropy(heads["anatomy"].float(), batch.anatomy)
    judged = ((negative & (batch.anatomy != Anatomy.BONE)) | positive).float()
    odds = F.binary_cross_entropy_with_logits(heads["calcium"].float()[:, 0], positive.float(), reduction="none")
    presence = (odds * judged).sum() / judged.sum().clamp(min=1.0)
    total = found + missed + aims.dense * dense + aims.anatomy * tissue + aims.calcium * presence
    return {"loss": total, "found": found, "missed": missed, "dense": dense, "anatomy": tissue, "calcium": presence}


def _entropy(chances: Tensor, truth: Tensor, soft: float) -> Tensor:
    """Cross entropy of each pixel; where LM, LAD and LCX meet, the neighbourhood has a say in the truth."""
    hard = -chances.gather(1, truth[:, None])[:, 0]
    if soft == 0:
        return hard
    three = torch.stack([truth == vessel for vessel in _MEETING], dim=1).float()
    near = F.avg_pool2d(three, _MEETING_PIXELS, stride=1, padding=_MEETING_PIXELS // 2)
    shares = near / near.sum(dim=1, keepdim=True).clamp(min=1e-6)
    shared = -(chances[:, list(_MEETING)] * shares).sum(dim=1)
    return torch.where(three.any(dim=1), torch.lerp(hard, shared, soft), hard)


def _found(entropy: Tensor, calcium: Tensor, positive: Tensor) -> Tensor:
    """Mean over the vessels that are there, by their weights."""
    here = positive.float()
    crowd = F.avg_pool2d(here[:, None], _CROWD_PIXELS, stride=1, padding=_CROWD_PIXELS // 2)[:, 0]
    share = here / (crowd * _CROWD_PIXELS**2).clamp(min=1.0).sqrt()
    count = len(Territory)
    sums = torch.zeros(count, device=entropy.device).index_add(0, calcium.flatten(), (entropy * share).flatten())
    sizes = torch.zeros(count, device=entropy.device).index_add(0, calcium.flatten(), share.flatten())
    weight = torch.tensor([_TERRITORY_WEIGHT[vessel] for vessel in Territory], device=entropy.device) * (sizes > 0)
    return (weight * sums / sizes.clamp(min=1e-6)).sum() / weight.sum().clamp(min=1e-3)
