"""The last layer of a labeller, computed only where and as finely as its words are used.

A U-Net behind a space-to-depth stem ends in features of cells, ``stem`` pixels wide, from which one linear layer makes
the logits of all pixels of a cell. Mean and linear layer change places freely: what is wanted of several pixels is one
product with the mean of their weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from model.network import UNet


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CellHead:
    """Mean logits of a head over each cell.

    Attributes
    ----------
    weight, bias
        (classes, filters) and (classes,).

    """

    weight: Tensor
    bias: Tensor

    @classmethod
    def of(cls, network: UNet, name: str) -> Self:
        """The head of that name."""
        weight, bias = network.pixel_weights((name,))
        return cls(weight=weight.mean(0).contiguous(), bias=bias.mean(0).contiguous())

    def likeliest(self, features: Tensor) -> Tensor:
        """Class uint8 (batch, rows, columns) of every cell, of its features (batch, filters, rows, columns)."""
        logits = F.linear(features.permute(0, 2, 3, 1), self.weight, self.bias)
        return logits.argmax(-1).to(torch.uint8)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PixelHead:
    """Mean logits over the 3 x 3 pixels around a pixel.

    The stem computes neighbouring pixels by different weights, which leaves a checkerboard; the mean takes it away.

    Attributes
    ----------
    weight
        (stem * stem, span * span * filters, classes), by the pixel's place in its cell: the weights of the
        span x span cells that its neighbourhood lies in.
    bias
        (stem * stem, classes).

    """

    weight: Tensor
    bias: Tensor
    stem: int
    span: int

    @classmethod
    def of(cls, network: UNet, names: tuple[str, ...]) -> Self:
        """Some heads together, in the order of the network's own."""
        stem = network.config.stem
        span = 3 if stem == 1 else 2
        weight, bias = network.pixel_weights(names)
        classes, filters = weight.shape[1:]
        means = weight.new_zeros((stem, stem, span, span, classes, filters))
        mean_bias = bias.new_zeros((stem, stem, classes))
        for row in range(stem):
            for column in range(stem):
                first = [(place - 1) // stem for place in (row, column)]
                for near_row in range(row - 1, row + 2):
                    for near_column in range(column - 1, column + 2):
                        pixel = near_row % stem * stem + near_column % stem
                        cell = (near_row // stem - first[0], near_column // stem - first[1])
                        means[row, column, cell[0], cell[1]] += weight[pixel] / 9
                        mean_bias[row, column] += bias[pixel] / 9
        flat = means.permute(0, 1, 2, 3, 5, 4).reshape(stem**2, span**2 * filters, classes)
        return cls(weight=flat.contiguous(), bias=mean_bias.reshape(stem**2, classes), stem=stem, span=span)

    def at(self, features: Tensor, which: Tensor, row: Tensor, column: Tensor) -> Tensor:
        """Logits (n, classes) of pixels of a batch.

        At the edge the outermost cells stand for those beyond it.

        Parameters
        ----------
        features
            (batch, filters, rows, columns) of cells.
        which, row, column
            int64 (n,): number in the batch, and place among the pixels.

        """
        _, filters, rows, columns = features.shape
        near = torch.arange(self.span, device=features.device)
        down = ((row - 1).div(self.stem, rounding_mode="floor")[:, None] + near).clamp(0, rows - 1)
        across = ((column - 1).div(self.stem, rounding_mode="floor")[:, None] + near).clamp(0, columns - 1)
        cell = (which[:, None, None] * rows + down[:, :, None]) * columns + across[:, None, :]
        flat = features.permute(0, 2, 3, 1).reshape(-1, filters)
        seen = flat.index_select(0, cell.flatten()).reshape(len(row), -1)
        place = row % self.stem * self.stem + column % self.stem
        logits = seen.new_empty((len(row), self.weight.shape[2]))
        for number in range(self.stem**2):
            mine = torch.nonzero(place == number)[:, 0]
            logits[mine] = torch.addmm(self.bias[number], seen[mine], self.weight[number])
        return logits
