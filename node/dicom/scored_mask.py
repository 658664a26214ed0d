"""The CT that a human's mask belongs to, and the read that the mask amounts to when it is scored as ours is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.definition import DEFAULT_PROFILE, UnsupportedKvpError, definition_for
from model.lesions import CalciumMask, Vessel
from model.scoring import Definition, RegionScore, score
from model.volume import CtVolume
from node.domain.errors import Refused
from node.domain.human_read import CORONARIES, HumanRead, ReadScore, StudyKey
from node.domain.series import SliceGeometry

_PLACE: Final = 0.1  # of a pixel or slice: writers round decimal strings
_DIRECTION: Final = 1e-3
_SPACING_SHARE: Final = 1e-3
_STAND_INS: Final = {"CAC": Vessel.LM, "AC": Vessel.AV}  # whose totals are those of a mask that tells no vessels apart
WHOLE_LABELS: Final[Mapping[str, int]] = {"CAC": len(Vessel) + 1, "AC": len(Vessel) + 2}
"""Labels of marks that tell no vessels apart."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CtContext:
    """The scan that was read: its volume, where each slice came from, and what it is about.

    ``planes`` are the SOP Instance UID and frame number (from 1) of each slice, in order.
    """

    volume: CtVolume
    planes: tuple[tuple[str, int], ...]
    study: StudyKey  # with the series
    frame_of_reference_uid: str = ""
    profile: str = DEFAULT_PROFILE

    @property
    def definition(self) -> Definition:
        """By which rules it is scored. Raises :class:`Refused` where no table covers its voltage."""
        try:
            return definition_for(self.profile, self.volume.kvp)
        except UnsupportedKvpError as error:
            raise Refused(str(error)) from error

    def slice_at(self, place: SliceGeometry) -> int:
        """The slice on which a plane lies exactly, pixel on pixel.

        Raises
        ------
        Refused
            If it lies on none; with every reason.

        """
        grid = self.volume.grid
        if place.position_lps_mm is None or place.orientation is None or place.pixel_spacing_mm is None:
            raise Refused("it does not say where it lies (position, orientation and pixel spacing)")
        faults = []
        if (place.rows, place.columns) != grid.shape[1:]:
            faults.append(f"{place.rows} x {place.columns} pixels, but {grid.shape[1]} x {grid.shape[2]} in the scan")
        down, along = np.asarray(place.orientation[3:]), np.asarray(place.orientation[:3])
        if not np.allclose(np.stack([down, along]), grid.axes()[1:], rtol=0, atol=_DIRECTION):
            faults.append("another orientation")
        if not np.allclose(place.pixel_spacing_mm, grid.spacing_mm[1:], rtol=_SPACING_SHARE, atol=0):
            faults.append("another pixel spacing")
        index = grid.to_index(np.asarray(place.position_lps_mm))
        number = round(float(index[0])) if np.isfinite(index).all() else -1
        if not 0 <= number < grid.shape[0] or np.abs(index - (number, 0, 0)).max() > _PLACE:
            faults.append("another position")
        if faults:
            raise Refused(", ".join(faults))
        return number

    def check_frame_of_reference(self, uid: str) -> None:
        """Raise :class:`Refused` where an object lies in another frame of reference than the scan."""
        if uid and self.frame_of_reference_uid and uid != self.frame_of_reference_uid:
            raise Refused("another frame of reference than the scan's: it was made on another acquisition")


def labels_of_masks(masks: Mapping[str, NDArray[np.bool_]], ct: CtContext) -> NDArray[np.uint8]:
    """Masks by region as uint8 labels on the grid of the scan: of vessels, and of :data:`WHOLE_LABELS` beneath them.

    Raises
    ------
    Refused
        If masks of two vessels share voxels.

    """
    labels = np.zeros(ct.volume.grid.shape, np.uint8)
    for region, label in WHOLE_LABELS.items():
        if region in masks:
            labels[masks[region]] = label
    vessels = _vessel_labels(masks, ct)
    return np.where(vessels > 0, vessels, labels)


def _vessel_labels(masks: Mapping[str, NDArray[np.bool_]], ct: CtContext) -> NDArray[np.uint8]:
    labels = np.zeros(ct.volume.grid.shape, np.uint8)
    shared: dict[str, int] = {}
    for vessel in Vessel:
        mask = masks.get(vessel)
        if mask is None:
            continue
        for other in np.unique(labels[mask & (labels > 0)]):
            shared[f"{list(Vessel)[int(other) - 1]} and {vessel}"] = int((mask & (labels == other)).sum())
        labels[mask] = vessel.label
    if shared:
        raise Refused("; ".join(f"{pair} share {count} voxels" for pair, count in shared.items()))
    return labels


def scores_of_masks(masks: Mapping[str, NDArray[np.bool_]], ct: CtContext) -> tuple[dict[str, ReadScore], list[str]]:
    """Scores by region of masks by region (slices, rows, columns), and what a person must know of them.

    A vessel without a mask stays missing, never 0; the coronary total is that of all coronary calcium in the masks.

    Raises
    ------
    Refused
        If masks of two vessels share voxels, or the scan cannot be scored.

    """
    labels = _vessel_labels(masks, ct)
    vessels = [str(vessel) for vessel in Vessel if vessel in masks]
    found = {name: _read(region) for name, region in _scored(labels, ct).items() if name in vessels}
    remarks = []
    for total, stand_in in _STAND_INS.items():
        parts = CORONARIES if total == "CAC" else ("AV", "TA")
        if total in masks:
            whole = np.where(masks[total], np.uint8(stand_in.label), np.uint8(0))
            found[total] = _read(_scored(whole, ct)[total])
        elif total == "CAC" and any(part in vessels for part in parts):
            found[total] = _read(_scored(labels, ct)[total])
            missing = [part for part in parts if part not in vessels]
            if missing:
                remarks.append(f"the mask marks nothing in {', '.join(missing)}: not reported, and not in the total")
    return found, remarks


def as_read(read: HumanRead, ct: CtContext, at: datetime | None) -> HumanRead:
    """A read of a mask with what holds for all of them: the scan's series, rules and voltage."""
    return replace(read, study=ct.study, read_at=at, profile=ct.profile, kvp=ct.volume.kvp)


def _scored(labels: NDArray[np.uint8], ct: CtContext) -> Mapping[str, RegionScore]:
    return score(ct.volume, CalciumMask(labels=labels, grid=ct.volume.grid), ct.definition).regions


def _read(region: RegionScore) -> ReadScore:
    return ReadScore(agatston=region.agatston, volume_mm3=region.volume_mm3, mass_mg=region.mass_mg)
