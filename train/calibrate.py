"""Fit a bundle's judge and temperature on phantoms at a scanner's resolution that it was never trained on.

Every bright component that the bundle's networks look at is put into a table with its features and what it truly is.
The table is kept as npz, so that more cases can be added. From it come the temperature (which vessel, given that it is
one) and the judge (whether it is one), both cross-validated by case.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final, Self

import numpy as np
import torch
from numpy.typing import NDArray

from model.bundle import CARD, Calibration, Identity, ModelBundle, write_bundle
from model.definition import definition_for
from model.evidence import Said
from model.judgement import FEATURES, Judge
from model.labels import Territory
from model.lesions import Vessel
from model.pooling import gated, pool
from model.segmenter import Examined, Segmenter
from train.cohort import Phantom, volume_of

HALF: Final = 0.5
"""A component is real if so much of it is calcium of a vessel."""
PLAIN: Final = Calibration()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """Components of many cases.

    Attributes
    ----------
    seeds
        int64 (cases,) that were read, those without any component among them.
    case
        int64 (n,) seed each component comes from.
    features
        float64 (n, features).
    shares
        float64 (n, territories) what the ensemble says of it, without what cannot lie there; sums to 1.
    vessel
        uint8 (n,) label of the vessel it truly belongs to; 0 if it is not real.
    touching
        int64 (2, m) pairs of components that touch in neighbouring slices.

    """

    seeds: NDArray[np.int64]
    case: NDArray[np.int64]
    features: NDArray[np.float64]
    shares: NDArray[np.float64]
    vessel: NDArray[np.uint8]
    touching: NDArray[np.int64]

    @property
    def real(self) -> NDArray[np.bool_]:
        """Whether each component is calcium that is scored (n,)."""
        return self.vessel > 0

    @classmethod
    def empty(cls) -> Self:
        """No case yet."""
        return cls(
            seeds=np.zeros(0, np.int64),
            case=np.zeros(0, np.int64),
            features=np.zeros((0, len(FEATURES))),
            shares=np.zeros((0, len(Territory))),
            vessel=np.zeros(0, np.uint8),
            touching=np.zeros((2, 0), np.int64),
        )

    @classmethod
    def of(cls, seed: int, case: Phantom, examined: Examined | None) -> Self:
        """The components of one case."""
        if examined is None:
            return replace(cls.empty(), seeds=np.array([seed]))
        spots = examined.spots
        place = tuple(examined.around.upright.native_index(spots.voxels.index))
        return cls(
            seeds=np.array([seed]),
            case=np.full(spots.count, seed),
            features=examined.features(),
            shares=_shares(examined.said, examined),
            vessel=_vessel(case.calcium[place], spots.component, spots.count),
            touching=spots.touching,
        )

    def __add__(self, other: Table) -> Table:
        joined = {f.name: np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self)[:-1]}
        moved = other.touching + self.case.size
        return Table(**joined, touching=np.concatenate([self.touching, moved], axis=1))

    def write(self, file: Path, sha256: str) -> None:
        """Keep it, with the weights that it was made by."""
        file.parent.mkdir(parents=True, exist_ok=True)
        arrays = {f.name: getattr(self, f.name) for f in fields(self)}
        partial = file.with_suffix(".partial.npz")
        np.savez_compressed(partial, weights=np.array(sha256), names=np.array(list(FEATURES)), **arrays)
        partial.replace(file)

    @classmethod
    def read(cls, file: Path, sha256: str) -> Self:
        """Take it up again; raises ValueError if it was made by other weights or holds other features."""
        with np.load(file, allow_pickle=False) as kept:
            if str(kept["weights"]) != sha256:
                raise ValueError(f"{file} was made by other weights; choose another file or remove it")
            if kept["names"].tolist() != list(FEATURES):
                raise ValueError(f"{file} holds other features; choose another file or remove it")
            return cls(**{f.name: kept[f.name] for f in fields(cls)})


def collect(bundle: ModelBundle, file: Path, tables: Iterable[Table]) -> Table:
    """The table of a bundle, with other tables of the same weights added to it; kept after each."""
    sha256 = weights_sha256(bundle)
    table = known(bundle, file)
    for more in tables:
        table = table + more
        table.write(file, sha256)
    return table


def known(bundle: ModelBundle, file: Path) -> Table:
    """What a file holds for a bundle so far. Raises ValueError if it was made by other weights."""
    return Table.read(file, weights_sha256(bundle)) if file.is_file() else Table.empty()


def examined(bundle: ModelBundle, seed: int, case: Phantom, device: torch.device) -> Table:
    """The table of one case."""
    # whichever judge the bundle has does not matter to what is measured; its temperature must not either
    segmenter = Segmenter(replace(bundle, judge=None), device)
    return Table.of(seed, case, segmenter.examine(volume_of(case), definition_for()))


def weights_sha256(bundle: ModelBundle) -> str:
    """Hash of the networks' weights alone, which calibration does not change."""
    digest = hashlib.sha256()
    for network in (bundle.coarse, *bundle.members):
        for key, value in sorted(network.state_dict().items()):
            digest.update(key.encode())
            digest.update(value.detach().cpu().float().numpy().tobytes())
    return digest.hexdigest()


def calibrated(bundle: ModelBundle, judge: Judge, temperature: float, seeds: Sequence[int]) -> ModelBundle:
    """The bundle with a judge and a temperature; its experiment says on which seeds they were fitted."""
    return replace(
        bundle,
        judge=judge,
        calibration=replace(bundle.calibration, temperature=temperature),
        experiment=dict(bundle.experiment) | {"calibrated_on": sorted(int(seed) for seed in seeds)},
    )


def write_calibrated(bundle: ModelBundle, source: Path, out: Path) -> Identity:
    """Write a calibrated bundle with the card of the one it was made from, or the card that lies there already."""
    card = out / CARD if (out / CARD).is_file() else source / CARD
    return write_bundle(out, bundle, card.read_text(encoding="utf-8"))


def _shares(said: Said, examined: Examined) -> NDArray[np.float64]:
    spots = examined.spots
    return gated(pool(said.territory(), spots.component, spots.count), examined.near, PLAIN)


def _vessel(calcium: NDArray[np.uint8], component: NDArray[np.int64], count: int) -> NDArray[np.uint8]:
    """Label (count,) that most of a component's scored voxels carry; 0 unless half of all its voxels are scored."""
    labels = len(Territory)
    votes = np.bincount(component * labels + calcium, minlength=count * labels).reshape(count, labels)
    scored = votes[:, [vessel.label for vessel in Vessel]]
    real = scored.sum(axis=1) >= HALF * np.maximum(votes.sum(axis=1), 1)
    return np.where(real, 1 + scored.argmax(axis=1), 0).astype(np.uint8)
