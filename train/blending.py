"""A network between two: the mean of their weights.

A labeller that is trained on from another loses some of what the other could on images that neither was trained on; the
mean of both keeps most of the old and of the new (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models"). Only
for networks of which one began as the other: between strangers lies nothing.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from model.network import UNet


def blended(first: UNet, second: UNet, share: float) -> UNet:
    """A copy with ``share`` of the second network's weights and the rest of the first's; wants :func:`renormalised`.

    Raises
    ------
    ValueError
        The networks are of different kinds, or the share is not between 0 and 1.

    """
    if first.config != second.config:
        raise ValueError("only networks of one configuration can be blended")
    if not 0 <= share <= 1:
        raise ValueError(f"a share lies between 0 and 1, not {share:g}")
    network, other = copy.deepcopy(first), second.state_dict()
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                value.lerp_(other[name], share)
    return network


@torch.no_grad()
def renormalised(network: UNet, images: Iterable[Tensor]) -> UNet:
    """The network with the means and variances of its batch norms measured anew on some batches of inputs, in place."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all batches
    network.train()
    for batch in images:
        network(batch)
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum
    return network.eval()
