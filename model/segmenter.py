"""From a scan to labelled calcium: find the heart, label the slices around it, decide component by component."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from model.bundle import ModelBundle
from model.evidence import Said, allowed, features, measured
from model.heart import GATE_MARGIN_MM, HeartFinding, Located, locate
from model.interval import Claims
from model.labelling import Cells, Field, Labeller
from model.lesions import CalciumMask, Vessel
from model.network import folded
from model.pooling import Decision, Verdict, decide, pool
from model.preprocess import FIELD, Millimetre, Upright, crop
from model.sampling import between, landmarks, spread
from model.scoring import Definition
from model.spots import Spots, points
from model.surroundings import Surroundings
from model.volume import CtVolume

REACH_MM: Final = 140.0
"""Slices farther than this above or below the heart's centre are not labelled."""
UNLIKELY: Final = 0.03
"""A component of less than this probability by the first member's word is not shown to the others."""
CLEAR: Final = 0.97
"""Nor is one that belongs to one vessel with at least this probability."""
METAL_HU: Final = 2000.0
"""What peaks above this is metal: pure calcium hydroxyapatite is not denser, and a scan blurs what is small."""

_UNSEEN_MM: Final = 8.0  # how far the aorta may stray between two slices that were labelled
_SCORED: Final = [vessel.label for vessel in Vessel]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segmentation:
    """Calcium of every vessel, before the area rule.

    Attributes
    ----------
    mask
        What is taken as calcium of a vessel.
    claims
        Every lesion that may be coronary, for the interval of the score.
    surroundings
        None if there is no heart.
    metal
        Bright things at the heart that no network was asked about, because no calcium is so bright.
    timings_ms
        "prepare", "localise", "label", "decide".

    """

    mask: CalciumMask
    claims: Claims
    heart: HeartFinding
    surroundings: Surroundings | None
    metal: int = 0
    timings_ms: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Examined:
    """The components near heart and aorta, and everything that is known of them.

    Attributes
    ----------
    said
        The members' words on their voxels.
    known
        Features of the components that no network has a say in, by name.
    near
        bool (count, 2), as in :func:`model.pooling.gated`.
    metal
        Bright things at the heart that are too bright for calcium; none of them is among ``spots``.

    """

    spots: Spots
    said: Said
    known: Mapping[str, NDArray[np.float64]]
    near: NDArray[np.bool_]
    around: Surroundings
    heart: HeartFinding
    metal: int

    def features(self) -> NDArray[np.float64]:
        """What a judge weighs, float64 (count, features): see :data:`model.judgement.FEATURES`."""
        return features(self.spots, self.said, self.near, self.known)


class Segmenter:
    """Labels calcium by a bundle's networks. Holds no state between scans; safe to share between threads."""

    def __init__(self, bundle: ModelBundle, device: torch.device) -> None:
        self._calibration = bundle.calibration
        self._judge = bundle.judge
        self._device = device
        self._coarse = folded(bundle.coarse).to(device)
        self._fine = Labeller(bundle.members, device)

    def __call__(self, volume: CtVolume, definition: Definition) -> Segmentation:
        """Label a scan.

        Raises
        ------
        OrientationError
            The scan is not an axial stack.

        """
        clock = _Clock()
        examined = self._examine(volume, definition, clock)
        if examined is None:
            empty = CalciumMask(labels=np.zeros(volume.grid.shape, np.uint8), grid=volume.grid)
            return Segmentation(
                mask=empty,
                claims=Claims.none(),
                heart=HeartFinding(found=False),
                surroundings=None,
                timings_ms=clock.laps,
            )
        spots = examined.spots
        verdict = None
        if self._judge is not None:
            real = self._judge.probability(examined.features(), spots.touching)
            verdict = Verdict(
                real=real,
                accept_from=self._judge.accept_from,
                accept_aortic_from=self._judge.accept_aortic_from,
            )
        decision = decide(examined.said.territory(), spots.component, examined.near, self._calibration, verdict)
        mask = _mask(volume, examined, decision)
        claims = _claims(examined, decision, definition)
        clock.lap("decide")
        return Segmentation(
            mask=mask,
            claims=claims,
            heart=examined.heart,
            surroundings=examined.around,
            metal=examined.metal,
            timings_ms=clock.laps,
        )

    def examine(self, volume: CtVolume, definition: Definition) -> Examined | None:
        """Everything that is known of the components of a scan, before any decision; None without a heart."""
        return self._examine(volume, definition, _Clock())

    def warm_up(self) -> None:
        """Run the fine networks once on air; without a heart in view a scan never reaches them."""
        with torch.inference_mode():
            self._fine.warm_up()

    def _examine(self, volume: CtVolume, definition: Definition, clock: _Clock) -> Examined | None:
        with torch.inference_mode():
            upright = Upright.of(volume)
            scan = Millimetre.of(upright, self._device)
            clock.lap("prepare")
            located = locate(self._coarse, scan, upright, self._calibration.heart_volume_ml)
            clock.lap("localise")
            if located is None:
                return None
            examined = self._label(upright, scan, located, definition)
            clock.lap("label")
        return examined

    def _label(self, upright: Upright, scan: Millimetre, located: Located, definition: Definition) -> Examined:
        here = _field(scan, located)
        slices = [k for k, high in enumerate(here.heights_mm()) if abs(high) <= REACH_MM]
        anatomy = np.zeros((scan.hu.shape[0], FIELD, FIELD), dtype=np.uint8)
        around = Surroundings(upright=upright, scan=scan, anatomy=anatomy, corner=here.corner)
        spots = Spots.of(around, definition)
        at_heart = spots.at_heart(located.gate, here.corner)
        pixel, voxel = _distinct(spots.pixel, len(anatomy))
        floor = definition.threshold_hu
        calcium = spots.peak_hu <= METAL_HU
        cells = self._fine.cells(here, floor)
        marks = landmarks(slices, here.spacing_mm)
        anatomy[marks], logits = self._fine.anatomy_and_logits(cells, marks, pixel)
        spread(anatomy, marks, slices)
        from_aorta_mm = around.aorta_gate().distance_mm(spots.middle)
        more = between(spots, (at_heart | (from_aorta_mm <= GATE_MARGIN_MM)) & calcium, anatomy, marks, slices)
        asked = np.zeros(pixel.shape[1], dtype=np.bool_)
        asked[voxel[(at_heart | (from_aorta_mm <= GATE_MARGIN_MM + _UNSEEN_MM))[spots.component]]] = True
        anatomy[more], later = self._fine.anatomy_and_logits(cells, more, pixel[:, asked])
        logits[asked] = np.where(np.isnan(logits[asked]), later, logits[asked])
        near = (at_heart | around.aorta_gate().holds(spots.middle)) & calcium & ~spots.bones(anatomy)
        chosen = near[spots.component]
        metal = spots.where(at_heart & ~calcium).things
        spots, voxel = spots.where(near), voxel[chosen]
        sides = np.stack([at_heart[near], np.ones(spots.count, dtype=np.bool_)], axis=1)
        alone = Examined(
            spots=spots,
            said=Said(logits=(logits[voxel],)),
            known=measured(spots, around, around.blood[1], floor),
            near=sides,
            around=around,
            heart=located.finding,
            metal=metal,
        )
        return self._ask_others(alone, cells, pixel, voxel)

    def _ask_others(
        self, alone: Examined, cells: Cells, pixel: NDArray[np.int64], voxel: NDArray[np.int64]
    ) -> Examined:
        """With the words of the other members on slices where that of the first is not clear.

        The components' voxels lie in ``pixel[:, voxel]``.
        """
        slices = self._in_doubt(alone) if self._fine.members > 1 else []
        if not slices:
            return alone
        words = [self._fine.logits(member, cells, slices, pixel)[voxel] for member in range(1, self._fine.members)]
        return replace(alone, said=Said(logits=(*alone.said.logits, *words)))

    def _in_doubt(self, alone: Examined) -> list[int]:
        """Slices with a component that by the first member's word is neither clearly of one vessel nor clearly none."""
        spots = alone.spots
        shares = allowed(pool(alone.said.territory(), spots.component, spots.count), alone.near)[:, _SCORED]
        scored = shares.sum(axis=1)
        real = scored if self._judge is None else self._judge.probability(alone.features(), spots.touching)
        one_vessel = shares.max(axis=1) >= CLEAR * scored
        waits = (real > UNLIKELY) & ~((real > CLEAR) & one_vessel) & (scored > 0)
        return [int(k) for k in np.unique(spots.slice[waits])]


def _field(scan: Millimetre, located: Located) -> Field:
    _, rows, columns = scan.hu.shape
    middle, row, column = located.centre.tolist()
    corner = (_corner(row, rows), _corner(column, columns))
    return Field(hu=crop(scan.hu, corner), corner=corner, middle=(middle, row, column), spacing_mm=scan.spacing_mm[0])


def _corner(centre: float, size: int) -> int:
    """First pixel of a field around a centre, kept inside the scan where the scan is larger than the field."""
    wanted = round(centre - (FIELD - 1) / 2)
    return min(max(wanted, 0), size - FIELD) if size >= FIELD else (size - FIELD) // 2


def _distinct(pixel: NDArray[np.int64], slices: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Distinct pixels (3, m) ascending by slice, and which of them each of the given (3, n) is."""
    place = (pixel[0] * FIELD + pixel[1]) * FIELD + pixel[2]
    # a table of the whole field costs less than sorting
    number = np.zeros(slices * FIELD**2, dtype=np.int32)
    number[place] = 1
    found = np.flatnonzero(number)
    number[found] = np.arange(found.size)
    return np.stack([found // FIELD**2, found // FIELD % FIELD, found % FIELD]), number[place].astype(np.int64)


def _claims(examined: Examined, decision: Decision, definition: Definition) -> Claims:
    """Every part that may be coronary; parts that touch in neighbouring slices are one lesion."""
    spots, part = examined.spots, decision.part
    count = decision.vessel.size
    pixels = np.bincount(part, minlength=count)
    peak = np.full(count, -np.inf)
    np.maximum.at(peak, part, spots.voxels.hu)
    score = points(pixels, peak, examined.around, definition)
    # a lesion is whole: both sides of a cut component, and what it touches, if that may be calcium at all
    of = np.zeros(count, dtype=np.int64)
    of[part] = spots.component
    likely = np.bincount(of, score * decision.coronary, minlength=spots.count)
    total = np.bincount(of, score, minlength=spots.count).astype(np.float64, copy=False)
    chance = likely / np.maximum(total, 1e-9)
    worth = chance > UNLIKELY
    return Claims.joined(total, chance, spots.touching[:, worth[spots.touching].all(axis=0)])


def _mask(volume: CtVolume, examined: Examined, decision: Decision) -> CalciumMask:
    chosen = decision.accepted[decision.part]
    part = decision.part[chosen]
    labels = np.zeros(volume.grid.shape, dtype=np.uint8)
    place = tuple(examined.around.upright.native_index(examined.spots.voxels.index[:, chosen]))
    labels[place] = decision.vessel[part]
    order = np.argsort(np.ravel_multi_index(place, labels.shape))
    return CalciumMask(labels=labels, grid=volume.grid, probability=decision.probability[part][order])


class _Clock:
    """Milliseconds between laps."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = (now - self._last) * 1000
        self._last = now
