"""From the files of a series to one CT volume in Hounsfield units (PS3.3 C.7.6.2, C.8.2.1, C.7.6.16)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model.volume import CtVolume, VolumeGrid
from node.dicom.planes import UNSPECIFIED, Plane, planes_of
from node.domain.errors import Malformed, Unreadable

MOST_VOXELS = 1 << 29  # 1 GiB of int16: some 2000 slices of 512 x 512
_ANGLE = 1e-3
_SAME_POSITION_MM = 0.01
_UNEVEN_MM, _UNEVEN_SHARE = 0.1, 0.02
_SHEAR_SHARE = 0.05
_AIR_HU = -1024
_HU_LIMITS = np.iinfo(np.int16)

Hu = NDArray[np.int16] | NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeOf:
    """A volume and where each of its slices came from.

    Attributes
    ----------
    volume
        Hounsfield units; slices in order of position along the slice normal.
    sop_uids, frames
        SOP Instance UID and frame number (from 1) of each slice, in the same order.
    notes
        What was put up with, in plain words; nothing that identifies a patient.

    """

    volume: CtVolume
    sop_uids: tuple[str, ...]
    frames: tuple[int, ...]
    notes: tuple[str, ...] = ()


def read_volume(
    paths: Sequence[Path], *, only: Collection[tuple[str, int]] | None = None, most_voxels: int = MOST_VOXELS
) -> VolumeOf:
    """Read one stack of parallel, evenly spaced slices.

    Parameters
    ----------
    paths
        DICOM files: one CT image each, or an Enhanced or Legacy Converted Enhanced CT image.
    only
        (SOP Instance UID, frame number from 1) of the slices to use, if not all: one phase, say.
    most_voxels
        More than this are not allocated.

    Raises
    ------
    Unreadable
        If the slices do not make one volume; the message gives every reason that was found.
    Malformed
        If a file is not the DICOM it claims to be.

    """
    planes = _planes_of_files(paths)
    if only is not None:
        planes = [plane for plane in planes if (plane.sop_uid, plane.frame) in only]
    if len(planes) < 2:
        raise Unreadable(f"{len(planes)} slice(s): a volume needs at least two")
    faults = [*_own_faults(planes), *_common_faults(planes)]
    if not faults and sum(plane.form.rows * plane.form.columns for plane in planes) > most_voxels:
        faults.append(f"{len(planes)} slices of {planes[0].form.rows} x {planes[0].form.columns} are too many voxels")
    if faults:
        raise Unreadable("; ".join(faults))
    return _stacked(planes)


def _planes_of_files(paths: Sequence[Path]) -> list[Plane]:
    """All planes of all files; faulty files are gathered first, so that every reason is told at once."""
    planes: list[Plane] = []
    faults: dict[str, int] = {}
    kind: type[Malformed | Unreadable] = Malformed
    for path in paths:
        try:
            planes += planes_of(path.read_bytes())
        except (Malformed, Unreadable) as fault:
            faults[str(fault)] = faults.get(str(fault), 0) + 1
            kind = Unreadable if isinstance(fault, Unreadable) else kind
    if faults:
        raise kind("; ".join(f"{fault} ({count} of {len(paths)} files)" for fault, count in faults.items()))
    return planes


def _own_faults(planes: Sequence[Plane]) -> list[str]:
    """Faults of single slices, each once with the number of slices that have it."""
    counts: dict[str, int] = {}
    for plane in planes:
        for fault in plane.faults():
            counts[fault] = counts.get(fault, 0) + 1
    return [fault if n == len(planes) else f"{fault} ({n} of {len(planes)} slices)" for fault, n in counts.items()]


def _common_faults(planes: Sequence[Plane]) -> Iterable[str]:
    """Faults of the slices among each other."""
    whole = [plane for plane in planes if plane.geometry.orientation and plane.geometry.pixel_spacing_mm]
    if len({(plane.form.rows, plane.form.columns) for plane in planes}) > 1:
        yield "the slices differ in rows or columns"
    if len({plane.frame_of_reference_uid for plane in planes}) > 1:
        yield "the slices belong to different frames of reference"
    if not _agree([plane.geometry.orientation or () for plane in whole], _ANGLE):
        yield "the slices differ in orientation"
    if not _agree([plane.geometry.pixel_spacing_mm or () for plane in whole], 1e-3):
        yield "the slices differ in pixel spacing"


def _agree(values: Sequence[tuple[float, ...]], tolerance: float) -> bool:
    if not values:
        return True
    array = np.asarray(values, dtype=np.float64)
    return not np.isfinite(array).all() or bool((np.abs(array - array[0]) <= tolerance).all())


def _stacked(planes: list[Plane]) -> VolumeOf:
    axes = _axes(planes[0])
    ordered = sorted(planes, key=lambda plane: (float(axes[0] @ plane.position), plane.sop_uid, plane.frame))
    ordered, notes = _without_copies(ordered, axes[0])
    spacing = _slice_spacing(ordered, axes[0])
    hu, more = _hounsfield(ordered)
    first = ordered[0]
    rows_mm, columns_mm = first.geometry.pixel_spacing_mm or (0.0, 0.0)
    grid = VolumeGrid(
        shape=hu.shape,
        spacing_mm=(spacing, rows_mm, columns_mm),
        origin_lps_mm=_vector(first.position),
        directions=(_vector(axes[0]), _vector(axes[1]), _vector(axes[2])),
    )
    factor, factor_notes = first.mass_factor()
    volume = CtVolume(
        hu=hu,
        grid=grid,
        kvp=first.kvp,
        slice_thickness_mm=first.slice_thickness_mm,
        mass_factor=factor,
    )
    return VolumeOf(
        volume=volume,
        sop_uids=tuple(plane.sop_uid for plane in ordered),
        frames=tuple(plane.frame for plane in ordered),
        notes=(*notes, *more, *factor_notes, *_header_notes(ordered, spacing)),
    )


def _vector(values: NDArray[np.float64]) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])


def _axes(plane: Plane) -> NDArray[np.float64]:
    """(3, 3): unit vectors along growing slice, row and column index."""
    cosines = np.asarray(plane.geometry.orientation, dtype=np.float64)
    along_row = cosines[:3] / np.linalg.norm(cosines[:3])
    down = cosines[3:] - (cosines[3:] @ along_row) * along_row
    down /= np.linalg.norm(down)
    return np.stack([np.cross(along_row, down), down, along_row])


def _without_copies(ordered: list[Plane], normal: NDArray[np.float64]) -> tuple[list[Plane], list[str]]:
    """Of identical images at one position only the first; different ones are a fault."""
    kept, copies, clashes = [ordered[0]], 0, []
    for plane in ordered[1:]:
        if abs(float(normal @ (plane.position - kept[-1].position))) > _SAME_POSITION_MM:
            kept.append(plane)
        elif plane.same_image(kept[-1]):
            copies += 1
        else:
            clashes.append(float(normal @ plane.position))
    if clashes:
        raise Unreadable(f"different images at one position: {_places(clashes)}")
    if len(kept) < 2:
        raise Unreadable("all slices are at one position")
    return kept, [f"{copies} identical copies of slices were left out"] if copies else []


def _slice_spacing(ordered: Sequence[Plane], normal: NDArray[np.float64]) -> float:
    """Median distance of neighbours; uneven steps and sideways drift are faults."""
    positions = np.stack([plane.position for plane in ordered])
    along = positions @ normal
    steps = np.diff(along)
    spacing = float(np.median(steps))
    uneven = np.flatnonzero(np.abs(steps - spacing) > max(_UNEVEN_MM, _UNEVEN_SHARE * spacing))
    faults = []
    if uneven.size:
        where = [f"{along[i]:.2f} to {along[i + 1]:.2f}" for i in uneven[:5]]
        faults.append(f"slices are {spacing:.2f} mm apart, but not at {', '.join(where)} mm{_more(uneven.size)}")
    sideways = np.linalg.norm(np.diff(positions, axis=0) - np.outer(steps, normal), axis=1)
    if float(sideways.max()) > max(_UNEVEN_MM, _SHEAR_SHARE * spacing):
        faults.append(f"slices are shifted sideways by up to {float(sideways.max()):.2f} mm: a tilted gantry")
    if faults:
        raise Unreadable("; ".join(faults))
    return spacing


def _places(positions: Sequence[float]) -> str:
    return ", ".join(f"{at:.2f}" for at in positions[:5]) + f" mm{_more(len(positions))}"


def _more(count: int) -> str:
    return f" and {count - 5} more" if count > 5 else ""


def _hounsfield(ordered: Sequence[Plane]) -> tuple[Hu, list[str]]:
    whole = all(plane.integer_rescale for plane in ordered)
    shape = (len(ordered), ordered[0].form.rows, ordered[0].form.columns)
    hu: Hu = np.empty(shape, np.int16) if whole else np.empty(shape, np.float32)
    clipped = 0
    for target, plane in zip(hu, ordered, strict=True):
        clipped += plane.write_hounsfield(target, air=_AIR_HU)
    return hu, [f"{clipped} slices had values beyond {_HU_LIMITS.max} HU, which were cut there"] if clipped else []


def _header_notes(ordered: Sequence[Plane], spacing: float) -> list[str]:
    notes = []
    thickness = ordered[0].slice_thickness_mm
    if thickness is not None and abs(thickness - spacing) > max(_UNEVEN_MM, 0.05 * spacing):
        notes.append(f"slices are {thickness:g} mm thick and {spacing:.2f} mm apart; the spacing is used")
    if len({plane.kvp for plane in ordered}) > 1:
        notes.append("the slices differ in tube voltage")
    if any(plane.rescale_type == UNSPECIFIED for plane in ordered):
        notes.append("the unit of the values is unspecified; Hounsfield units are taken for granted")
    return notes
