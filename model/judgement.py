"""How probable it is that a bright component is calcium that is scored.

The networks say what calcium would be at a place, and are poor at saying whether a small bright spot is calcium at all:
noise reaches the threshold along a coronary's course too, and a small lesion is averaged away at 1 mm. So what they say
is weighed together with what can be measured, by a logistic regression that was fitted on phantoms. Where more of a
quantity cannot make calcium less likely its weight is not negative, which holds on scans that no phantom looks like.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

FEATURES: Final[Mapping[str, int]] = {
    "over_background": 1,
    "over_confuser": 1,
    "best_pixel": 1,
    "calcium_mean": 1,
    "calcium_best": 1,
    "disagreement": -1,
    "log_area": 1,
    "rise": 1,
    "contrast": 1,
    "noise": 0,
    "support_high": 1,
    "support_low": 1,
    "fat": 0,
    "lung": 0,
    "bright": 0,
    "in_heart": 0,
    "in_aorta": 0,
    "in_bone": -1,
    "aortic": 0,
    "valve": 0,
    "believed_contrast": 1,
    "rise_of_area": 1,
}
"""Name of every feature, and the sign its weight must have (0: either). What each is: :mod:`model.evidence`."""

LINK: Final = ("own", "neighbour", "alone", "bias")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judge:
    """A logistic regression in two steps: each component by itself, then with the one it touches in the next slice.

    Attributes
    ----------
    centre, scale, weight
        float64 (features,): a feature counts as ``(value - centre) / scale * weight``.
    bias
        Of the first step.
    link
        float64 (4,): weight of a component's own log-odds, of the highest among those that touch it in a neighbouring
        slice, what is added if none does, and a bias.
    accept_from, accept_aortic_from
        Components of at least this probability are scored; the second holds for the thoracic aorta, beside which lies
        bone. Below one half because fitted on phantoms full of look-alikes, which patients have fewer of.

    """

    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    weight: NDArray[np.float64]
    bias: float
    link: NDArray[np.float64]
    accept_from: float = 0.35
    accept_aortic_from: float = 0.5

    def __post_init__(self) -> None:
        count = len(FEATURES)
        for name, size in (("centre", count), ("scale", count), ("weight", count), ("link", len(LINK))):
            values = getattr(self, name)
            if values.shape != (size,) or not np.isfinite(values).all():
                raise ValueError(f"{name} needs {size} finite numbers")
        if (
            not (self.scale > 0).all()
            or not np.isfinite(self.bias)
            or not 0 < self.accept_from < 1
            or not 0 < self.accept_aortic_from < 1
        ):
            raise ValueError("scales are positive, the bias is finite, accept_* lie between 0 and 1")
        signs = np.array(list(FEATURES.values()))
        wrong = [name for name, bad in zip(FEATURES, self.weight * signs < 0, strict=True) if bad]
        if wrong or (self.link[:2] < 0).any():
            raise ValueError(f"weights of the wrong sign: {', '.join(wrong) or 'link'}")

    @classmethod
    def of(cls, values: Mapping[str, Any], arrays: Mapping[str, NDArray[np.float64]]) -> Self:
        """Build from :meth:`as_dict` and :meth:`arrays`; raises KeyError, TypeError or ValueError on anything else."""
        if list(values["features"]) != list(FEATURES):
            raise ValueError("it was fitted on other features than this program measures")
        if set(arrays) != {"centre", "scale", "weight", "link"}:
            raise ValueError(f"its arrays are {', '.join(sorted(arrays)) or 'missing'}")
        return cls(
            **arrays,
            bias=float(values["bias"]),
            accept_from=float(values["accept_from"]),
            accept_aortic_from=float(values["accept_aortic_from"]),
        )

    def as_dict(self) -> dict[str, Any]:
        """What is no array, as plain values for JSON."""
        return {
            "features": list(FEATURES),
            "bias": self.bias,
            "accept_from": self.accept_from,
            "accept_aortic_from": self.accept_aortic_from,
        }

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """The arrays by name."""
        return {"centre": self.centre, "scale": self.scale, "weight": self.weight, "link": self.link}

    def alone(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Log-odds (n,) of components by their own features (n, len(FEATURES))."""
        return np.asarray((features - self.centre) / self.scale @ self.weight + self.bias)

    def probability(self, features: NDArray[np.float64], touching: NDArray[np.int64]) -> NDArray[np.float64]:
        """Probability (n,) of components, each with its neighbours.

        Parameters
        ----------
        features
            (n, len(FEATURES)).
        touching
            (2, m) pairs of components that touch in neighbouring slices, each pair once.

        """
        own = self.alone(features)
        return logistic(linked(own, touching) @ self.link)


def linked(own: NDArray[np.float64], touching: NDArray[np.int64]) -> NDArray[np.float64]:
    """What the second step sees (n, 4): own log-odds, the highest neighbour's (0 without), whether alone, and 1."""
    best = np.full(own.size, -np.inf)
    np.maximum.at(best, touching[0], own[touching[1]])
    np.maximum.at(best, touching[1], own[touching[0]])
    alone = np.isneginf(best)
    return np.stack([own, np.where(alone, 0.0, best), alone.astype(np.float64), np.ones(own.size)], axis=1)


def logistic(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability of log-odds, without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * log_odds)))
