"""What the networks are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from model.labels import Anatomy, Territory

# LM is small and easily given to the LAD; aortic calcium is plenty and easy
_TERRITORY_WEIGHT: Final = {
    Territory.LM: 2.0,
    Territory.LAD: 1.0,
    Territory.LCX: 1.3,
    Territory.RCA: 1.0,
    Territory.AV: 1.0,
    Territory.TA: 0.7,
    Territory.CONFUSER: 1.0,
}
_HARD_NEGATIVES: Final = (*(a for a in Anatomy if 1 <= a <= 7), Anatomy.EPICARDIAL)
_DENSE, _ANATOMY, _CALCIUM = 1.0, 0.6, 0.5


def fine_losses(
    heads: Mapping[str, Tensor], hu: Tensor, calcium: Tensor, territory: Tensor, anatomy: Tensor, scored: Tensor
) -> dict[str, Tensor]:
    """Losses of the fine network.

    Calcium weighs the same for every vessel; candidates that are none weigh more inside the heart, where they are hard
    to tell; the dense territories and the anatomy teach the network where it is.

    Parameters
    ----------
    heads
        "territory", "anatomy", "calcium" logits (batch, classes, rows, columns).
    hu
        (batch, rows, columns) of the slice to label.
    calcium, territory, anatomy
        Labels (batch, rows, columns), int64.
    scored
        (batch,) bool: False for scans with contrast agent, in which only the anatomy is learned.

    """
    logits = heads["territory"].float()
    entropy = F.cross_entropy(logits, torch.where(calcium > 0, calcium, territory), reduction="none")
    against = F.cross_entropy(logits, torch.zeros_like(calcium), reduction="none")
    learn = scored[:, None, None]
    candidate = (hu >= 130) & learn
    positive = (calcium > 0) & (hu >= 100) & learn
    negative = candidate & (calcium == 0)
    zero = logits.sum() * 0.0
    found, weights = zero, 0.0
    for label, weight in _TERRITORY_WEIGHT.items():
        mine = positive & (calcium == label)
        if bool(mine.any()):
            found = found + weight * entropy[mine].mean()
            weights += weight
    hard = torch.isin(anatomy, torch.tensor(_HARD_NEGATIVES, device=anatomy.device))
    share = torch.where(hard, 3.0, 1.0) * negative
    missed = (against * share).sum() / share.sum().clamp(min=1.0)
    dense_weight = torch.where(territory > 0, 4.0, 1.0) * (~negative & learn)
    dense = (entropy * dense_weight).sum() / dense_weight.sum().clamp(min=1.0)
    tissue = F.cross_entropy(heads["anatomy"].float(), anatomy)
    judged = candidate & (anatomy != Anatomy.BONE)
    known = heads["calcium"].float()[:, 0][judged]
    presence = F.binary_cross_entropy_with_logits(known, positive[judged].float()) if known.numel() else zero
    found = found / max(weights, 1e-3)
    total = found + missed + _DENSE * dense + _ANATOMY * tissue + _CALCIUM * presence
    return {"loss": total, "found": found, "missed": missed, "dense": dense, "anatomy": tissue, "calcium": presence}
