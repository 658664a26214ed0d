"""Probabilities and their log-odds, without overflow."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_SURE: Final = 1e-9


def logistic(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probability of log-odds."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * log_odds)))


def odds(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log-odds of probabilities; those of 0 and 1 are large and finite."""
    inside = probability.clip(_SURE, 1 - _SURE)
    return np.asarray(np.log(inside / (1 - inside)))
