"""Phantoms as they are trained on: resampled once to the networks' resolutions and kept in a folder.

Making a case costs more than a training step, so a cohort is prepared first. Its seeds can always make it again.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage

from model.labels import Organ, Territory
from model.preprocess import Millimetre, Upright, coarse_input
from model.volume import CtVolume, VolumeGrid
from train.organs import organs_of

_MAPPED_BYTES: Final = 1 << 18
_LOCAL_HEADER: Final = 30  # bytes of a local file header in a zip archive before its file name


class Phantom(Protocol):
    """What a case must offer: HU and labels on one grid of slices towards the head, rows to the back, columns left."""

    @property
    def hu(self) -> NDArray[np.int16]:
        """(slices, rows, columns)."""

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """(slice, row, column)."""

    @property
    def calcium(self) -> NDArray[np.uint8]:
        """:class:`model.labels.Territory` of each voxel that holds calcium."""

    @property
    def territory(self) -> NDArray[np.uint8]:
        """What calcium would belong to, densely."""

    @property
    def anatomy(self) -> NDArray[np.uint8]:
        """:class:`model.labels.Anatomy`."""


def volume_of(case: Phantom) -> CtVolume:
    """A case as a scan, its first voxel at the origin."""
    shape = (case.hu.shape[0], case.hu.shape[1], case.hu.shape[2])
    grid = VolumeGrid(shape=shape, spacing_mm=case.spacing_mm, origin_lps_mm=(0.0, 0.0, 0.0))
    return CtVolume(hu=case.hu, grid=grid)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """One case at the networks' resolutions.

    Attributes
    ----------
    hu
        int16 (slices, rows, columns) at about 1 mm in the slice.
    calcium, territory, anatomy
        uint8 labels on the same grid.
    spacing_mm
        Of that grid.
    centre
        (slice, row, column) of the heart's centre on that grid, as the localiser would find it.
    coarse_hu
        int16 at about 4 mm.
    present
        bool (slices, :class:`model.labels.Territory`) whether a slice holds calcium of it.

    """

    hu: NDArray[np.int16]
    calcium: NDArray[np.uint8]
    territory: NDArray[np.uint8]
    anatomy: NDArray[np.uint8]
    spacing_mm: NDArray[np.float64]
    centre: NDArray[np.float64]
    coarse_hu: NDArray[np.int16]
    present: NDArray[np.bool_]

    @property
    def organs(self) -> NDArray[np.uint8]:
        """:class:`model.labels.Organ` on the grid of ``coarse_hu``; derived anew each time."""
        z, y, x = self.spacing_mm.tolist()
        return organs_of(self.anatomy, (z, y, x), self.coarse_hu.shape)

    @classmethod
    def of(cls, case: Phantom) -> Self:
        """Resample a case; raises ValueError if it holds no heart."""
        scan = Millimetre.of(Upright.of(volume_of(case)), torch.device("cpu"))
        size = (int(scan.hu.shape[1]), int(scan.hu.shape[2]))
        anatomy = _nearest(case.anatomy, size)
        small, span = coarse_input(scan.hu, scan.spacing_mm, 1)
        organs = organs_of(anatomy, scan.spacing_mm, (small.shape[2], small.shape[3], small.shape[4]))
        if not (organs == Organ.HEART).any():
            raise ValueError("the case holds no heart")
        middle = np.array(ndimage.center_of_mass(organs == Organ.HEART))
        calcium = _largest_label(case.calcium, size)
        return cls(
            hu=_int16(scan.hu),
            calcium=calcium,
            territory=_nearest(case.territory, size),
            anatomy=anatomy,
            spacing_mm=np.array(scan.spacing_mm),
            centre=(middle + 0.5) * np.array(span) - 0.5,
            coarse_hu=_int16(small[0, 0] * 500.0),
            present=_present(calcium),
        )

    def write(self, path: Path) -> None:
        """Store as npz, whole or not at all."""
        partial = path.with_suffix(".part.npz")
        np.savez(partial, **{name: getattr(self, name) for name in self.__slots__})
        partial.replace(path)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Map what :meth:`write` stored: large arrays stay in the file until they are looked at."""
        with zipfile.ZipFile(path) as archive:
            # cases prepared before it was kept are looked through once more
            known = "present.npy" in archive.namelist()
            names = [name for name in cls.__slots__ if known or name != "present"]
            arrays = {name: _mapped(path, archive, f"{name}.npy") for name in names}
        if not known:
            arrays["present"] = _present(arrays["calcium"])
        return cls(**arrays)


def _mapped(path: Path, archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """A read-only view of an array in an archive, or the array itself where it is small or compressed."""
    member = archive.getinfo(name)
    with archive.open(member) as entry, path.open("rb") as file:
        if member.compress_type != zipfile.ZIP_STORED or member.file_size < _MAPPED_BYTES:
            return np.asarray(np.lib.format.read_array(entry, allow_pickle=False))
        version = np.lib.format.read_magic(entry)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, kind = read(entry)
        file.seek(member.header_offset)
        names, extra = struct.unpack("<HH", file.read(_LOCAL_HEADER)[-4:])
        begin = member.header_offset + _LOCAL_HEADER + names + extra + entry.tell()
        return np.memmap(path, kind, "r", begin, shape, "F" if fortran else "C")


def _present(calcium: NDArray[np.uint8]) -> NDArray[np.bool_]:
    return np.stack([(calcium == label).any(axis=(1, 2)) for label in Territory], axis=1)


def _int16(values: torch.Tensor) -> NDArray[np.int16]:
    return values.round().clamp(-32768, 32767).to(torch.int16).numpy()


def _nearest(labels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    rows = ((np.arange(size[0]) + 0.5) * labels.shape[1] / size[0]).astype(np.int64)
    columns = ((np.arange(size[1]) + 0.5) * labels.shape[2] / size[1]).astype(np.int64)
    return np.ascontiguousarray(labels[:, rows][:, :, columns])


def _largest_label(labels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Any calcium within a pixel labels the pixel: specks must not fall between the grid's lines."""
    if size[0] > labels.shape[1] or size[1] > labels.shape[2]:
        return _nearest(labels, size)
    values = torch.from_numpy(labels.astype(np.float32))[:, None]
    return F.adaptive_max_pool2d(values, size)[:, 0].to(torch.uint8).numpy()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cohort:
    """All prepared cases of a folder; what is looked at often stays in memory as far as there is room."""

    cases: tuple[Prepared, ...]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Open every case of a folder, in order of seed; raises FileNotFoundError if there is none."""
        cases = tuple(Prepared.read(path) for path in paths(folder))
        if not cases:
            raise FileNotFoundError(f"no prepared cases in {folder}")
        return cls(cases=cases)


def case_path(folder: Path, seed: int) -> Path:
    """Where the case of a seed is kept."""
    return folder / f"case-{seed:07d}.npz"


def paths(folder: Path) -> Iterator[Path]:
    """Prepared cases of a folder, in order of seed."""
    return (path for path in sorted(folder.glob("case-*.npz")) if not path.name.endswith(".part.npz"))
