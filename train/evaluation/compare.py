"""One case, one reading: hold them against each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from model import scoring
from model.definition import definition_for
from model.labels import Territory
from model.lesions import CalciumMask
from model.volume import CtVolume, Vector
from train.evaluation.matching import matched_lesions, overlaps, score_outside
from train.evaluation.records import CaseRecord, amounts


class Answer(Protocol):
    """The least a reading must hold. What :class:`model.reader.Reading` holds beyond is used where it is there."""

    @property
    def mask(self) -> CalciumMask:
        """Calcium by vessel; voxels below the threshold and components the area rule drops are left out here."""


class ScanReader(Protocol):
    """Anything that reads scans."""

    def read(self, volume: CtVolume) -> Answer:
        """Find the calcium of one scan."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledScan:
    """A scan and what it holds.

    Attributes
    ----------
    labels
        uint8 on the volume's grid: 0, a vessel's label, or 7 for calcium or metal that must not be scored. Values below
        the threshold do not matter: they are scored on neither side.
    heart_centre_lps_mm
        None if it is not known.
    groups
        See :attr:`train.evaluation.records.CaseRecord.groups`.

    """

    name: str
    volume: CtVolume
    labels: NDArray[np.uint8]
    heart_centre_lps_mm: Vector | None = None
    groups: Mapping[str, str] = field(default_factory=dict)


def true_mask(scan: LabelledScan) -> CalciumMask:
    """The calcium that a perfect reader would score."""
    labels = np.where(scan.labels < Territory.CONFUSER, scan.labels, 0).astype(np.uint8)
    return scoring.keep(scan.volume, CalciumMask(labels=labels, grid=scan.volume.grid), _rules(scan.volume))


def compare(scan: LabelledScan, reader: str, reading: Answer) -> CaseRecord:
    """Hold a reading against the labels of its scan. ``reader`` is what the record calls its reader."""
    volume, definition = scan.volume, _rules(scan.volume)
    truth, read = true_mask(scan), scoring.keep(volume, reading.mask, definition)
    # what the area rule dropped from the truth is no error to call, and no success either
    known = np.where(scan.labels == Territory.CONFUSER, Territory.CONFUSER, truth.labels).astype(np.uint8)
    interval = getattr(reading, "interval", None)
    quality = getattr(reading, "quality", None)
    heart = getattr(reading, "heart", None)
    return CaseRecord(
        case=scan.name,
        reader=reader,
        groups=_groups(scan, quality),
        truth=amounts(scoring.score(volume, truth, definition)),
        read=amounts(scoring.score(volume, read, definition)),
        overlaps=overlaps(truth.labels, read.labels),
        lesions=(
            *matched_lesions("true", volume, truth, read.labels, definition),
            *matched_lesions("read", volume, read, known, definition),
        ),
        false_score=score_outside(volume, read, truth.labels, definition),
        missed_score=score_outside(volume, truth, read.labels, definition),
        interval=interval.get("CAC") if interval is not None else None,
        heart_found=None if heart is None else bool(heart.found),
        centre_error_mm=_centre_error(scan, heart),
        doubts=None if quality is None else tuple(str(doubt).partition(":")[0] for doubt in quality.doubts),
    )


def _rules(volume: CtVolume) -> scoring.Definition:
    return definition_for(kvp=volume.kvp)


def _groups(scan: LabelledScan, quality: Any) -> dict[str, str]:  # noqa: ANN401  # whatever a reader gives, or None
    """The scan's own; where it does not know its noise, the band that the reader measured."""
    measured = getattr(quality, "noise_sd_hu", None)
    if "noise" in scan.groups or measured is None:
        return dict(scan.groups)
    return {**scan.groups, "noise": noise_band(float(measured))}


def noise_band(noise_sd_hu: float) -> str:
    """Name of a band of noise; 15-25 HU is usual in gated calcium scans."""
    if noise_sd_hu < 15:
        return "< 15 HU"
    return "15-25 HU" if noise_sd_hu < 25 else ">= 25 HU"


def _centre_error(scan: LabelledScan, heart: Any) -> float | None:  # noqa: ANN401  # as above
    centre = getattr(heart, "centre_lps_mm", None)
    if centre is None or scan.heart_centre_lps_mm is None:
        return None
    return float(np.linalg.norm(np.array(centre) - scan.heart_centre_lps_mm))
