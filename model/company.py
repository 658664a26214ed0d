"""Calcium keeps company: a doubtful spot is likelier to be calcium where there is other calcium of its kind.

A judge sees one component and what touches it. Coronary calcium comes with more of it: of a scan without any other
lesion a radiologist doubts a lone speck that beside three plaques would be taken for a fourth. So the judge's log-odds
of a component are weighed with the area of calcium that is expected in the coronaries (or the aorta) of the same
scan, without the lesion in question. More calcium anywhere makes none less likely.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from model.odds import logistic, odds
from model.touching import lesion_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Company:
    """The log-odds of a component become ``slope * log-odds + weight * company + bias``.

    Attributes
    ----------
    slope, weight, bias
        ``slope`` is positive and ``weight`` not negative; ``company`` is :func:`company`.

    """

    slope: float
    weight: float
    bias: float

    def __post_init__(self) -> None:
        numbers = np.array([self.slope, self.weight, self.bias], dtype=np.float64)
        if not np.isfinite(numbers).all() or self.slope <= 0 or self.weight < 0:
            raise ValueError("company needs a positive slope, a weight that is not negative and a finite bias")

    @classmethod
    def of(cls, values: Mapping[str, float]) -> Self:
        """Build from :meth:`as_dict`; raises KeyError, TypeError or ValueError on anything else."""
        if not isinstance(values, Mapping):
            raise TypeError("company is told by slope, weight and bias")
        return cls(slope=float(values["slope"]), weight=float(values["weight"]), bias=float(values["bias"]))

    def as_dict(self) -> dict[str, float]:
        """Plain values for JSON."""
        return asdict(self)

    def weigh(
        self, probability: NDArray[np.float64], others: NDArray[np.float64], mine: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Probabilities (n,) of components by those that a judge gave them (n,) and :func:`company` (n,).

        Only those that are ``mine`` (n,): the others are left as they are.
        """
        log_odds = self.slope * odds(probability) + self.weight * others + self.bias
        return np.where(mine, logistic(log_odds), probability)


def company(
    probability: NDArray[np.float64],
    area_mm2: NDArray[np.float64],
    touching: NDArray[np.int64],
    scan: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """Logarithm (n,) of one plus the area of calcium expected in the other lesions of each component's scan.

    Parameters
    ----------
    probability
        (n,) that a component is calcium of the kind in question; 0 where it can be none.
    area_mm2
        (n,) of each component.
    touching
        (2, m) pairs of components that touch in neighbouring slices: they are one lesion.
    scan
        (n,) number of each component's scan from 0; without it they are all of one scan.

    """
    count = probability.size
    lesion = lesion_of(touching, count)
    expected = probability * area_mm2
    of_scan = np.zeros(count, dtype=np.int64) if scan is None else scan
    others = np.bincount(of_scan, expected)[of_scan] - np.bincount(lesion, expected)[lesion] if count else expected
    return np.asarray(np.log1p(np.maximum(others, 0.0)))
