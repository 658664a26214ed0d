"""Where labelled scans come from: phantoms made from seeds, or a site's own cases in a folder."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from model.lesions import Vessel
from model.volume import CtVolume, VolumeGrid
from train import cases
from train.anatomy.ranges import Cohort
from train.anatomy.streams import Stream, stream
from train.evaluation.compare import LabelledScan, true_mask
from train.evaluation.facts import groups_of, heart_centre, scanner_groups
from train.imaging.scan import draw_scanner

_PACKAGE: Final = Path(cases.__file__).parent
_GENERATOR: Final = ("cases.py", "recipes.py", "anatomy", "imaging", "realism")
_COMPARING: Final = ("compare.py", "facts.py", "matching.py", "records.py", "sources.py")
# mg/cm³ per HU at 120 kVp, between the vendors'; phantoms have none of their own
_MASS_FACTOR: Final = 0.78
_LARGEST_HU: Final = 32767
_NEEDED: Final = ("hu", "spacing_mm", "labels")


class DataError(ValueError):
    """A case of a site's folder cannot be used; says which and why."""


class Source(Protocol):
    """A list of cases that are loaded one at a time."""

    @property
    def title(self) -> str:
        """What these cases are, in words."""

    def names(self) -> tuple[str, ...]:
        """Every case, in order."""

    def fingerprint(self, name: str) -> str:
        """Changes whenever the case would."""

    def load(self, name: str) -> LabelledScan:
        """Make or read one."""


class RecipeName(StrEnum):
    """What phantoms are drawn from.

    Anatomy and scanners beyond what training draws, full of look-alikes; the same as in training; or as in training,
    with look-alikes about as often as patients have them.
    """

    HOLD_OUT = "hold-out"
    TRAINING_LIKE = "training-like"
    PATIENT_LIKE = "patient-like"


def recipe_of(name: RecipeName) -> cases.Recipe:
    """The recipe behind a name: full resolution, patients with much and with little calcium mixed."""
    making = {
        RecipeName.HOLD_OUT: cases.hold_out_resolution,
        RecipeName.TRAINING_LIKE: cases.full_resolution,
        RecipeName.PATIENT_LIKE: cases.patient_resolution,
    }
    return making[name](Cohort.MIXED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phantoms:
    """Phantoms of a recipe, by seed."""

    recipe: RecipeName
    seeds: tuple[int, ...]

    @property
    def title(self) -> str:
        """What these cases are, in words."""
        first, last = self.seeds[0], self.seeds[-1]
        return f"{len(self.seeds)} synthetic phantoms, seeds {first} to {last}, recipe {self.recipe}"

    def names(self) -> tuple[str, ...]:
        """Every case, in order."""
        return tuple(str(seed) for seed in self.seeds)

    def fingerprint(self, name: str) -> str:
        """Of the recipe, the seed and the generator's own files."""
        return _digest(f"{name} {recipe_of(self.recipe)!r} {_files(_GENERATOR)} {_comparing()}".encode())

    def load(self, name: str) -> LabelledScan:
        """Make one."""
        recipe = recipe_of(self.recipe)
        case = cases.make_case(int(name), recipe)
        shape = (case.hu.shape[0], case.hu.shape[1], case.hu.shape[2])
        grid = VolumeGrid(shape=shape, spacing_mm=case.spacing_mm, origin_lps_mm=(0.0, 0.0, 0.0))
        scan = LabelledScan(
            name=name,
            volume=CtVolume(hu=case.hu, grid=grid, mass_factor=_MASS_FACTOR),
            labels=case.calcium,
            heart_centre_lps_mm=heart_centre(case.anatomy, grid),
        )
        known = groups_of(scan, true_mask(scan), case.anatomy, getattr(case, "facts", None))
        # the scanner is the first that its stream draws: drawn again it is the same
        scanner = draw_scanner(stream(int(name), Stream.IMAGING), recipe.imaging)
        return replace(scan, groups=known | scanner_groups(scanner))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Cases of a folder, one npz each; the format is described in ``train/evaluation/README.md``."""

    folder: Path

    @property
    def title(self) -> str:
        """What these cases are, in words."""
        return f"{len(self.names())} cases of {self.folder.name}"

    def names(self) -> tuple[str, ...]:
        """Every case, in order. Raises :class:`DataError` if there is none."""
        names = tuple(sorted(path.stem for path in self.folder.glob("*.npz")))
        if not names:
            raise DataError(f"{self.folder} holds no .npz cases")
        return names

    def fingerprint(self, name: str) -> str:
        """Of the file's bytes."""
        return _digest((self.folder / f"{name}.npz").read_bytes() + _comparing().encode())

    def load(self, name: str) -> LabelledScan:
        """Read one. Raises :class:`DataError`."""
        try:
            with np.load(self.folder / f"{name}.npz", allow_pickle=False) as stored:
                values = {key: stored[key] for key in stored.files}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise DataError(f"{name}: not a readable npz file ({error})") from error
        missing = [key for key in _NEEDED if key not in values]
        if missing:
            raise DataError(f"{name}: {', '.join(missing)} missing")
        try:
            scan = _scan(name, values)
        except (TypeError, ValueError) as error:
            raise DataError(f"{name}: {error}") from error
        return replace(scan, groups={**groups_of(scan, true_mask(scan), None, None), **scan.groups})


def _scan(name: str, values: Mapping[str, NDArray[Any]]) -> LabelledScan:
    hu, labels = values["hu"], values["labels"]
    if hu.ndim != 3 or labels.shape != hu.shape:
        raise ValueError(f"hu and labels are two arrays of (slices, rows, columns), not {hu.shape} and {labels.shape}")
    if labels.dtype.kind not in "iu" or labels.min() < 0 or labels.max() > len(Vessel) + 1:
        raise ValueError("labels are whole numbers from 0 to 7")
    if not np.isfinite(hu).all() or hu.max() <= 0 or np.abs(hu.astype(np.float64)).max() > _LARGEST_HU:
        raise ValueError("hu holds no Hounsfield units of a body")
    origin = _three(values.get("origin_lps_mm", np.zeros(3)), "origin_lps_mm")
    directions = np.asarray(values.get("directions", np.eye(3)[::-1]), dtype=np.float64)
    if directions.shape != (3, 3):
        raise ValueError("directions are the unit vectors of slice, row and column, (3, 3)")
    grid = VolumeGrid(
        shape=(hu.shape[0], hu.shape[1], hu.shape[2]),
        spacing_mm=_three(values["spacing_mm"], "spacing_mm"),
        origin_lps_mm=origin,
        directions=(_three(directions[0], ""), _three(directions[1], ""), _three(directions[2], "")),
    )
    volume = CtVolume(
        hu=hu.astype(np.float32) if hu.dtype.kind == "f" else hu.astype(np.int16),
        grid=grid,
        kvp=float(values["kvp"]) if "kvp" in values else 120.0,
        mass_factor=float(values["mass_factor"]) if "mass_factor" in values else None,
    )
    centre = values.get("heart_centre_lps_mm")
    return LabelledScan(
        name=name,
        volume=volume,
        labels=labels.astype(np.uint8),
        heart_centre_lps_mm=None if centre is None else _three(centre, "heart_centre_lps_mm"),
        groups={key.removeprefix("group_"): str(one) for key, one in values.items() if key.startswith("group_")},
    )


def _three(values: NDArray[Any], what: str) -> tuple[float, float, float]:
    if np.shape(values) != (3,):
        raise ValueError(f"{what} has three values")
    first, second, third = np.asarray(values, dtype=np.float64).tolist()
    return (first, second, third)


def _comparing() -> str:
    """Digest of the files that decide what is kept of a case."""
    return _files(tuple(f"evaluation/{name}" for name in _COMPARING))


@cache
def _files(parts: tuple[str, ...]) -> str:
    """Digest of files and folders of this package."""
    found = hashlib.sha256()
    for part in parts:
        path = _PACKAGE / part
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.suffix in (".py", ".npz", ".json"):
                found.update(file.read_bytes())
    return found.hexdigest()


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:16]
