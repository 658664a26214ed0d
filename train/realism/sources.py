"""Real scans with open licences and phantoms, as one kind of scan."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from model.labels import ORGAN_OF, Anatomy, Organ
from train.cohort import Phantom

Triple = tuple[float, float, float]

# TCIA CPTAC-PDA: (x, y, z) in LPS mm, by eye in the middle of the four chambers
_CPTAC_HEART_LPS: Final = (15.6, -187.7, -115.1)
_QRM_MIDDLE_VOXEL: Final = (21.0, 204.0, 257.0)  # of the cylinder that stands for the heart
_REACH_MM: Final = (66.0, 105.0, 105.0)
_HEART_REGION: Final = (Organ.HEART, Organ.ROOT)


class NoReferenceError(FileNotFoundError):
    """A folder holds none of the reference data."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scan:
    """A scan upright: slices to the head, rows to the back, columns to the patient's left.

    Attributes
    ----------
    hu
        float32 (slices, rows, columns).
    spacing_mm
        (slice, row, column).
    centre
        (slice, row, column) of the heart's middle.
    heart
        Where the heart is, if somebody has drawn it.

    """

    name: str
    hu: NDArray[np.float32]
    spacing_mm: Triple
    centre: Triple
    heart: NDArray[np.bool_] | None = None

    def offsets_mm(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """(z up, y to the back, x to the left) from the heart's middle, to broadcast."""
        axes = [
            (np.arange(n) - middle) * step
            for n, middle, step in zip(self.hu.shape, self.centre, self.spacing_mm, strict=True)
        ]
        return axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :]

    def about_heart(self, reach_mm: Triple = _REACH_MM) -> Scan:
        """What lies within ``reach_mm`` of the heart's middle along each axis: a gated scan's part of a chest."""
        spans = []
        for n, middle, step, reach in zip(self.hu.shape, self.centre, self.spacing_mm, reach_mm, strict=True):
            spans.append(slice(max(0, round(middle - reach / step)), min(n, round(middle + reach / step) + 1)))
        box = (spans[0], spans[1], spans[2])
        z, y, x = (middle - span.start for middle, span in zip(self.centre, box, strict=True))
        return replace(self, hu=self.hu[box], centre=(z, y, x), heart=None if self.heart is None else self.heart[box])

    def at(self, step_mm: float) -> Scan:
        """Averaged to voxels of about ``step_mm``; axes that are coarser than that stay as they are."""
        size = [
            n if mm > 0.9 * step_mm else max(1, round(n * mm / step_mm))
            for n, mm in zip(self.hu.shape, self.spacing_mm, strict=True)
        ]
        factor = [n / m for n, m in zip(self.hu.shape, size, strict=True)]
        z, y, x = ((middle + 0.5) / f - 0.5 for middle, f in zip(self.centre, factor, strict=True))
        spacing = [mm * f for mm, f in zip(self.spacing_mm, factor, strict=True)]
        return replace(
            self,
            hu=_averaged(self.hu, size),
            spacing_mm=(spacing[0], spacing[1], spacing[2]),
            centre=(z, y, x),
            heart=None if self.heart is None else _averaged(self.heart.astype(np.float32), size) >= 0.5,
        )


def of_case(case: Phantom, name: str) -> Scan:
    """A phantom; its heart and root are taken for the heart, as in the masks of the real scans."""
    organ = np.array([ORGAN_OF[anatomy] for anatomy in Anatomy])[case.anatomy]
    heart = np.isin(organ, _HEART_REGION)
    z, y, x = np.argwhere(heart).mean(axis=0).tolist()
    return Scan(name=name, hu=case.hu.astype(np.float32), spacing_mm=case.spacing_mm, centre=(z, y, x), heart=heart)


def real_scans(folder: Path) -> list[Scan]:
    """LIDC-IDRI with masks (AIM-Harvard DeepCAC), CPTAC-PDA and the QRM phantom, as far as they are there.

    Raises
    ------
    NoReferenceError
        If none is.

    """
    readers: tuple[tuple[str, Callable[[Path], list[Scan]]], ...] = (
        ("lidc-chest", _lidc),
        ("cptac-chest", _cptac),
        ("qrm-phantom-canon", _qrm),
    )
    found = [scan for name, read in readers if (folder / name).is_dir() for scan in read(folder / name)]
    if not found:
        raise NoReferenceError(f"no reference data in {folder}")
    return found


def _lidc(folder: Path) -> list[Scan]:
    return [_masked(path) for path in sorted(folder.glob("*_img.nrrd"))]


def _masked(path: Path) -> Scan:
    hu, spacing, _ = read_nrrd(path)
    mask, _, _ = read_nrrd(path.with_name(path.name.replace("_img", "_msk")))
    heart = (mask == 1) | (mask == 3)
    z, y, x = np.argwhere(heart).mean(axis=0).tolist()
    return Scan(
        name=f"LIDC {path.name[:4]}", hu=hu.astype(np.float32), spacing_mm=spacing, centre=(z, y, x), heart=heart
    )


def _cptac(folder: Path) -> list[Scan]:
    hu, spacing, origin = read_dicom(folder / "dicom")
    x, y, z = _CPTAC_HEART_LPS
    centre = ((z - origin[0]) / spacing[0], (y - origin[1]) / spacing[1], (x - origin[2]) / spacing[2])
    return [Scan(name="CPTAC (contrast)", hu=hu, spacing_mm=spacing, centre=centre)]


def _qrm(folder: Path) -> list[Scan]:
    hu, spacing, _ = read_dicom(folder / "dicom")
    return [Scan(name="QRM", hu=hu, spacing_mm=spacing, centre=_QRM_MIDDLE_VOXEL)]


def read_nrrd(path: Path) -> tuple[NDArray[np.generic], Triple, Triple]:
    """Voxels (z, y, x), spacing and origin (z, y, x) of a gzipped NRRD along LPS; raises ValueError for others."""
    header, _, packed = path.read_bytes().partition(b"\n\n")
    fields = dict(line.split(": ", 1) for line in header.decode("latin1").splitlines() if ": " in line)
    vectors = np.array(
        [[float(c) for c in v.split(",")] for v in re.findall(r"\(([^)]*)\)", fields["space directions"])]
    )
    if fields.get("space") != "left-posterior-superior" or not (np.diag(vectors) > 0).all():
        raise ValueError(f"{path.name} does not lie along LPS")
    kinds = {"short": "<i2", "int16": "<i2", "unsigned char": "u1", "uint8": "u1", "uchar": "u1", "float": "<f4"}
    data = gzip.decompress(packed) if fields["encoding"] in {"gzip", "gz"} else packed
    shape = tuple(int(n) for n in fields["sizes"].split())[::-1]
    x, y, z = (float(number) for number in fields["space origin"].strip("()").split(","))
    step = np.diag(vectors)
    spacing = (float(step[2]), float(step[1]), float(step[0]))
    return np.frombuffer(data, kinds[fields["type"]]).reshape(shape), spacing, (z, y, x)


def read_dicom(folder: Path) -> tuple[NDArray[np.float32], Triple, Triple]:
    """HU (z up, y, x), spacing and origin (z, y, x) of the axial, head-first supine series in a folder."""
    import pydicom  # noqa: PLC0415  only here does training need to read DICOM

    parts = sorted(
        (pydicom.dcmread(path) for path in sorted(folder.glob("*.dcm"))), key=lambda one: one.ImagePositionPatient[2]
    )
    stack = [one.pixel_array * float(one.RescaleSlope) + float(one.RescaleIntercept) for one in parts]
    first, last = parts[0].ImagePositionPatient, parts[-1].ImagePositionPatient
    step = (float(last[2]) - float(first[2])) / (len(parts) - 1)
    row, column = (float(mm) for mm in parts[0].PixelSpacing)
    origin = (float(first[2]), float(first[1]), float(first[0]))
    return np.stack(stack).astype(np.float32), (step, row, column), origin


def _averaged(values: NDArray[np.float32], size: list[int]) -> NDArray[np.float32]:
    if list(values.shape) == size:
        return values
    return F.interpolate(torch.from_numpy(np.ascontiguousarray(values))[None, None], size=size, mode="area")[
        0, 0
    ].numpy()
