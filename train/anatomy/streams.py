"""Random numbers of one case, one independent stream a part."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    """Parts of a case that draw on their own, so that a change in one leaves the others as they were."""

    POSE = 0
    HEART = 1
    CORONARIES = 2
    THORAX = 3
    MEDIASTINUM = 4
    ABDOMEN = 5
    LUNGS = 6
    BURDEN = 7
    PLAQUES = 8
    CONFUSERS = 9
    METAL = 10
    TISSUE = 11
    IMAGING = 12
    GEOMETRY = 13
    SPINE = 14
    FLUIDS = 15


def stream(seed: int, which: Stream) -> np.random.Generator:
    """Random numbers of one part of one case."""
    return np.random.default_rng([seed, int(which)])
