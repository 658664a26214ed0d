"""All statistics of one scan, at its own pixels and averaged to 3 mm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train.realism.sources import Scan
from train.realism.statistics import Components, Noise, components, edge_mm, noise
from train.realism.tissues import tissues

COMMON_MM = 3.0
"""Voxels at which scans of different resolution are compared."""
BINS_HU = np.arange(-1020.0, 1021.0, 8.0)
_FINE_MM = 1.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Tissue:
    """HU of one tissue at 3 mm."""

    mean: float
    sd: float
    counts: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """One scan in numbers.

    Attributes
    ----------
    tissues
        By name, at 3 mm; only those that were found.
    fine_noise, edges_mm, fine_components
        At the scan's own pixels; None (or empty) where these are too coarse.
    components
        Within a gated scan's reach of the heart, at 3 mm.

    """

    name: str
    tissues: dict[str, Tissue]
    fine_noise: Noise | None
    edges_mm: NDArray[np.float64]
    fine_components: Components | None
    components: Components | None


def measure(scan: Scan, *, plastic: bool = False) -> Measured:
    """Measure a scan; of a test object of ``plastic`` only noise and edges mean anything."""
    fine = scan.spacing_mm[1] <= _FINE_MM
    coarse = scan.about_heart().at(COMMON_MM)
    return Measured(
        name=scan.name,
        tissues={} if plastic else _tissues(coarse),
        fine_noise=noise(scan) if fine else None,
        edges_mm=edge_mm(scan) if fine else np.empty(0),
        fine_components=components(scan.about_heart()) if fine and not plastic else None,
        components=None if plastic else components(coarse),
    )


def _tissues(scan: Scan) -> dict[str, Tissue]:
    found = {}
    for name, mask in tissues(scan).items():
        values = scan.hu[mask]
        if len(values) >= 50:
            counts, _ = np.histogram(values, BINS_HU)
            found[name] = Tissue(mean=float(values.mean()), sd=float(values.std()), counts=counts)
    return found
