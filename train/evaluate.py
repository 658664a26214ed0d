"""How well a bundle reads phantoms it was never trained on."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model import risk, scoring
from model.bundle import load_bundle
from model.definition import definition_for
from model.lesions import CalciumMask, Lesion, Vessel
from model.reader import Reader, Reading
from model.volume import CtVolume
from train.anatomy.ranges import Cohort
from train.cases import full_resolution, make_case
from train.cohort import Phantom, volume_of

REGIONS: Final = ("LM", "LAD", "LCX", "RCA", "CAC", "AV", "TA")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """One held-out case.

    Attributes
    ----------
    truth, found
        Agatston scores in the order of :data:`REGIONS`.
    voxels
        Per vessel: voxels in the truth, in the reading, in both.
    lesions, lesions_found, lesions_right
        True coronary lesions; those of which half the voxels are called coronary; those of them in the right vessel.
    false_lesions
        Coronary lesions of the reading that hold no coronary calcium.
    centre_error_mm
        Distance of the heart's centre from the true one; None if no heart was found.

    """

    seed: int
    truth: tuple[float, ...]
    found: tuple[float, ...]
    voxels: tuple[tuple[int, int, int], ...]
    lesions: int
    lesions_found: int
    lesions_right: int
    false_lesions: int
    centre_error_mm: float | None
    interval: tuple[float, float]


def evaluate(folder: Path, seeds: Sequence[int], device: str, done: Callable[[], None]) -> tuple[CaseResult, ...]:
    """Read the full-resolution case of every seed; ``done`` is called after each."""
    reader = Reader(load_bundle(folder), device=device)
    results = []
    for seed in seeds:
        case = make_case(seed, full_resolution(Cohort.MIXED))
        results.append(compare(seed, case, reader))
        done()
    return tuple(results)


def compare(seed: int, case: Phantom, reader: Reader) -> CaseResult:
    """Read one case, and hold it against its labels."""
    volume = volume_of(case)
    reading = reader.read(volume)
    truth = true_mask(case, volume)
    definition = definition_for()
    scores = scoring.score(volume, truth, definition)
    theirs, ours = truth.labels, reading.mask.labels
    lesions = scoring.lesions(volume, truth, definition)
    caught = [_caught(volume, truth, reading, lesion) for lesion in lesions if lesion.vessel in _CORONARIES]
    return CaseResult(
        seed=seed,
        truth=tuple(scores.regions[name].agatston for name in REGIONS),
        found=tuple(reading.scores.regions[name].agatston for name in REGIONS),
        voxels=tuple(
            (
                int((theirs == v.label).sum()),
                int((ours == v.label).sum()),
                int(((ours == v.label) & (theirs == v.label)).sum()),
            )
            for v in Vessel
        ),
        lesions=len(caught),
        lesions_found=sum(found for found, _ in caught),
        lesions_right=sum(right for _, right in caught),
        false_lesions=_false_lesions(volume, truth, reading),
        centre_error_mm=_centre_error(case, reading),
        interval=reading.interval["CAC"],
    )


_CORONARIES: Final = (Vessel.LM, Vessel.LAD, Vessel.LCX, Vessel.RCA)


def true_mask(case: Phantom, volume: CtVolume) -> CalciumMask:
    """The calcium of a case that a perfect reader would score."""
    labels = np.where((case.calcium <= len(Vessel)) & (case.hu >= definition_for().threshold_hu), case.calcium, 0)
    return scoring.keep(volume, CalciumMask(labels=labels.astype(np.uint8), grid=volume.grid), definition_for())


def _pieces(volume: CtVolume, mask: CalciumMask, lesion: Lesion) -> NDArray[np.bool_]:
    """Voxels of the lesion's vessel around it; neighbouring lesions within 5 mm count with it."""
    first, last = lesion.slices
    middle = volume.grid.to_index(np.array(lesion.centroid_lps_mm))
    reach = 5.0 + (3 * lesion.volume_mm3 / (4 * np.pi)) ** (1 / 3)
    places = np.argwhere(mask.labels[first : last + 1] == lesion.vessel.label) + np.array([first, 0, 0])
    near = np.linalg.norm((places - middle)[:, 1:] * volume.grid.spacing_mm[1:], axis=1) <= reach
    chosen = np.zeros(mask.labels.shape, dtype=np.bool_)
    chosen[tuple(places[near].T)] = True
    return chosen


def _caught(volume: CtVolume, truth: CalciumMask, reading: Reading, lesion: Lesion) -> tuple[bool, bool]:
    called = reading.mask.labels[_pieces(volume, truth, lesion)]
    coronary = np.isin(called, [v.label for v in _CORONARIES])
    found = bool(coronary.mean() >= 0.5)
    return found, found and bool((called == lesion.vessel.label).sum() >= 0.5 * coronary.sum())


def _false_lesions(volume: CtVolume, truth: CalciumMask, reading: Reading) -> int:
    real = np.isin(truth.labels, [v.label for v in _CORONARIES])
    ours = [lesion for lesion in reading.lesions if lesion.vessel in _CORONARIES]
    return sum(not real[_pieces(volume, reading.mask, lesion)].any() for lesion in ours)


def _centre_error(case: Phantom, reading: Reading) -> float | None:
    if reading.heart.centre_lps_mm is None:
        return None
    z, y, x = (np.argwhere(np.isin(case.anatomy, (1, 2, 3, 4, 12))).mean(axis=0) * case.spacing_mm).tolist()
    return float(np.linalg.norm(np.array(reading.heart.centre_lps_mm) - (x, y, z)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A cohort in figures; NaN where there is nothing to divide by."""

    cases: int
    dice: tuple[float, ...]
    correlation: float
    mean_error: float
    categories_right: float
    inside_interval: float
    lesions: int
    found: float
    right: float
    false_per_case: float
    centre_mm: float
    no_heart: int


def summarise(results: Sequence[CaseResult]) -> Summary:
    """Pool all cases; Dice is over the voxels of all cases together."""
    counts = np.array([result.voxels for result in results]).sum(axis=0)
    cac = REGIONS.index("CAC")
    pairs = [(result.truth[cac], result.found[cac]) for result in results]
    truth, found = np.array(pairs).T
    lesions = sum(result.lesions for result in results)
    caught = sum(result.lesions_found for result in results)
    errors = [result.centre_error_mm for result in results if result.centre_error_mm is not None]
    return Summary(
        cases=len(results),
        dice=tuple(_ratio(2 * both, true + ours) for true, ours, both in counts.tolist()),
        correlation=float(np.corrcoef(truth, found)[0, 1]) if truth.std() and found.std() else float("nan"),
        mean_error=float(np.abs(truth - found).mean()),
        categories_right=float(np.mean([risk.category(a) == risk.category(b) for a, b in pairs])),
        inside_interval=float(np.mean([r.interval[0] <= r.truth[cac] <= r.interval[1] for r in results])),
        lesions=lesions,
        found=_ratio(caught, lesions),
        right=_ratio(sum(result.lesions_right for result in results), caught),
        false_per_case=sum(result.false_lesions for result in results) / len(results),
        centre_mm=float(np.median(errors)) if errors else float("nan"),
        no_heart=len(results) - len(errors),
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def to_markdown(results: Sequence[CaseResult]) -> str:
    """A table of the summary."""
    summary = summarise(results)
    rows: list[tuple[str, str]] = [("held-out phantoms", str(summary.cases))]
    rows += [(f"Dice {vessel}", f"{dice:.2f}") for vessel, dice in zip(Vessel, summary.dice, strict=True)]
    rows += [
        ("CAC, Pearson r", f"{summary.correlation:.3f}"),
        ("CAC, mean absolute error", f"{summary.mean_error:.0f}"),
        ("CAC category right", f"{summary.categories_right:.0%}"),
        ("CAC inside the interval", f"{summary.inside_interval:.0%}"),
        ("coronary lesions", str(summary.lesions)),
        ("- found", f"{summary.found:.0%}"),
        ("- of those, in the right vessel", f"{summary.right:.0%}"),
        ("false coronary lesions a case", f"{summary.false_per_case:.2f}"),
        ("heart's centre, median error", f"{summary.centre_mm:.1f} mm"),
        ("no heart found", str(summary.no_heart)),
    ]
    return "\n".join(["| measure | value |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows), ""])


def to_csv(results: Iterable[CaseResult]) -> str:
    """One line a case."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    plain = [field.name for field in fields(CaseResult) if field.name not in ("truth", "found", "voxels", "interval")]
    scores = [f"{kind}_{region}" for kind in ("true", "read") for region in REGIONS]
    writer.writerow([*plain, *scores, "low", "high"])
    for result in results:
        values = asdict(result)
        writer.writerow([*(values[name] for name in plain), *result.truth, *result.found, *result.interval])
    return text.getvalue()
