"""The networks: one U-Net, described by a :class:`NetworkConfig`.

Three uses of it: :func:`paper_network` (Singh et al. 2021, the baseline), :func:`fine_network` (which vessel a
candidate belongs to) and :func:`coarse_network` (where the heart is).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from model.labels import Anatomy, Organ, Territory

CONTEXT_SLICES = 2
"""Neighbouring slices on either side that the fine network sees."""

FINE_CHANNELS = (2 * CONTEXT_SLICES + 1) + 1 + 3
"""Slices, candidate mask, position (x, y, z) in the heart's frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """Everything needed to build a network.

    Attributes
    ----------
    dimensions
        2 (images) or 3 (volumes).
    channels
        Input channels.
    filters
        Filters of the first level; every level below has twice as many.
    levels
        Number of resolutions.
    stem
        1, or the factor by which pixels are folded into channels before the first level.
    heads
        Name and number of classes of every output, in the order of the output channels.

    """

    dimensions: int
    channels: int
    filters: int
    levels: int
    stem: int = 1
    heads: tuple[tuple[str, int], ...]

    def __post_init__(self) -> None:
        if self.dimensions not in (2, 3):
            raise ValueError("a network is 2D or 3D")
        if min(self.channels, self.filters, self.levels, self.stem) < 1 or not self.heads:
            raise ValueError("channels, filters, levels and stem are at least 1, and there is at least one head")
        if len({name for name, _ in self.heads}) != len(self.heads) or min(count for _, count in self.heads) < 1:
            raise ValueError("heads have distinct names and at least one class")

    @property
    def multiple(self) -> int:
        """Input sizes must be multiples of this."""
        return int(self.stem * 2 ** (self.levels - 1))

    @property
    def classes(self) -> int:
        """Output channels of all heads together."""
        return sum(count for _, count in self.heads)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"heads": [list(head) for head in self.heads]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Build from :meth:`as_dict`; raises TypeError or ValueError on anything else."""
        heads = tuple((str(name), int(count)) for name, count in values["heads"])
        numbers = {key: int(value) for key, value in values.items() if key != "heads"}
        return cls(**numbers, heads=heads)


def paper_network(classes: int = len(Territory)) -> NetworkConfig:
    """2D U-Net of Singh et al. 2021: one 512 x 512 slice, 16 filters doubling over five levels, n + 1 classes."""
    return NetworkConfig(dimensions=2, channels=1, filters=16, levels=5, heads=(("territory", classes),))


def fine_network(filters: int = 16) -> NetworkConfig:
    """2.5D U-Net behind a 2x pixel-unshuffle stem, with territory, anatomy and calcium heads."""
    heads = (("territory", len(Territory)), ("anatomy", len(Anatomy)), ("calcium", 1))
    return NetworkConfig(dimensions=2, channels=FINE_CHANNELS, filters=filters, levels=4, stem=2, heads=heads)


def coarse_network(filters: int = 16) -> NetworkConfig:
    """3D U-Net over the whole scan at about 4 mm, behind a 2x stem."""
    return NetworkConfig(dimensions=3, channels=1, filters=filters, levels=3, stem=2, heads=(("organ", len(Organ)),))


class UNet(nn.Module):
    """U-Net: two 3-wide convolutions with batch norm and ReLU a level, transposed convolutions up, skips joined.

    Input (batch, channels, ...), output (batch, config.classes, ...) logits of the same size; sizes must be multiples
    of ``config.multiple``. Ronneberger et al. 2015; the stem is space-to-depth.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        flat = config.dimensions == 2
        convolution = nn.Conv2d if flat else nn.Conv3d
        transposed = nn.ConvTranspose2d if flat else nn.ConvTranspose3d
        cell = config.stem**config.dimensions
        widths = [config.filters * 2**level for level in range(config.levels)]
        self.pool = nn.MaxPool2d(2) if flat else nn.MaxPool3d(2)
        self.down = nn.ModuleList(
            _block(before, width, flat=flat)
            for before, width in zip([config.channels * cell, *widths], widths, strict=False)
        )
        steps = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.up = nn.ModuleList(transposed(deep, shallow, 2, stride=2) for deep, shallow in steps)
        self.join = nn.ModuleList(_block(2 * shallow, shallow, flat=flat) for _, shallow in steps)
        self.out = convolution(widths[0], config.classes * cell, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of all heads, joined along the channel axis."""
        if any(size % self.config.multiple for size in images.shape[2:]):
            raise ValueError(f"{tuple(images.shape[2:])} is no multiple of {self.config.multiple}")
        return _from_channels(self.out(self.features(_to_channels(images, self.config.stem))), self.config.stem)

    def pixel_weights(self, heads: Sequence[str]) -> tuple[Tensor, Tensor]:
        """What makes the logits of some heads from the features of a cell, in the order of the network's own.

        Returns
        -------
        Weights (stem * stem, classes, filters) and biases (stem * stem, classes) of each pixel of a 2D network's cell,
        row by row.

        """
        cell = self.config.stem**2
        weight = self.out.weight.reshape(self.config.classes, cell, -1).transpose(0, 1)
        given = self.out.bias if self.out.bias is not None else self.out.weight.new_zeros(self.out.out_channels)
        bias = given.reshape(self.config.classes, cell).t()
        chosen = [name in heads for name, count in self.config.heads for _ in range(count)]
        return weight[:, chosen], bias[:, chosen]

    def features(self, cells: Tensor) -> Tensor:
        """What the last layer makes logits from: (batch, filters, ...), of an input folded by the stem."""
        features = cells
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            features = block(self.pool(features) if level else features)
            skips.append(features)
        skips.pop()
        for rise, join in zip(self.up, self.join, strict=True):
            features = join(torch.cat([rise(features), skips.pop()], dim=1))
        return features

    def split(self, logits: Tensor, dim: int = 1) -> dict[str, Tensor]:
        """Logits of each head, by name; ``dim`` is the axis of classes."""
        parts = torch.split(logits, [count for _, count in self.config.heads], dim=dim)
        return {name: part for (name, _), part in zip(self.config.heads, parts, strict=True)}


def _to_channels(images: Tensor, stem: int) -> Tensor:
    """Fold every ``stem``-wide cell of pixels or voxels into channels."""
    if stem == 1:
        return images
    if images.dim() == 4:
        return F.pixel_unshuffle(images, stem)
    batch, channels, *sizes = images.shape
    depth, rows, columns = (size // stem for size in sizes)
    cells = images.reshape(batch, channels, depth, stem, rows, stem, columns, stem).permute(0, 1, 3, 5, 7, 2, 4, 6)
    return cells.reshape(batch, channels * stem**3, depth, rows, columns)


def _from_channels(features: Tensor, stem: int) -> Tensor:
    """The inverse of :func:`_to_channels`."""
    if stem == 1:
        return features
    if features.dim() == 4:
        return F.pixel_shuffle(features, stem)
    batch, channels, depth, rows, columns = features.shape
    cells = features.reshape(batch, channels // stem**3, stem, stem, stem, depth, rows, columns)
    cells = cells.permute(0, 1, 5, 2, 6, 3, 7, 4)
    return cells.reshape(batch, channels // stem**3, depth * stem, rows * stem, columns * stem)


def _block(channels_in: int, channels_out: int, *, flat: bool) -> nn.Sequential:
    convolution = nn.Conv2d if flat else nn.Conv3d
    norm = nn.BatchNorm2d if flat else nn.BatchNorm3d
    layers: list[nn.Module] = []
    for before in (channels_in, channels_out):
        layers += [
            convolution(before, channels_out, 3, padding=1, bias=False),
            norm(channels_out),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


def folded(network: UNet) -> UNet:
    """A copy for inference: batch norms folded into their convolutions, channels last, no gradients."""
    twin = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
    for blocks in (twin.down, twin.join):
        for block in blocks:
            if not isinstance(block, nn.Sequential):
                raise TypeError("a level of a U-Net is a Sequential")
            for first in range(0, len(block), 3):
                convolution, norm = block[first], block[first + 1]
                block[first] = fuse_conv_bn_eval(convolution, norm)  # type: ignore[type-var, arg-type]
                block[first + 1] = nn.Identity()
    layout = torch.channels_last if network.config.dimensions == 2 else torch.channels_last_3d
    return twin.to(memory_format=layout)  # type: ignore[call-overload, no-any-return]
