"""From a scan to labelled calcium: find the heart, label the slices around it, decide component by component."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from model.bundle import ModelBundle
from model.components import Voxels, bright_voxels
from model.heart import Gate, HeartFinding, Located, locate
from model.labels import Anatomy, Territory
from model.lesions import CalciumMask
from model.measurement import Components
from model.network import CONTEXT_SLICES, folded
from model.pooling import Decision, decide, softmax
from model.preprocess import AIR_HU, FIELD, Millimetre, Upright, context_slices, crop, fine_input, offsets_mm
from model.scoring import Definition
from model.volume import CtVolume

BATCH: Final = 4
REACH_MM: Final = 140.0
"""Slices farther than this above or below the heart's centre are not labelled."""

_CELL: Final = 4  # pixels; the aorta's margin needs no finer grid


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surroundings:
    """What the fine network saw around the heart, for the judgement of quality.

    Attributes
    ----------
    anatomy
        uint8 :class:`model.labels.Anatomy` (slices, FIELD, FIELD); 0 in slices that were not labelled.
    corner
        Row and column of its first pixel in the millimetre grid.

    """

    upright: Upright
    scan: Millimetre
    anatomy: NDArray[np.uint8]
    corner: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segmentation:
    """Calcium of every vessel, before the area rule.

    Attributes
    ----------
    mask
        What is taken as calcium of a vessel.
    certain, possible
        The same with only what is sure, and with everything that may be; for the interval of the score.
    surroundings
        None if there is no heart.
    timings_ms
        "prepare", "localise", "label", "decide".

    """

    mask: CalciumMask
    certain: CalciumMask
    possible: CalciumMask
    heart: HeartFinding
    surroundings: Surroundings | None
    timings_ms: dict[str, float] = field(default_factory=dict)


class Segmenter:
    """Labels calcium by a bundle's two networks. Holds no state between scans; safe to share between threads."""

    def __init__(self, bundle: ModelBundle, device: torch.device) -> None:
        self._calibration = bundle.calibration
        self._device = device
        self._coarse = folded(bundle.coarse).to(device)
        self._fine = folded(bundle.fine).to(device)

    def __call__(self, volume: CtVolume, definition: Definition) -> Segmentation:
        """Label a scan.

        Raises
        ------
        OrientationError
            The scan is not an axial stack.

        """
        clock = _Clock()
        with torch.inference_mode():
            upright = Upright.of(volume)
            scan = Millimetre.of(upright, self._device)
            clock.lap("prepare")
            located = locate(self._coarse, scan, upright, self._calibration.heart_volume_ml)
            clock.lap("localise")
            if located is None:
                empty = CalciumMask(labels=np.zeros(volume.grid.shape, np.uint8), grid=volume.grid)
                return Segmentation(
                    mask=empty,
                    certain=empty,
                    possible=empty,
                    heart=HeartFinding(found=False),
                    surroundings=None,
                    timings_ms=clock.laps,
                )
            around, logits = self._label(upright, scan, located, definition.threshold_hu)
        clock.lap("label")
        voxels, decision = self._decide(around, logits, located, definition)
        index = upright.native_index(voxels.index)
        masks = {
            name: _mask(volume, index, decision, chosen)
            for name, chosen in (
                ("mask", decision.accepted),
                ("certain", decision.certain),
                ("possible", decision.possible),
            )
        }
        clock.lap("decide")
        return Segmentation(**masks, heart=located.finding, surroundings=around, timings_ms=clock.laps)

    def warm_up(self) -> None:
        """Run the fine network once on air; without a heart in view a scan never reaches it."""
        with torch.inference_mode():
            air = torch.full((BATCH, 2 * CONTEXT_SLICES + 1, FIELD, FIELD), AIR_HU, device=self._device)
            here = torch.zeros((BATCH, 3, FIELD, FIELD), device=self._device)
            self._fine(fine_input(air, here, 130.0))

    def _label(
        self, upright: Upright, scan: Millimetre, located: Located, threshold_hu: float
    ) -> tuple[Surroundings, NDArray[np.float32]]:
        """Anatomy and territory logits (slices, FIELD, FIELD, classes) of the field around the heart."""
        slices, rows, columns = scan.hu.shape
        middle, row, column = located.centre.tolist()
        corner = (_corner(row, rows), _corner(column, columns))
        field_hu = crop(scan.hu, corner)
        spacing = scan.spacing_mm[0]
        chosen = [k for k in range(slices) if abs(k - middle) * spacing <= REACH_MM]
        anatomy = np.zeros((slices, FIELD, FIELD), dtype=np.uint8)
        territory = np.zeros((slices, FIELD, FIELD, len(Territory)), dtype=np.float32)
        centre = torch.tensor([[column - corner[1], row - corner[0]]], device=self._device)
        for first in range(0, len(chosen), BATCH):
            batch = chosen[first : first + BATCH]
            seen = torch.stack([field_hu[context_slices(k, slices, spacing)] for k in batch])
            heights = torch.tensor([(k - middle) * spacing for k in batch], device=self._device)
            where = offsets_mm(centre.expand(len(batch), 2), heights)
            heads = self._fine.split(self._fine(fine_input(seen, where, threshold_hu)))
            # the stem's pixel shuffle leaves a checkerboard: smooth before deciding
            smooth = F.avg_pool2d(heads["territory"], 3, stride=1, padding=1, count_include_pad=False)
            territory[batch] = smooth.permute(0, 2, 3, 1).float().cpu().numpy()
            anatomy[batch] = heads["anatomy"].max(1).indices.to(torch.uint8).cpu().numpy()
        return Surroundings(upright=upright, scan=scan, anatomy=anatomy, corner=corner), territory

    def _decide(
        self, around: Surroundings, logits: NDArray[np.float32], located: Located, definition: Definition
    ) -> tuple[Voxels, Decision]:
        voxels, pixel = _candidates(around, definition)
        parts = Components.of(voxels, around.upright.grid, definition)
        component = np.repeat(parts.number, parts.runs.length)
        kept = parts.kept[component]
        voxels, pixel, component = voxels.where(kept), pixel[:, kept], component[kept]
        _, component = np.unique(component, return_inverse=True)
        probability = softmax(logits[tuple(pixel)], self._calibration.temperature)
        place = np.stack([pixel[0], pixel[1] + around.corner[0], pixel[2] + around.corner[1]]).astype(np.float64)
        sizes = np.bincount(component)
        middles = np.stack([np.bincount(component, axis) / sizes for axis in place], axis=1)
        corner = np.array([0, *around.corner])
        at_heart = located.gate.holds(middles)
        at_aorta = at_heart | _aorta(around).holds(middles - corner)
        return voxels, decide(probability, component, np.stack([at_heart, at_aorta], axis=1), self._calibration)


def _aorta(around: Surroundings) -> Gate:
    """The aorta and its margin, as the fine network saw it, for places of the field."""
    aorta = np.isin(around.anatomy, (Anatomy.ASCENDING_AORTA, Anatomy.DESCENDING_AORTA))
    slices, cells = len(aorta), FIELD // _CELL
    coarse = aorta.reshape(slices, cells, _CELL, cells, _CELL).mean(axis=(2, 4)) >= 0.5
    voxel_mm = np.array(around.scan.spacing_mm) * (1, _CELL, _CELL)
    return Gate.around(coarse, (1.0, float(_CELL), float(_CELL)), voxel_mm)


def _corner(centre: float, size: int) -> int:
    """First pixel of a field around a centre, kept inside the scan where the scan is larger than the field."""
    wanted = round(centre - (FIELD - 1) / 2)
    return min(max(wanted, 0), size - FIELD) if size >= FIELD else (size - FIELD) // 2


def _candidates(around: Surroundings, definition: Definition) -> tuple[Voxels, NDArray[np.int64]]:
    """Every voxel of the field at the threshold, and its pixel (slice, row, column) in the field."""
    upright, scan = around.upright, around.scan
    spans = []
    for axis in (0, 1):
        native = np.arange(upright.grid.shape[axis + 1])
        pixel = scan.pixel_of(axis, native) - around.corner[axis]
        inside = np.flatnonzero((pixel >= 0) & (pixel < FIELD))
        spans.append((inside[0], inside[-1] + 1, pixel))
    (top, bottom, row_of), (left, right, column_of) = spans
    found = bright_voxels(upright.hu[:, top:bottom, left:right], definition.threshold_hu)
    index = found.index + np.array([[0], [top], [left]])
    voxels = Voxels(label=found.label, index=index, hu=found.hu, shape=upright.grid.shape)
    return voxels, np.stack([index[0], row_of[index[1]], column_of[index[2]]])


def _mask(volume: CtVolume, index: NDArray[np.int64], decision: Decision, chosen: NDArray[np.bool_]) -> CalciumMask:
    labels = np.zeros(volume.grid.shape, dtype=np.uint8)
    place = tuple(index[:, chosen])
    labels[place] = decision.vessel[chosen]
    order = np.argsort(np.ravel_multi_index(place, labels.shape))
    return CalciumMask(labels=labels, grid=volume.grid, probability=decision.probability[chosen][order])


class _Clock:
    """Milliseconds between laps."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = (now - self._last) * 1000
        self._last = now
